"""Plans and rehearsals through the engine and the command line, over a tiny model."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli.root import root
from engine.config import Settings
from engine.container import Engine
from engine.domain import JobState
from engine.errors import InputError, ModelFileError, NotFoundError
from engine.training.planning.fit import Fit

RUN = CliRunner()


@pytest.fixture
def settings(tmp_path: Path, tiny_gguf: Path) -> Settings:
    return Settings(home=tmp_path / "home", models_dir=tiny_gguf.parent, default_model="tiny")


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    with Engine(settings) as engine:
        yield engine


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    rows = [{"question": f"What is item {i}?", "answer": f"It is {'very ' * (i % 5)}small."} for i in range(20)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class TestEngine:
    def test_what_was_rehearsed_is_what_the_plan_says(self, engine: Engine, pairs: Path) -> None:
        changes = {"batch_size": 2, "rank": 4}
        job = engine.rehearse_finetune(dataset=pairs, settings=changes, strategy="peft")
        engine.worker.run_one(job.id)
        ended = engine.jobs.get(job.id)
        assert ended.state is JobState.SUCCEEDED, ended.error
        assert not (engine.settings.runs_dir / job.id).exists()
        assert not [*engine.settings.adapters_dir.glob("*")]

        work = engine.workload(dataset=pairs)
        assert work.examples == 18  # a tenth is kept back
        measured = engine.plan_finetune(work, settings=changes, strategy="peft")
        assert measured.rehearsal is not None
        assert measured.needed == measured.rehearsal.memory
        assert (ended.result or {})["measured"] == measured.rehearsal.to_json()
        assert measured.fit is Fit.FITS
        assert measured.memory.total == pytest.approx(measured.needed, rel=0.35)
        slower = engine.plan_finetune(work, settings=changes | {"epochs": 100}, strategy="peft")
        assert slower.rehearsal == measured.rehearsal
        assert (slower.seconds or 0) > (measured.seconds or 0)
        assert engine.plan_finetune(work, settings={"rank": 8}, strategy="peft").rehearsal is None

    @pytest.mark.slow
    def test_the_formula_is_within_a_fifth_of_what_the_default_model_takes(
        self, chat_gguf: Path, tmp_path: Path, pairs: Path
    ) -> None:
        changes = {"batch_size": 2, "dtype": "float32"}
        with Engine(Settings(home=tmp_path / "home", models_dir=chat_gguf.parent)) as engine:
            job = engine.rehearse_finetune(dataset=pairs, settings=changes, strategy="peft")
            engine.worker.run_one(job.id)
            plan = engine.plan_finetune(engine.workload(dataset=pairs), settings=changes, strategy="peft")
        assert plan.rehearsal is not None
        if plan.device == "cpu":
            assert plan.memory.total == pytest.approx(plan.rehearsal.memory, rel=0.2)

    def test_what_cannot_be_planned_is_refused(self, engine: Engine, pairs: Path, tmp_path: Path) -> None:
        work = engine.workload(dataset=pairs)
        with pytest.raises(InputError):
            engine.plan_finetune(work, settings={"rank": 0})
        with pytest.raises(NotFoundError):
            engine.plan_finetune(work, base="absent")
        with pytest.raises(InputError):
            engine.rehearse_finetune(dataset=pairs, settings={"rnk": 1})
        with pytest.raises(InputError):
            engine.rehearse_finetune()
        broken = engine.settings.models_dir / "broken.gguf"
        broken.write_bytes(b"GGUF nothing more")
        try:
            with pytest.raises((ModelFileError, NotFoundError)):
                engine.plan_finetune(work, base="broken")
        finally:
            broken.unlink()


def test_the_command_line_estimates_and_trains_nothing(
    settings: Settings, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXUS_MODELS_DIR", str(settings.models_dir))
    monkeypatch.setenv("NEXUS_DEFAULT_MODEL", "tiny")
    command = ["--home", str(settings.home), "finetune", "--name", "x", "--dataset", str(pairs), "--estimate"]
    done = RUN.invoke(root, [*command, "--set", "rank=2", "--json"])
    assert done.exit_code == 0, done.output
    plan = json.loads(done.stdout.splitlines()[-1])
    assert (plan["examples"], plan["measured"], plan["fit"]) == (18, None, "fits")
    text = RUN.invoke(root, command)
    assert text.exit_code == 0
    assert "memory" in text.output
    assert RUN.invoke(root, [*command, "--set", "rank=many"]).exit_code == 1
    with Engine(settings) as engine:
        assert not engine.jobs.list("finetune")
