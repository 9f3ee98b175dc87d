"""What every training strategy offers, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from engine.domain import Json, Strategy
from engine.errors import InputError
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExamples
from engine.training.loop.control import RunControl
from engine.training.loop.ranks import ALONE, Ranks

Progress = Callable[[Mapping[str, Json]], None]
"""Receives the event `progress` after each step, and `message` in between.

A `message` has its `text`, and `notice` where a person should see it for more than a moment. A `progress` event has the row
of its step (`TrainingResult.curve`), `steps` of the whole training, and `eta_s`, seconds left.
"""


@dataclass(frozen=True, slots=True)
class SampleQuestion:
    """A question that the model answers while it is trained, so that a person sees what it says."""

    question: str
    expected: str
    prompt: tuple[int, ...]
    """The tokens that are answered."""
    taught: bool = False
    """Whether this very example is learnt: asked where nothing is held out."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The questions that are answered at each look, and how tokens become text."""

    questions: tuple[SampleQuestion, ...] = ()
    text_of: Callable[[Sequence[int]], str] = lambda tokens: ""
    """The text of tokens, special ones left out."""
    end_tokens: frozenset[int] = frozenset()
    """Tokens that end an answer."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Encoded examples to learn from and to measure with."""

    train: EncodedExamples
    held_out: EncodedExamples
    samples: Samples = Samples()
    general: tuple[int, ...] = ()
    """Tokens of general text, on which a model is held to what it predicted before (`anchor`)."""


@dataclass(frozen=True, slots=True)
class TrainingPaths:
    """Where a trainer finds the dequantised base, and where it works."""

    base_folder: Path
    run_dir: Path

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.run_dir / "checkpoints"

    @property
    def metrics(self) -> Path:
        """JSON Lines of all steps so far."""
        return self.run_dir / "metrics.jsonl"

    @property
    def output(self) -> Path:
        """Folder of what is kept of the run: adapter.gguf, peft/ and card.json."""
        return self.run_dir / "output"

    @property
    def peft_dir(self) -> Path:
        """Folder of the finished adapter in PEFT's form."""
        return self.output / "peft"


class Ending(StrEnum):
    """Why a training ended."""

    COMPLETE = "complete"
    """All steps were taken."""
    LEARNT = "learnt"
    """The training loss of an epoch was below `stop_at_loss`."""
    NO_GAIN = "no gain"
    """Nothing got better for `early_stopping_patience` looks."""
    ASKED = "asked"
    """Someone asked for it to end and be kept."""
    DIVERGED = "diverged"
    """The loss or a gradient was no longer a number."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A finished training: the adapter's folder in PEFT's form, and its loss curve."""

    peft_dir: Path
    curve: tuple[Mapping[str, Json], ...]
    """One row a step.

    step, epoch, loss (nats an answer token), eval_loss (of the held-out part, None where it was not measured), learning_rate,
    grad_norm (before clipping), tokens_per_s, seconds, memory and memory_peak (of the process, bytes); with a GPU gpu_memory,
    gpu_memory_peak (bytes) and gpu_temperature (°C); at a look samples: question, expected, answer, taught.
    """
    stopped_early: bool = False
    ending: Ending = Ending.COMPLETE
    best_step: int | None = None
    """The step whose weights are kept; None: the last one's."""
    notices: tuple[str, ...] = ()
    """What a person should know of how it went, such as that it ran out of memory and went on with smaller batches."""


@dataclass(frozen=True, slots=True)
class AdapterArtifact:
    """A fine-tuned adapter that is ready to be served: its files and its card."""

    id: str
    gguf_path: Path
    peft_dir: Path
    card: Mapping[str, Json] = field(default_factory=dict)
    """Base and data hashes, settings, loss curve, evaluation, parity, durations, versions."""


class Trainer(Protocol):
    """Trains a LoRA adapter on a dequantised base."""

    name: str

    def train(
        self,
        data: TrainingData,
        config: TrainingConfig,
        paths: TrainingPaths,
        progress: Progress,
        control: RunControl | None = None,
    ) -> TrainingResult:
        """Train, resuming from the latest checkpoint in the run's folder where there is one.

        Between steps it looks at `control`: `pause` asks for a checkpoint and `JobPaused`, `stop` for the end.

        Raises:
            JobPaused: someone asked for it.
            TrainingError: it failed, or the strategy cannot run on this machine.
        """
        ...


def choose_trainer(strategy: Strategy = "auto", ranks: Ranks = ALONE) -> Trainer:
    """The named strategy; `auto` takes Unsloth where it is installed and a CUDA device is there, else PEFT.

    Several processes (`ranks`) train with PEFT.

    Raises:
        InputError: no such strategy, or it does not train in several processes.
    """
    if ranks.count > 1:
        return _shared(strategy, ranks)
    if strategy == "auto":
        strategy = "unsloth" if _unsloth_can_run() else "peft"
    if strategy not in TRAINERS:
        raise InputError(f"There is no training strategy {strategy!r}.", hint=f"Choose auto, {', '.join(TRAINERS)}.")
    return TRAINERS[strategy]()


def _shared(strategy: Strategy, ranks: Ranks) -> Trainer:
    """What trains in several processes."""
    if strategy == "unsloth":
        raise InputError("Unsloth trains in one process, on one GPU.", hint="Choose one process, or the strategy peft.")
    from engine.training.strategies.peft_trainer import PeftTrainer

    return PeftTrainer(ranks)


def _peft() -> Trainer:
    from engine.training.strategies.peft_trainer import PeftTrainer

    return PeftTrainer()


def _unsloth() -> Trainer:
    from engine.training.strategies.unsloth_trainer import UnslothTrainer

    return UnslothTrainer()


TRAINERS: dict[str, Callable[[], Trainer]] = {"peft": _peft, "unsloth": _unsloth}


def _unsloth_can_run() -> bool:
    """Whether Unsloth is installed and PyTorch sees a CUDA device."""
    from engine.training.strategies.unsloth_trainer import unsloth_installed

    if not unsloth_installed():
        return False
    import torch

    return bool(torch.cuda.is_available())
