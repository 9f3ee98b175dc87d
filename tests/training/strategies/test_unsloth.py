"""Training with the real Unsloth, in the mode that needs no GPU; what needs one runs where there is one."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from engine.cancellation import CancelToken
from engine.config import PROJECT_ROOT
from engine.domain import JobWish, Json
from engine.errors import JobPaused, TrainingError
from engine.training import worker
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExample, EncodedExamples, open_encoder
from engine.training.datasets.examples import examples_from_pairs
from engine.training.finetune import FinetuneSpec, finetune
from engine.training.loop.control import RunControl
from engine.training.run_folder import RunSpec, read_artifact, write_run
from engine.training.strategies import unsloth_trainer
from engine.training.strategies.lora_model import answer_loss as own_answer_loss
from engine.training.strategies.lora_model import lora_model
from engine.training.strategies.unsloth_model import answer_loss, in_one_row, in_rows
from engine.training.strategies.unsloth_trainer import UnslothTrainer, unsloth_installed
from engine.training.trainer import TrainingData, TrainingPaths, TrainingResult, choose_trainer

CONFIG = TrainingConfig(
    rank=4,
    alpha=8,
    epochs=3,
    batch_size=4,
    learning_rate=1e-2,
    eval_fraction=0.25,
    checkpoint_every=1,
    early_stopping_patience=0,
)
EXAMPLES = examples_from_pairs([(f"What is item {number}?", f"It is number {number * 7}.") for number in range(12)])
GUARD = PROJECT_ROOT / "tests" / "e2e" / "guard"
GONE_S = 30


@pytest.fixture(scope="module")
def installed() -> None:
    """Skips where Unsloth is not; fails where NEXUS_REQUIRE_UNSLOTH=1 says that it is."""
    if not unsloth_installed():
        missing = "Unsloth is not installed; `make setup` installs it"
        if os.environ.get("NEXUS_REQUIRE_UNSLOTH") == "1":
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.fixture(scope="module")
def items(tiny_gguf: Path) -> tuple[EncodedExample, ...]:
    with open_encoder(tiny_gguf) as encoder:
        return encoder.encode(EXAMPLES, 512).items


def unsloth_processes() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if unsloth_trainer.WORKER in child.cmdline()]


class Killer:
    """Kills the training's process, not Unsloth's, at a step; remembers Unsloth's."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.left_behind: list[psutil.Process] = []

    def __call__(self, event: Mapping[str, Json]) -> None:
        if event.get("step") == self.step and not self.left_behind:
            self.left_behind = unsloth_processes()
            self.left_behind[0].parent().kill()


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_a_killed_training_goes_on_is_served_as_trained_and_reaches_for_no_network(
    tiny_gguf: Path, training_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard_log = tmp_path / "guard.log"
    monkeypatch.setenv("PYTHONPATH", str(GUARD))
    monkeypatch.setenv("NEXUS_GUARD_LOG", str(guard_log))
    spec = FinetuneSpec("tiny", tiny_gguf, EXAMPLES, CONFIG, strategy="unsloth", id="run-1")
    folders = {"runs_dir": tmp_path / "runs", "cache_dir": training_cache, "adapters_dir": tmp_path / "adapters"}

    killer = Killer(step=4)
    with pytest.raises(TrainingError, match="killed"):
        finetune(spec, **folders, on_event=killer, cancel=CancelToken())
    assert killer.left_behind
    assert not psutil.wait_procs(killer.left_behind, timeout=GONE_S)[1]  # it went with its parent

    events: list[Mapping[str, Json]] = []
    worker.run(tmp_path / "runs" / spec.id, events.append)  # the killed process's part is done by this one: quicker to start
    card = read_artifact(tmp_path / "runs" / spec.id / "output").card
    assert any(str(event.get("text")).startswith("Resumed at step") for event in events)
    assert card["strategy"] == "unsloth"
    assert {"unsloth", "unsloth_zoo", "torch"} <= set(card["versions"])
    assert card["parity"]["ok"] is True
    assert card["samples"][0]["answers"][0]["question"].startswith("What is item")
    assert not unsloth_processes()
    assert "unsloth" not in sys.modules

    # The strategy that shares nothing with it but the loop learns the same from the same examples.
    write_run(tmp_path / "peft", RunSpec("run-2", "tiny", tiny_gguf, training_cache, CONFIG, "peft"), EXAMPLES)
    worker.run(tmp_path / "peft", lambda event: None)
    expected = read_artifact(tmp_path / "peft" / "output").card["curve"]
    assert [row["step"] for row in card["curve"]] == [row["step"] for row in expected]
    for name in ("loss", "eval_loss", "grad_norm", "learning_rate"):
        found = [row[name] for row in card["curve"]]
        assert found == [value and pytest.approx(value, rel=1e-3) for value in (row[name] for row in expected)], name
    assert set(card["curve"][0]) == set(expected[0])

    lines = [line.split("\t") for line in guard_log.read_text().splitlines()]
    assert not [line for line in lines if line[0] == "REFUSED"]
    assert any(unsloth_trainer.WORKER in line[2] for line in lines if line[0] == "GUARDED")


def train(
    items: tuple[EncodedExample, ...],
    config: TrainingConfig,
    paths: TrainingPaths,
    progress: Callable[[Mapping[str, Json]], None] = lambda event: None,
    control: RunControl | None = None,
) -> TrainingResult:
    data = TrainingData(EncodedExamples(items[:8]), EncodedExamples(items[8:]))
    return UnslothTrainer().train(data, config, paths, progress, control)


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_four_bits_and_a_wish_that_is_passed_on(items: tuple[EncodedExample, ...], tiny_copy: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=500, batch_size=8, quantise_base=True)
    rows: list[Mapping[str, Json]] = []
    control = RunControl()

    def progress(event: Mapping[str, Json]) -> None:
        if event["event"] == "progress":
            rows.append(event)
            control.hear(str(JobWish.PAUSE).encode())

    with pytest.raises(JobPaused):
        train(items, config, TrainingPaths(tiny_copy, tmp_path), progress, control)
    assert 1 <= len(rows) < 100
    exact = lora_model(TrainingPaths(tiny_copy, tmp_path), config)
    expected = own_answer_loss(exact, items[:8]).item() / sum(item.answer_length for item in items[:8])
    assert float(str(rows[0]["loss"])) == pytest.approx(expected, rel=0.1)
    assert abs(float(str(rows[0]["loss"])) - expected) > 1e-4  # it was four bits
    assert [path.suffix for path in (tmp_path / "checkpoints").rglob("*") if path.is_file()]
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pt", ".bin", ".pkl", ".pth")]


class TestChoice:
    def test_what_is_missing_is_said(
        self, items: tuple[EncodedExample, ...], tiny_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "prefix", str(tmp_path))  # an environment without it
        with pytest.raises(TrainingError, match="not installed") as caught:
            train(items, CONFIG, TrainingPaths(tiny_copy, tmp_path))
        assert "peft" in (caught.value.hint or "")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
    def test_is_not_chosen_without_a_gpu_but_can_be_asked_for(self) -> None:
        assert choose_trainer("auto").name == "peft"
        assert choose_trainer("unsloth").name == "unsloth"


class TestBatches:
    """On a model that Transformers has loaded: what is given to Unsloth's model is the same."""

    def test_packed_and_padded_rows_have_the_losses_of_single_examples(
        self, items: tuple[EncodedExample, ...], tiny_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = [items[0], EncodedExample(items[1].tokens[:-4], items[1].prompt_length), items[2]]
        model = lora_model(TrainingPaths(tiny_copy, tmp_path), replace(CONFIG, dropout=0)).eval()
        expected = sum(own_answer_loss(model, [item]).item() for item in batch)
        assert answer_loss(model, batch).item() == pytest.approx(expected, rel=1e-4)
        monkeypatch.setattr("engine.training.strategies.unsloth_model.UNPACKED", (model.config.model_type,))
        assert answer_loss(model, batch).item() == pytest.approx(expected, rel=1e-4)

    def test_only_answers_have_labels(self) -> None:
        batch = [EncodedExample((5, 6, 7, 8), 2), EncodedExample((9, 10), 1)]
        packed = {name: tensor.tolist() for name, tensor in in_one_row(batch).items()}
        assert packed == {
            "input_ids": [[5, 6, 7, 8, 9, 10]],
            "position_ids": [[0, 1, 2, 3, 0, 1]],
            "labels": [[-100, -100, 7, 8, -100, 10]],
        }
        padded = {name: tensor.tolist() for name, tensor in in_rows(batch).items()}
        assert padded["input_ids"] == [[5, 6, 7, 8], [9, 10, 0, 0]]
        assert padded["labels"] == [[-100, -100, 7, 8], [-100, 10, -100, -100]]

    def test_no_prompt_means_that_the_first_token_is_not_learnt(self) -> None:
        assert in_one_row([EncodedExample((5, 6), 0)])["labels"].tolist() == [[-100, 6]]


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("quantise_base", [False, True])
def test_learns_on_a_gpu(quantise_base: bool, items: tuple[EncodedExample, ...], tiny_copy: Path, tmp_path: Path) -> None:
    assert choose_trainer("auto").name == "unsloth"
    result = train(items, replace(CONFIG, epochs=10, quantise_base=quantise_base), TrainingPaths(tiny_copy, tmp_path))
    losses = [float(str(row["loss"])) for row in result.curve]
    assert losses[-1] < 0.8 * losses[0]
    assert float(str(result.curve[-1]["gpu_memory_peak"])) > 0
    assert (result.peft_dir / "adapter_model.safetensors").is_file()
    assert json.loads((result.peft_dir / "adapter_config.json").read_text())["r"] == CONFIG.rank
