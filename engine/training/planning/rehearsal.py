"""Three real steps of a training, to see what it takes here: the longest examples for memory, usual ones for time.

They are taken by the trainer itself in a process of its own (`python -m engine.training.planning.rehearsal FOLDER`), so that
whatever it does to save memory or time is measured along, and nothing of it stays: no checkpoint, no adapter, no memory.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from engine.child_process import Emit, tell_of
from engine.domain import Json, Strategy
from engine.errors import TrainingError
from engine.machine import peak_memory
from engine.training.bases.base_model import training_copy
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExample, EncodedExamples, open_encoder
from engine.training.datasets.general_text import GENERAL_TEXT
from engine.training.trainer import TrainingData, TrainingPaths, choose_trainer

STEPS = 3
"""Steps that are taken. The first one is slower than all others, so that its time does not count."""
TASK_FILE = "rehearsal.json"
"""In the folder: what the child is to do."""
_NEVER = 1_000_000
_MOST_IN_A_STEP = 32


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What three steps took. Memory in bytes, at its greatest: of the process, and on a GPU of the tensors there."""

    memory: int
    gpu_memory: int | None
    tokens_per_s: float
    """Of examples, padding and shared beginnings not counted twice."""
    step_s: float
    """Seconds of a step."""
    around_s: float
    """Seconds before the first step: starting, loading, and the first time also writing the training copy."""

    def to_json(self) -> dict[str, Json]:
        """As plain data."""
        return {
            "memory": self.memory,
            "gpu_memory": self.gpu_memory,
            "tokens_per_s": self.tokens_per_s,
            "step_s": self.step_s,
            "around_s": self.around_s,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Json]) -> Rehearsal:
        """What `to_json` gave.

        Raises:
            TypeError, ValueError, KeyError: it is something else.
        """
        gpu = values["gpu_memory"]
        return cls(
            int(cast(int, values["memory"])),
            None if gpu is None else int(cast(int, gpu)),
            *(float(cast(float, values[name])) for name in ("tokens_per_s", "step_s", "around_s")),
        )


@dataclass(frozen=True, slots=True)
class Task:
    """What to rehearse: settings and examples as they are in the whole training."""

    base_gguf: Path
    cache_dir: Path
    strategy: Strategy
    config: TrainingConfig
    items: tuple[EncodedExample, ...]

    def short(self) -> Task:
        """Three steps' worth of it: a batch of the longest examples and two of usual ones."""
        config = _short_config(self.config)
        return replace(self, config=config, items=_chosen(self.items, config))

    def to_json(self) -> dict[str, Json]:
        """As plain data."""
        items: list[Json] = [[list(item.tokens), item.prompt_length] for item in self.items]
        return {
            "base_gguf": str(self.base_gguf.absolute()),
            "cache_dir": str(self.cache_dir.absolute()),
            "strategy": self.strategy,
            "config": self.config.to_json(),
            "items": items,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Json]) -> Task:
        """What `to_json` gave."""
        items = cast(list[tuple[list[int], int]], values["items"])
        return cls(
            Path(str(values["base_gguf"])),
            Path(str(values["cache_dir"])),
            cast(Strategy, values["strategy"]),
            TrainingConfig.from_json(cast(Mapping[str, Json], values["config"])),
            tuple(EncodedExample(tuple(tokens), prompt) for tokens, prompt in items),
        )


def _short_config(config: TrainingConfig) -> TrainingConfig:
    """The same work, without what a short training has no use for. Steps of very many examples only repeat what some take."""
    return replace(
        config,
        epochs=STEPS,
        max_steps=STEPS,
        gradient_accumulation=min(config.gradient_accumulation, max(1, _MOST_IN_A_STEP // config.batch_size)),
        eval_fraction=0.0,
        eval_samples=0,
        eval_every=_NEVER,
        early_stopping_patience=0,
        stop_at_loss=0.0,
        checkpoint_every=_NEVER,
    )


def _chosen(items: Sequence[EncodedExample], config: TrainingConfig) -> tuple[EncodedExample, ...]:
    """The longest examples, as many as a step has, and twice as many at equal distances in the order of length."""
    ordered = sorted(items, key=lambda item: -len(item.tokens))
    size = config.batch_size * config.gradient_accumulation
    rest = ordered[size:]
    count = min(len(rest), (STEPS - 1) * size)
    return (*ordered[:size], *(rest[index * len(rest) // count] for index in range(count)))


def rehearse(task: Task, folder: Path) -> Rehearsal:
    """Take the steps, in this process.

    Raises:
        NexusError: whatever went wrong; running out of memory among it.
    """
    started = time.monotonic()
    base = training_copy(task.base_gguf, task.cache_dir)
    _forget_peak()
    rows: list[Mapping[str, Json]] = []
    seen_at: list[float] = []

    def progress(event: Mapping[str, Json]) -> None:
        if event.get("event") == "progress":
            rows.append(event)
            seen_at.append(time.monotonic())

    with open_encoder(task.base_gguf) as encoder:
        data = TrainingData(EncodedExamples(task.items), EncodedExamples(), general=encoder.plain(GENERAL_TEXT))
    choose_trainer(task.strategy).train(data, task.config, TrainingPaths(base, folder), progress)
    if not rows:
        raise TrainingError("No step was taken.", hint="Add examples, or shorten them.")
    seconds = [_number(row, "seconds") for row in rows]
    usual = slice(1, None) if len(rows) > 1 else slice(None)
    return Rehearsal(
        memory=_peak_memory(),
        gpu_memory=max((int(_number(row, "gpu_memory_peak")) for row in rows if "gpu_memory_peak" in row), default=None),
        tokens_per_s=statistics.median(_number(row, "tokens_per_s") for row in rows[usual]),
        step_s=statistics.median(seconds[usual]),
        around_s=max(0.0, seen_at[0] - seconds[0] - started),
    )


def _number(row: Mapping[str, Json], name: str) -> float:
    return float(cast(float, row[name]))


def _forget_peak() -> None:
    """Count the greatest memory from here on, where Linux lets one (proc(5), clear_refs)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:
        return


def _peak_memory() -> int:
    """Most bytes that this process, or one that it started and that has ended, has held."""
    if sys.platform == "win32":
        return peak_memory()
    import resource

    ended = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(peak_memory(), ended if sys.platform == "darwin" else ended * 1024)


def main(arguments: list[str]) -> int:
    """Rehearse what the folder named by the only argument holds; the exit status."""

    def work(emit: Emit) -> None:
        folder = Path(arguments[0])
        task = Task.from_json(json.loads((folder / TASK_FILE).read_text("utf-8")))
        emit({"event": "message", "text": f"Taking {STEPS} steps."})
        emit({"event": "rehearsal", **rehearse(task, folder).to_json()})

    return tell_of(work)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # the watching thread sits in a read, and libraries take seconds to take themselves apart
