"""What can be the base of a fine-tune, and the training copy that is made of it."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import gguf
import numpy as np
import pytest
import torch
from gguf.quants import dequantize, quantize
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from engine.domain import Message
from engine.errors import ModelFileError, StorageError
from engine.training.bases import copying
from engine.training.bases.base_model import base_notices, copy_source, load_base, require_trainable, training_copy
from engine.training.datasets.encoding import open_encoder
from engine.training.datasets.examples import TrainingExample

if TYPE_CHECKING:
    from conftest import TinyModel

Tensors = dict[str, np.ndarray]


@pytest.fixture
def tiny(make_tiny: Callable[[str], TinyModel]) -> TinyModel:
    return make_tiny("Llama")


def rewritten(
    source: Path,
    target: Path,
    *,
    architecture: str = "llama",
    figures: dict[str, object] | None = None,
    tensors: Tensors | None = None,
    kind: gguf.GGMLQuantizationType | None = None,
    split: int = 0,
) -> Path:
    """A copy of a file with some things changed; with `split`, in two parts, the first of so many tensors."""
    reader = gguf.GGUFReader(source)
    all_tensors = {tensor.name: np.array(tensor.data) for tensor in reader.tensors} | (tensors or {})
    options = {"split_max_tensors": split} if split else {}
    writer = gguf.GGUFWriter(target, architecture, **options)
    for name, item in reader.fields.items():
        if not name.startswith(("GGUF.", "general.architecture")):
            renamed = name.replace("llama.", f"{architecture}.", 1)
            writer.add_key_value(renamed, item.contents(), item.types[0], item.types[-1] if len(item.types) > 1 else None)
    for name, value in (figures or {}).items():
        add = writer.add_uint32 if isinstance(value, int) else writer.add_string
        add(name if name.startswith("tokenizer.") else f"{architecture}.{name}", value)
    for name, tensor in all_tensors.items():
        quantised = kind is not None and tensor.ndim == 2
        writer.add_tensor(name, quantize(tensor, kind) if quantised else tensor, raw_dtype=kind if quantised else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


class TestRefusals:
    """All of these are refused from the header, before anything is written."""

    def refuse(self, file: Path, tmp_path: Path, message: str) -> str:
        with pytest.raises(ModelFileError, match=message) as caught:
            require_trainable(file)
        with pytest.raises(ModelFileError, match=message):
            training_copy(file, tmp_path / "cache")
        assert not (tmp_path / "cache").exists()
        return caught.value.hint or ""

    @pytest.mark.parametrize("architecture", ["mamba", "qwen2moe", "rwkv7", "gemma3n"])
    def test_other_architectures(self, tiny: TinyModel, tmp_path: Path, architecture: str) -> None:
        file = rewritten(tiny.gguf, tmp_path / "odd.gguf", architecture=architecture)
        assert "phi3" in self.refuse(file, tmp_path, f"odd.gguf has the architecture '{architecture}'")

    def test_a_mixture_of_experts(self, tiny: TinyModel, tmp_path: Path) -> None:
        file = rewritten(tiny.gguf, tmp_path / "odd.gguf", figures={"expert_count": 8, "expert_used_count": 2})
        assert self.refuse(file, tmp_path, "mixture of experts")

    def test_a_tensor_that_the_family_does_not_have(self, tiny: TinyModel, tmp_path: Path) -> None:
        file = rewritten(tiny.gguf, tmp_path / "odd.gguf", tensors={"blk.0.attn_sinks.weight": np.ones(4, np.float32)})
        assert self.refuse(file, tmp_path, r"blk\.0\.attn_sinks\.weight")

    def test_positions_scaled_by_an_unknown_rule(self, tiny: TinyModel, tmp_path: Path) -> None:
        figures: dict[str, object] = {"rope.scaling.type": "dynamic", "rope.scale_linear": 4}
        self.refuse(rewritten(tiny.gguf, tmp_path / "odd.gguf", figures=figures), tmp_path, "scaled by 'dynamic'")

    def test_values_narrower_than_keys(self, tiny: TinyModel, tmp_path: Path) -> None:
        source = tiny.gguf.read_bytes()
        key = b"llama.attention.value_length" + (4).to_bytes(4, "little")
        at = source.index(key) + len(key)
        (tmp_path / "odd.gguf").write_bytes(source[:at] + (8).to_bytes(4, "little") + source[at + 4 :])
        self.refuse(tmp_path / "odd.gguf", tmp_path, "values are not as wide as its keys")

    def test_no_gguf(self, tmp_path: Path) -> None:
        (tmp_path / "odd.gguf").write_bytes(b"GGUF but no more")
        self.refuse(tmp_path / "odd.gguf", tmp_path, r"odd\.gguf")


class TestCopies:
    @pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q5_1", "Q4_0"])
    def test_every_type_is_dequantised(self, tiny: TinyModel, tmp_path: Path, kind: str) -> None:
        form = gguf.GGMLQuantizationType[kind]
        copy = training_copy(rewritten(tiny.gguf, tmp_path / "tiny.gguf", kind=form), tmp_path / "cache")
        weight = tiny.model.state_dict()["model.layers.1.mlp.down_proj.weight"].numpy()
        expected = dequantize(quantize(weight, form), form)
        found = load_base(copy, "float32").state_dict()["model.layers.1.mlp.down_proj.weight"].numpy()
        assert np.array_equal(found, expected)
        assert copy_source(copy) == {"weights": "dequantised", "passed_over": {}}
        width = 2 if kind in ("F16", "BF16") else 4
        assert load_file(copy / "model.safetensors")["model.layers.1.mlp.down_proj.weight"].itemsize == width

    def test_a_file_with_other_contents_gets_another_copy(self, tiny: TinyModel, tmp_path: Path) -> None:
        file = tmp_path / "tiny.gguf"
        file.write_bytes(tiny.gguf.read_bytes())
        first = training_copy(file, tmp_path / "cache")
        stat = file.stat()
        data = bytearray(file.read_bytes())
        data[-3] ^= 1
        file.write_bytes(bytes(data))
        assert file.stat().st_size == stat.st_size
        assert training_copy(file, tmp_path / "cache") != first

    def test_the_same_contents_under_another_name_share_a_copy(self, tiny: TinyModel, tmp_path: Path) -> None:
        (tmp_path / "other.gguf").write_bytes(tiny.gguf.read_bytes())
        assert training_copy(tmp_path / "other.gguf", tmp_path) == training_copy(tiny.gguf, tmp_path)

    def test_large_models_are_written_in_several_files(
        self, tiny: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = load_base(training_copy(tiny.gguf, tmp_path / "whole"), "float32").state_dict()
        monkeypatch.setattr(copying, "SHARD_BYTES", 50_000)
        copy = training_copy(tiny.gguf, tmp_path / "parts")
        assert len(list(copy.glob("*.safetensors"))) > 2
        parts = load_base(copy, "float32").state_dict()
        assert all(torch.equal(parts[name], tensor) for name, tensor in whole.items())

    def test_a_model_in_several_files(self, tiny: TinyModel, tmp_path: Path) -> None:
        rewritten(tiny.gguf, tmp_path / "tiny.gguf", split=12)
        first = tmp_path / "tiny-00001-of-00002.gguf"
        copy = load_base(training_copy(first, tmp_path / "cache"), "float32").state_dict()
        assert all(torch.allclose(copy[name], tensor, atol=1e-6) for name, tensor in tiny.model.state_dict().items())
        before = training_copy(first, tmp_path / "cache")
        second = tmp_path / "tiny-00002-of-00002.gguf"
        data = bytearray(second.read_bytes())
        data[-3] ^= 1
        second.write_bytes(bytes(data))
        assert training_copy(first, tmp_path / "cache") != before

    def test_a_copy_without_all_weights_is_not_filled_up_with_random_ones(self, tiny: TinyModel, tmp_path: Path) -> None:
        copy = training_copy(tiny.gguf, tmp_path)
        tensors = load_file(copy / "model.safetensors")
        del tensors["model.layers.1.mlp.up_proj.weight"]
        save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ModelFileError, match=r"layers\.1\.mlp\.up_proj") as caught:
            load_base(copy, "float32")
        assert "Delete" in (caught.value.hint or "")

    def test_nothing_in_the_copy_can_run(self, tiny: TinyModel, tmp_path: Path) -> None:
        copy = training_copy(tiny.gguf, tmp_path)
        assert sorted(file.suffix for file in copy.iterdir()) == [".json", ".json", ".safetensors"]
        assert "auto_map" not in json.loads((copy / "config.json").read_text())


class TestDamage:
    @pytest.mark.parametrize("family", ["Llama 3.1", "Gemma 4, small", "Phi 4 mini"])
    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_a_damaged_header_is_refused_or_makes_no_difference(
        self, make_tiny: Callable[[str], TinyModel], tmp_path_factory: pytest.TempPathFactory, family: str, data: st.DataObject
    ) -> None:
        whole = make_tiny(family).gguf.read_bytes()
        places = st.integers(8, whole.index(b"tokenizer.ggml.tokens")) | st.integers(
            whole.index(b"token_embd.weight"), whole.index(b"blk.1.")
        )
        damaged = bytearray(whole)
        for at in data.draw(st.lists(places, min_size=1, max_size=2)):
            damaged[at] = data.draw(st.sampled_from([0, 1, 2, 127, 128, 255, damaged[at] ^ 1]))
        folder = tmp_path_factory.mktemp("damaged")
        (folder / "tiny.gguf").write_bytes(bytes(damaged))
        with suppress(ModelFileError):  # anything else is a failure
            load_base(training_copy(folder / "tiny.gguf", folder), "float32")
        shutil.rmtree(folder)

    def test_a_full_disk_leaves_nothing_behind(self, tiny: TinyModel, tmp_path: Path) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        try:
            with pytest.raises(StorageError, match=r"tiny\.gguf") as caught:
                training_copy(tiny.gguf, tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert "disk space" in (caught.value.hint or "")
        assert list((tmp_path / "training").iterdir()) == []
        load_base(training_copy(tiny.gguf, tmp_path), "float32")

    @pytest.mark.parametrize("width", [352, 2_130_706_528])
    def test_figures_that_the_weights_do_not_bear_out(self, tiny: TinyModel, tmp_path: Path, width: int) -> None:
        file = rewritten(tiny.gguf, tmp_path / "odd.gguf", figures={"feed_forward_length": width})
        with pytest.raises(ModelFileError, match=f"but its figures ask for .*{width}"):
            training_copy(file, tmp_path)
        assert list((tmp_path / "training").iterdir()) == []

    @pytest.mark.parametrize(
        "figure",
        ["attention.shared_kv_layers", "attention.value_length_swa", "rope.dimension_count", "rope.dimension_count_swa"],
    )
    def test_figures_of_gemma_4_that_make_no_sense(
        self, make_tiny: Callable[[str], TinyModel], tmp_path: Path, figure: str
    ) -> None:
        source = make_tiny("Gemma 4, small").gguf.read_bytes()
        key = f"gemma4.{figure}".encode() + (4).to_bytes(4, "little")
        at = source.index(key) + len(key)
        (tmp_path / "odd.gguf").write_bytes(source[:at] + (1 << 30).to_bytes(4, "little") + source[at + 4 :])
        with pytest.raises(ModelFileError, match=r"layers use the keys of others|its heads are not rotated as a whole"):
            require_trainable(tmp_path / "odd.gguf")

    @pytest.mark.parametrize("factors", [np.ones(3), np.zeros(8), np.full(8, np.nan)])
    def test_frequencies_that_make_no_sense(self, tiny: TinyModel, tmp_path: Path, factors: np.ndarray) -> None:
        tensors = {"rope_freqs.weight": factors.astype(np.float32)}
        with pytest.raises(ModelFileError, match="8 positive numbers"):
            require_trainable(rewritten(tiny.gguf, tmp_path / "odd.gguf", tensors=tensors))


class TestWithoutChatTemplate:
    def test_chatml_is_used_and_answers_end_with_the_end_token(self, tiny: TinyModel) -> None:
        with open_encoder(tiny.gguf) as encoder:
            example = encoder.encode_example(TrainingExample((Message("user", "Hi"),), "Yes."))
        text = bytes(token - 5 for token in example.tokens if 5 <= token < 261).decode()
        assert text == "user\nHi\nassistant\nYes."
        assert example.tokens[-1] == 4

    def test_it_is_said(self, tiny: TinyModel, tmp_path: Path) -> None:
        base, copy = require_trainable(tiny.gguf), training_copy(tiny.gguf, tmp_path)
        assert base_notices(base, copy) == (
            "tiny.gguf has no chat template. Conversations are written as ChatML, in training as in chat.",
        )
        template: dict[str, object] = {"tokenizer.chat_template": "{{ messages }}"}
        file = rewritten(tiny.gguf, tmp_path / "tiny.gguf", figures=template)
        assert base_notices(require_trainable(file), copy) == ()
