"""Adapters exported for other programs, and taken in from them: whole homes, real child processes, tiny models."""

import json
import os
import resource
import shutil
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from gguf import GGUFReader
from safetensors.torch import load_file, save_file

from engine.config import Settings
from engine.container import Engine
from engine.domain import Adapter, Job, JobState, Json, new_id, utc_now
from engine.errors import ConflictError, InputError, NotFoundError, StorageError
from engine.handlers.adapters import export_adapter
from engine.jobs import JobContext
from engine.training.adapters.export import ExportPlan, Form, export
from engine.training.adapters.foreign_check import effect_of
from engine.training.adapters.gguf_adapter import write_gguf_adapter
from engine.training.adapters.merged_model import write_merged
from engine.training.adapters.ollama import prompting_of
from engine.training.bases.base_model import file_sha256

MakePeft = Callable[..., Path]


@pytest.fixture
def engine(tmp_path: Path, tiny_gguf: Path) -> Iterator[Engine]:
    models = tmp_path / "models"
    models.mkdir()
    shutil.copy(tiny_gguf, models / "tiny.gguf")
    settings = Settings(home=tmp_path / "home", models_dir=models, default_model="tiny", default_encoder="hashing")
    with Engine(settings) as engine:
        yield engine


@pytest.fixture
def taught(engine: Engine, make_peft: MakePeft) -> Adapter:
    """An adapter as a fine-tune leaves it."""
    folder = engine.settings.adapters_dir / "taught"
    folder.mkdir(parents=True)
    shutil.move(make_peft(), folder / "peft")
    base = engine.registry.path("tiny")
    write_gguf_adapter(folder / "peft", base, folder / "adapter.gguf")
    card: dict[str, Json] = {"base": {"file": base.name, "sha256": file_sha256(base)}, "config": {"rank": 4}}
    made = Adapter(new_id(), "my shop", "tiny", folder / "adapter.gguf", utc_now(), card=card)
    engine.repositories.adapters.add(made)
    return made


def done(engine: Engine, job: Job) -> dict[str, Json]:
    ended = engine.worker.run_one(job.id)
    assert ended is not None
    assert ended.state is JobState.SUCCEEDED, ended.error
    return dict(ended.result or {})


def failed(engine: Engine, job: Job) -> str:
    ended = engine.worker.run_one(job.id)
    assert ended is not None
    assert ended.error is not None
    return f"{ended.error['code']}: {ended.error['message']} {ended.error['hint']}"


def fields(path: Path) -> dict[str, object]:
    return {key: field.contents() for key, field in GGUFReader(path).fields.items() if not key.startswith("GGUF.")}


class TestExport:
    def test_adapter_with_card_and_modelfile(self, engine: Engine, taught: Adapter, tmp_path: Path) -> None:
        result = done(engine, engine.export_adapter("my shop", out=tmp_path / "out"))
        folder = Path(str(result["path"]))
        assert sorted(file.name for file in folder.iterdir()) == ["Modelfile", "README.md", "card.json", "my-shop.gguf"]
        assert (folder / "my-shop.gguf").read_bytes() == taught.path.read_bytes()
        text = (folder / "Modelfile").read_text()
        assert text.startswith("FROM ./tiny.gguf\nADAPTER ./my-shop.gguf\n")
        assert "PARAMETER stop" in text
        assert json.loads((folder / "card.json").read_text())["base"] == taught.card["base"]
        assert str(taught.card["base"]["sha256"]) in (folder / "README.md").read_text()  # type: ignore[call-overload,index]
        assert list((tmp_path / "out").iterdir()) == [folder]

    def test_peft_archive_loads_in_peft(self, engine: Engine, taught: Adapter, tiny_copy: Path, tmp_path: Path) -> None:
        from peft import PeftModel

        from engine.training.bases.base_model import load_base

        result = done(engine, engine.export_adapter("my shop", form="peft", out=tmp_path / "out"))
        with zipfile.ZipFile(Path(str(result["path"])) / "my-shop-peft.zip") as archive:
            archive.extractall(tmp_path / "unpacked")
        folder = tmp_path / "unpacked" / "my-shop"
        PeftModel.from_pretrained(load_base(tiny_copy, "float32"), folder, local_files_only=True)
        assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"
        original = load_file(taught.path.parent / "peft" / "adapter_model.safetensors")
        assert load_file(folder / "adapter_model.safetensors").keys() == original.keys()

    def test_merged_model_answers_as_base_and_adapter_do(self, engine: Engine, taught: Adapter, tmp_path: Path) -> None:
        result = done(engine, engine.export_adapter("my shop", form="merged", quantisation="F16", out=tmp_path))
        folder = Path(str(result["path"]))
        merged = folder / "my-shop-F16.gguf"
        assert result["merged"]["ok"] is True  # type: ignore[call-overload,index]
        assert result["quantised"]["mean_kl"] < 1e-3  # type: ignore[call-overload,index]
        assert result["notice"] is None
        assert (folder / "Modelfile").read_text().startswith("FROM ./my-shop-F16.gguf\n")
        base = engine.registry.path("tiny")
        before, after = fields(base), fields(merged)
        ours = {"general.file_type", "general.quantization_version"}
        assert {key: value for key, value in after.items() if key not in ours} == {
            key: value for key, value in before.items() if key not in ours
        }
        tensors = {tensor.name: tensor.data for tensor in GGUFReader(merged).tensors}
        assert tensors.keys() == {tensor.name for tensor in GGUFReader(base).tensors}
        weights = {tensor.name: np.array(tensor.data) for tensor in GGUFReader(base).tensors}
        matrices = {tensor.name: np.array(tensor.data) for tensor in GGUFReader(taught.path).tensors}
        name = "blk.1.ffn_down.weight"
        expected = weights[name] + 12 / 4 * matrices[f"{name}.lora_b"] @ matrices[f"{name}.lora_a"]
        assert np.abs(tensors[name].astype(np.float32) - expected).max() < 2e-3

    def test_merged_model_goes_back_to_the_models(self, engine: Engine, taught: Adapter) -> None:
        job = engine.export_adapter("my shop", form="merged", quantisation="Q8_0", to_models=True)
        assert done(engine, job)["model"] == "my-shop-Q8_0"
        info = engine.registry.info("my-shop-Q8_0")
        assert (info.kind, info.quantisation) == ("chat", "Q8_0")
        assert not list(engine.settings.cache_dir.glob(".incoming-*"))

    def test_a_quantisation_that_changes_the_answers_is_said(self, engine: Engine, taught: Adapter, tmp_path: Path) -> None:
        result = done(engine, engine.export_adapter("my shop", form="merged", quantisation="Q2_K", out=tmp_path))
        assert result["merged"]["ok"] is True  # type: ignore[call-overload,index]
        assert "Q2_K the model answers differently" in str(result["notice"])

    def test_a_child_that_is_killed_leaves_nothing(
        self, engine: Engine, taught: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        report = JobContext.progress

        def progress(self: JobContext, fraction: float, message: str) -> None:
            report(self, fraction, message)
            if message.startswith("Comparing"):
                child = next(
                    one for one in psutil.Process().children() if "engine.training.adapters.child_work" in one.cmdline()
                )
                os.kill(child.pid, signal.SIGKILL)

        monkeypatch.setattr(JobContext, "progress", progress)
        job = engine.export_adapter("my shop", form="merged", quantisation="F16", out=tmp_path / "out")
        assert "memory ran out" in failed(engine, job)
        assert list((tmp_path / "out").iterdir()) == []

    @pytest.mark.parametrize("form", ["gguf", "merged"])
    def test_a_disk_that_is_full(self, form: Form, engine: Engine, taught: Adapter, tmp_path: Path) -> None:
        plan = ExportPlan(taught, engine.registry.path("tiny"), form, "F16")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
        try:
            with pytest.raises(StorageError) as caught:
                export(plan, tmp_path / "out")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert caught.value.hint
        assert list((tmp_path / "out").iterdir()) == []

    def test_a_job_that_is_done_again_after_a_crash_finds_what_it_made(
        self, engine: Engine, taught: Adapter, tmp_path: Path
    ) -> None:
        job = engine.export_adapter("my shop", form="merged", quantisation="F16", out=tmp_path)
        result = done(engine, job)
        assert export_adapter(engine, JobContext(job, engine.jobs, "nobody")) == result

    def test_what_is_there_already_is_left_alone(self, engine: Engine, taught: Adapter, tmp_path: Path) -> None:
        done(engine, engine.export_adapter("my shop", out=tmp_path))
        (tmp_path / "my-shop-gguf" / "mine").write_text("mine")
        assert failed(engine, engine.export_adapter("my shop", out=tmp_path)).startswith("conflict")
        assert (tmp_path / "my-shop-gguf" / "mine").read_text() == "mine"

    def test_a_folder_that_cannot_be_made(self, engine: Engine, taught: Adapter, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert failed(engine, engine.export_adapter("my shop", out=tmp_path / "file" / "out")).startswith("storage")

    def test_the_base_has_changed(self, engine: Engine, taught: Adapter, tmp_path: Path) -> None:
        base = engine.registry.path("tiny")
        with base.open("r+b") as file:
            file.seek(-4, 2)
            file.write(b"\0\0\0\1")
        assert "tiny has changed" in failed(engine, engine.export_adapter("my shop", form="merged", out=tmp_path))

    def test_refused_at_once(self, engine: Engine, taught: Adapter) -> None:
        with pytest.raises(NotFoundError):
            engine.export_adapter("nobody")
        with pytest.raises(InputError, match="quantisation"):
            engine.export_adapter("my shop", form="merged", quantisation="Q9")
        with pytest.raises(InputError, match="merged"):
            engine.export_adapter("my shop", to_models=True)


class TestImport:
    def test_an_archive_of_a_peft_folder_with_several_ranks_passes_the_gate(
        self, engine: Engine, make_peft: MakePeft, tmp_path: Path
    ) -> None:
        folder = make_peft(rank_pattern={"q_proj": 8})
        with zipfile.ZipFile(tmp_path / "packed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in folder.iterdir():
                archive.write(file, f"some/where/{file.name}")
        with (tmp_path / "packed.zip").open("rb") as upload:
            job = engine.import_adapter(("packed.zip", upload), "foreign")
        result = done(engine, job)
        assert (result["status"], result["notice"]) == ("ready", None)
        assert result["parity"]["ok"] is True  # type: ignore[call-overload,index]
        assert not list((engine.settings.home / "uploads").iterdir())
        adapter = engine.repositories.adapters.by_name("foreign")
        files = sorted(file.name for file in adapter.path.parent.iterdir())
        assert files == ["README.md", "adapter.gguf", "card.json", "peft"]
        assert engine.offering.standing(adapter) == "ready"
        assert not list(engine.settings.adapters_dir.glob(".incoming-*"))

    def test_a_gguf_adapter_is_converted_back_and_compared(self, engine: Engine, taught: Adapter) -> None:
        result = done(engine, engine.import_adapter(taught.path, "foreign"))
        assert result["parity"]["ok"] is True  # type: ignore[call-overload,index]
        original = load_file(taught.path.parent / "peft" / "adapter_model.safetensors")
        back = load_file(Path(str(result["path"])).parent / "peft" / "adapter_model.safetensors")
        assert back.keys() == original.keys()
        assert all(torch.equal(back[name], original[name]) for name in original)

    @pytest.mark.parametrize("form", ["peft", "gguf"])
    def test_for_another_base(
        self, form: str, engine: Engine, taught: Adapter, make_peft: MakePeft, write_tiny: Callable[..., None]
    ) -> None:
        write_tiny(engine.settings.models_dir / "wide.gguf", width=96)
        source = taught.path
        if form == "peft":
            source = make_peft("other")
            settings = json.loads((source / "adapter_config.json").read_text())
            (source / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": "some/tiny"}))
        message = failed(engine, engine.import_adapter(source, "foreign", base="wide"))
        assert message.startswith("adapter:")
        assert f"made for {'some/tiny' if form == 'peft' else 'llama'}." in message
        assert [adapter.name for adapter in engine.repositories.adapters.list()] == ["my shop"]
        assert [folder.name for folder in engine.settings.adapters_dir.iterdir()] == ["taught"]

    @pytest.mark.parametrize(("value", "message"), [(0.0, "changes nothing"), (float("nan"), "no numbers")])
    def test_without_effect_or_without_numbers(self, value: float, message: str, engine: Engine, make_peft: MakePeft) -> None:
        file = make_peft() / "adapter_model.safetensors"
        save_file({name: torch.full_like(t, value) if "lora_B" in name else t for name, t in load_file(file).items()}, file)
        assert message in failed(engine, engine.import_adapter(file.parent, "foreign"))
        assert list(engine.settings.adapters_dir.iterdir()) == []

    def test_a_taken_name(self, engine: Engine, taught: Adapter) -> None:
        with pytest.raises(ConflictError):
            engine.import_adapter(taught.path, "my shop")


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.usefixtures("all_threads")
def test_the_default_model_merged_with_an_adapter(chat_gguf: Path, tmp_path: Path) -> None:
    """Its weights are quantised, and its tokenizer and template are real."""
    from gguf import GGUFWriter

    rng = np.random.default_rng(0)
    writer = GGUFWriter(tmp_path / "adapter.gguf", "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    for block in range(0, 30, 3):
        for name, shape in (("attn_q", (576, 576)), ("ffn_down", (576, 1536))):
            tensor = f"blk.{block}.{name}.weight"
            writer.add_tensor(f"{tensor}.lora_a", rng.normal(0, 0.02, (4, shape[1])).astype(np.float32))
            writer.add_tensor(f"{tensor}.lora_b", rng.normal(0, 0.5, (shape[0], 4)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    task: dict[str, Json] = {"base": str(chat_gguf), "adapter": str(tmp_path / "adapter.gguf"), "quantisation": "Q8_0"}
    result = write_merged(task | {"target": str(tmp_path / "merged.gguf")}, lambda text: None)
    assert result["merged"]["ok"] is True  # type: ignore[call-overload,index]
    assert result["quantised"]["ok"] is True  # type: ignore[call-overload,index]
    assert effect_of(tmp_path / "adapter.gguf", chat_gguf) > 0.1
    found = prompting_of(tmp_path / "merged.gguf")
    assert found is not None
    assert (found.family.name, found.system.partition(",")[0]) == ("ChatML", "You are a helpful AI assistant named SmolLM")
