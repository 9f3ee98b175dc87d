"""Jobs that add a model file and make a faster copy of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.container import Engine
from engine.domain import Job, JobState
from engine.errors import CancelledError, ConflictError, InputError, ModelFileError, NotFoundError
from engine.handlers.models import add_model
from engine.jobs import JobContext
from engine.llm.llamacpp.weights.record import WeightRecord

pytestmark = pytest.mark.models


def run(engine: Engine, job: Job) -> Job:
    ended = engine.worker.run_one(job.id)
    assert ended is not None
    return ended


@pytest.fixture
def stopped_when(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Has every job stopped as soon as it says something that begins so; gives all that was said."""
    report = JobContext.progress

    def stop(beginning: str) -> list[str]:
        said: list[str] = []

        def progress(self: JobContext, fraction: float, message: str) -> None:
            assert 0.0 <= fraction <= 1.0
            said.append(message)
            report(self, fraction, message)
            if message.startswith(beginning):
                self.cancel.cancel()

        monkeypatch.setattr(JobContext, "progress", progress)
        return said

    return stop


def folder_of(engine: Engine) -> list[str]:
    folder = engine.settings.models_dir
    return sorted(path.name for path in folder.rglob("*") if path.suffix != ".json") if folder.exists() else []


def test_a_model_is_copied_by_a_job(engine: Engine, chat_gguf: Path) -> None:
    job = engine.add_model_later(chat_gguf)
    assert engine.add_model_later(chat_gguf).id == job.id
    assert folder_of(engine) == []
    assert (ended := run(engine, job)).state is JobState.SUCCEEDED, ended.error
    assert [model.name for model in engine.registry.list()] == [chat_gguf.stem]
    assert ended.result == {"model": chat_gguf.stem}
    with pytest.raises(ConflictError):
        engine.add_model_later(chat_gguf)
    # Its process went away after the last step, so it is done again.
    again = add_model(engine, JobContext(job, engine.jobs, "nobody"))
    assert again == ended.result


def test_what_another_put_there_meanwhile_is_not_taken_for_the_copy(engine: Engine, chat_gguf: Path) -> None:
    run(engine, engine.add_model_later(chat_gguf))
    late = engine.jobs.submit("add-model", {"name": chat_gguf.name, "path": str(chat_gguf)})
    ended = run(engine, late)
    assert ended.error is not None
    assert ended.error["code"] == "conflict"


@pytest.fixture
def namesake(chat_gguf: Path, tmp_path: Path) -> Path:
    """Another model with the name and the size of the default one."""
    path = tmp_path / "elsewhere" / chat_gguf.name
    path.parent.mkdir()
    data = bytearray(chat_gguf.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    return path


def test_of_two_files_of_one_name_only_the_one_that_was_added_is_said_to_be(
    engine: Engine, chat_gguf: Path, namesake: Path
) -> None:
    jobs = [
        engine.jobs.submit("add-model", {"name": path.name, "path": str(path)}) for path in (chat_gguf, namesake, chat_gguf)
    ]
    first, second, again = [run(engine, job) for job in jobs]
    assert [first.state, second.state, again.state] == [JobState.SUCCEEDED, JobState.FAILED, JobState.SUCCEEDED]
    assert second.error
    assert second.error["code"] == "conflict"


def test_a_second_file_of_a_name_that_is_being_added_is_refused(engine: Engine, chat_gguf: Path, namesake: Path) -> None:
    job = engine.add_model_later(chat_gguf)
    with pytest.raises(ConflictError, match="being added"):
        engine.add_model_later(namesake)
    assert engine.jobs.list() == [job]


def test_a_copy_that_is_stopped_leaves_nothing(
    engine: Engine, chat_gguf: Path, stopped_when: Callable[[str], list[str]]
) -> None:
    said = stopped_when("Copying: 9")
    assert run(engine, engine.add_model_later(chat_gguf)).state is JobState.ABORTED
    assert said[0] == "Checking the file"
    assert said[-1].startswith("Copying: 10 ")  # the next step ends it
    assert folder_of(engine) == []


def test_what_cannot_be_added_makes_no_job(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(20))
    with pytest.raises(ModelFileError):
        engine.add_model_later(tmp_path / "bad.gguf")
    with pytest.raises(NotFoundError):
        engine.add_model_later(tmp_path / "none.gguf")
    assert engine.jobs.list() == []


@pytest.fixture
def added(engine: Engine, chat_gguf: Path) -> str:
    """The default model in the models folder, as a link."""
    engine.settings.models_dir.mkdir()
    (engine.settings.models_dir / chat_gguf.name).symlink_to(chat_gguf)
    return chat_gguf.stem


def test_a_conversion_that_is_stopped_leaves_nothing(
    engine: Engine, added: str, stopped_when: Callable[[str], list[str]]
) -> None:
    said = stopped_when("Converting")
    job = engine.optimise_later(added, "q8_0")
    assert engine.optimise_later(added).id == job.id
    assert run(engine, job).state is JobState.ABORTED
    assert said == ["Reading the model file", "Converting"]
    assert folder_of(engine) == [".optimised", f"{added}.gguf"]
    assert engine.weights.record(engine.registry.path(added)) is None


def test_a_conversion_can_be_stopped_while_the_model_is_read(
    engine: Engine, added: str, stopped_when: Callable[[str], list[str]]
) -> None:
    said = stopped_when("Reading")
    assert run(engine, engine.optimise_later(added, "q8_0")).state is JobState.ABORTED
    assert said == ["Reading the model file"]
    assert folder_of(engine) == [".optimised", f"{added}.gguf"]


class Played:
    """Stands in for the conversion."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def optimise(
        self, model: Path, form: str | None, report: Callable[[float], None], stop: Callable[[], bool]
    ) -> WeightRecord:
        assert not stop()
        for share in (0.0, 0.5, 1.0):
            report(share)
        if self.error is not None:
            raise self.error
        return WeightRecord(model.name, 1, "", form or "bf16", "bf16 is 2.00 × as fast", "", "")


def test_a_conversion_says_what_came_of_it(engine: Engine, added: str, stopped_when: Callable[[str], list[str]]) -> None:
    said = stopped_when("never")
    engine.made["weights"] = Played()
    ended = run(engine, engine.optimise_later(added))
    assert ended.result == {"model": added, "format": "bf16", "reason": "bf16 is 2.00 × as fast"}
    assert said == ["Reading the model file", "Converting", "Converting", "Measuring"]


@pytest.mark.parametrize(
    ("error", "code"), [(CancelledError("Making a copy took longer than 60 s."), "model"), (InputError("No."), "invalid_input")]
)
def test_a_conversion_that_fails_says_why(engine: Engine, added: str, error: Exception, code: str) -> None:
    engine.made["weights"] = Played(error)
    ended = run(engine, engine.optimise_later(added))
    assert (ended.state, ended.error and ended.error["code"]) == (JobState.FAILED, code)
    assert ended.error
    assert ended.error["message"] == str(error)


def test_an_encoder_has_no_faster_copy(engine: Engine, models_dir: Path) -> None:
    engine.settings.models_dir.mkdir()
    (engine.settings.models_dir / "all-MiniLM-L6-v2").symlink_to(models_dir / "all-MiniLM-L6-v2")
    with pytest.raises(ConflictError):
        engine.optimise_later("all-MiniLM-L6-v2")
