"""Three steps of a real training in a child process."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.cancellation import CancelToken
from engine.errors import CancelledError, ModelFileError, StorageError
from engine.machine import Hardware, inspect_hardware
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExample
from engine.training.planning.rehearsal import STEPS, Task
from engine.training.planning.rehearsals import FOLDER, Rehearsals

CONFIG = TrainingConfig(rank=4, alpha=8, batch_size=2, gradient_accumulation=2, max_sequence_length=64)
ITEMS = tuple(EncodedExample(tuple(range(3, 3 + length)), length // 2) for length in range(6, 46))
HASH = "0" * 64


@pytest.fixture
def task(tiny_gguf: Path, training_cache: Path) -> Task:
    return Task(tiny_gguf, training_cache, "peft", CONFIG, ITEMS)


@pytest.fixture(scope="module")
def machine() -> Hardware:
    return inspect_hardware()


@pytest.fixture
def rehearsals(tmp_path: Path, machine: Hardware) -> Rehearsals:
    return Rehearsals(tmp_path / "cache", machine)


def silent(event: object) -> None:
    """Listen to nothing."""


class TestShort:
    def test_has_the_longest_examples_and_usual_ones(self, task: Task) -> None:
        short = task.short()
        lengths = sorted((len(item.tokens) for item in short.items), reverse=True)
        assert lengths[:4] == [45, 44, 43, 42]
        assert min(lengths) < 15
        assert len(lengths) == STEPS * 4

    def test_keeps_what_a_step_takes(self, task: Task) -> None:
        short = task.short().config
        assert (short.batch_size, short.gradient_accumulation, short.rank, short.max_steps) == (2, 2, 4, STEPS)

    @pytest.mark.parametrize("count", [1, 3, 5])
    def test_few_examples_are_all_taken(self, task: Task, count: int) -> None:
        assert len(replace(task, items=ITEMS[:count]).short().items) == count

    def test_goes_through_json(self, task: Task) -> None:
        assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task


class TestTaken:
    def test_measures_and_remembers(self, task: Task, rehearsals: Rehearsals) -> None:
        assert rehearsals.find(task, HASH) is None
        taken = rehearsals.take(task, HASH, on_event=silent, cancel=CancelToken())
        assert 100e6 < taken.memory < 3e9
        assert taken.tokens_per_s > 0
        assert 0 < taken.step_s < 60
        assert taken.around_s > 0
        assert rehearsals.find(task, HASH) == taken
        same_work = replace(task, config=replace(CONFIG, learning_rate=1e-4, epochs=3, alpha=1))
        assert rehearsals.find(same_work, HASH) == taken
        assert [file.suffix for file in (rehearsals.cache_dir / FOLDER).iterdir()] == [".json"]  # nothing else is left

        for other in (replace(CONFIG, rank=8), replace(CONFIG, batch_size=1), replace(CONFIG, dtype="bfloat16")):
            assert rehearsals.find(replace(task, config=other), HASH) is None
        assert rehearsals.find(replace(task, items=ITEMS[:5]), HASH) is None
        assert rehearsals.find(task, "1" * 64) is None
        assert Rehearsals(rehearsals.cache_dir, replace(rehearsals.machine, cpu="another")).find(task, HASH) is None

        (file,) = (rehearsals.cache_dir / FOLDER).iterdir()
        for damaged in ("", "[]", '{"memory": "much"}', "\x00"):
            file.write_text(damaged)
            assert rehearsals.find(task, HASH) is None

    def test_cancelled(self, task: Task, rehearsals: Rehearsals) -> None:
        cancel = CancelToken()
        with pytest.raises(CancelledError):
            rehearsals.take(task, HASH, on_event=lambda event: cancel.cancel(), cancel=cancel)
        assert not [*(rehearsals.cache_dir / FOLDER).iterdir()]

    def test_what_the_child_refuses_is_raised_here(self, task: Task, rehearsals: Rehearsals, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match="gone"):
            rehearsals.take(replace(task, base_gguf=tmp_path / "gone.gguf"), HASH, on_event=silent, cancel=CancelToken())

    def test_a_cache_that_cannot_be_written(self, task: Task, tmp_path: Path, machine: Hardware) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(StorageError):
            Rehearsals(tmp_path / "file", machine).take(task, HASH, on_event=silent, cancel=CancelToken())
