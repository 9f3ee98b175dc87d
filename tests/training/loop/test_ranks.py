"""One training shared by several processes: the same curve and the same weights as in one, whatever happens to one of them."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from engine.config import PROJECT_ROOT
from engine.domain import Json
from engine.errors import InputError
from engine.training import group
from engine.training.config import TrainingConfig
from engine.training.loop.ranks import ALONE, Together, parts
from engine.training.trainer import choose_trainer

SCRIPT = Path(__file__).with_name("several.py")
CONFIG = TrainingConfig(
    rank=4, alpha=8, epochs=4, batch_size=4, learning_rate=1e-2, checkpoint_every=3, eval_every=2, early_stopping_patience=0
)
NOISY = replace(CONFIG, dropout=0.1, anchor_weight=1.0)


@dataclass(frozen=True)
class Tokens:
    tokens: tuple[int, ...]


class TestParts:
    @given(st.lists(st.integers(1, 700), max_size=40), st.integers(1, 9))
    def test_every_example_is_in_one_part_and_no_part_is_much_longer(self, lengths: list[int], count: int) -> None:
        examples = [Tokens((number,) * length) for number, length in enumerate(lengths)]
        shares = parts(examples, count)
        assert len(shares) == count
        assert sorted(item.tokens for share in shares for item in share) == sorted(item.tokens for item in examples)
        filled = [sum(len(item.tokens) for item in share) for share in shares]
        assert max(filled) - min(filled) <= max(lengths, default=0)

    def test_one_process_keeps_their_order(self) -> None:
        examples = [Tokens((1,)), Tokens((2, 2)), Tokens((3,))]
        assert parts(examples, 1) == [examples]


class Outcomes:
    """What became of each training, by its name."""

    def __init__(self, folder: Path, found: dict[str, list[dict[str, Json]]]) -> None:
        self._folder, self._found = folder, found

    def first(self, name: str) -> dict[str, Json]:
        return self._found[name][0]

    def all(self, name: str) -> list[dict[str, Json]]:
        return self._found[name]

    def weights(self, folder: str) -> dict[str, torch.Tensor]:
        return load_file(self._folder / folder / "output/peft/adapter_model.safetensors")


def task(name: str, processes: int, config: TrainingConfig = CONFIG, folder: str = "", **more: Json) -> dict[str, Json]:
    return {"name": name, "processes": processes, "config": config.to_json(), "folder": folder or name, **more}


TASKS = [
    task("one", 1),
    task("two", 2),
    *(task(f"paused {count}", 2, folder=f"resumed {count}", at=5, wish="pause") for count in (1, 3)),
    *(task(f"resumed {count}", count) for count in (1, 3)),
    task("short", 2, short=1),
    task("kept", 2, at=3, wish="stop"),
    task("nan", 2, nan=1),
    task("noisy", 2, NOISY, general=True),
    task("noisy, paused", 2, NOISY, folder="noisy, resumed", general=True, at=5, wish="pause"),
    task("noisy, resumed", 2, NOISY, general=True),
    task("other data", 2, other_data=1),
]


@pytest.fixture(scope="module")
def outcomes(tiny_gguf: Path, tiny_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    folder = tmp_path_factory.mktemp("several")
    where = {"gguf": str(tiny_gguf), "copy": str(tiny_copy)}
    tasks = [{**each, **where, "folder": str(folder / str(each["folder"]))} for each in TASKS]
    (folder / "tasks.json").write_text(json.dumps(tasks))
    subprocess.run(
        [sys.executable, SCRIPT, folder / "tasks.json", folder / "results.json"],
        check=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"},
        timeout=120,
    )
    return Outcomes(folder, json.loads((folder / "results.json").read_text()))


def close(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.allclose(first[n], second[n], rtol=0, atol=1e-5) for n in first)


class TestSeveralProcesses:
    @pytest.mark.parametrize("name", ["two", "resumed 1", "resumed 3", "short"])
    def test_give_the_curve_and_the_weights_of_one(self, name: str, outcomes: Outcomes) -> None:
        assert len(outcomes.first("one")["losses"]) == 8
        assert outcomes.first(name)["losses"] == pytest.approx(outcomes.first("one")["losses"], rel=1e-5)
        assert outcomes.first(name)["best_step"] == outcomes.first("one")["best_step"]
        assert close(outcomes.weights(name), outcomes.weights("one"))

    def test_share_the_work(self, outcomes: Outcomes) -> None:
        taken = [outcome["seen"] for outcome in outcomes.all("two")]
        assert taken == [16, 16]

    def test_pause_together(self, outcomes: Outcomes) -> None:
        assert outcomes.first("paused 1")["error"] == "JobPaused"
        assert "step 5 of 8" in str(outcomes.first("paused 1")["message"])
        assert "error" not in outcomes.all("paused 1")[1]

    def test_compute_less_at_once_when_memory_runs_out_in_one_of_them(self, outcomes: Outcomes) -> None:
        (notice,) = outcomes.first("short")["notices"]
        assert "Memory ran out at step 1" in notice
        assert [outcome["largest"] for outcome in outcomes.all("short")][1] == 1

    def test_end_with_what_was_learnt_on_request(self, outcomes: Outcomes) -> None:
        kept = outcomes.first("kept")
        assert (kept["ending"], len(kept["losses"])) == ("asked", 3)
        assert kept["losses"] == pytest.approx(outcomes.first("one")["losses"][:3], rel=1e-5)
        assert outcomes.weights("kept")

    def test_refuse_a_step_that_is_no_number_in_one_of_them(self, outcomes: Outcomes) -> None:
        found = outcomes.first("nan")
        assert (found["ending"], found["best_step"]) == ("diverged", 4)
        assert "step 6" in str(found["notices"])
        assert "error" not in outcomes.all("nan")[1]

    def test_draw_the_same_numbers_after_a_pause(self, outcomes: Outcomes) -> None:
        assert outcomes.first("noisy, resumed")["losses"] == pytest.approx(outcomes.first("noisy")["losses"], rel=1e-5)
        assert close(outcomes.weights("noisy, resumed"), outcomes.weights("noisy"))
        assert outcomes.first("noisy")["losses"] != pytest.approx(outcomes.first("one")["losses"], rel=1e-3)

    def test_with_other_data_in_one_of_them_learn_nothing(self, outcomes: Outcomes) -> None:
        first, second = outcomes.all("other data")
        assert second["error"] == "TrainingError"
        assert "different data" in str(second["message"])
        assert "losses" not in first


class TestChoice:
    def test_unsloth_trains_in_one_process(self) -> None:
        several = Together(0, 2, torch.device("cpu"))
        with pytest.raises(InputError, match="one GPU") as caught:
            choose_trainer("unsloth", several)
        assert "peft" in (caught.value.hint or "")
        assert choose_trainer("auto", several).name == "peft"

    def test_without_a_launcher_a_process_is_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("WORLD_SIZE", raising=False)
        assert group.join() is ALONE
        assert not torch.distributed.is_initialized()
