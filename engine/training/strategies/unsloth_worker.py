"""Trains with Unsloth: `python -m engine.training.strategies.unsloth_worker RUN_DIR`, a process that `unsloth_trainer` starts.

It speaks as `worker` does: events as JSON Lines on standard output, wishes as lines on standard input. The adapter is left in
PEFT's form where `TrainingPaths` says.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from engine.child_process import tell_of
from engine.domain import Json
from engine.errors import TrainingError
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExample, EncodedExamples, open_encoder
from engine.training.loop.control import RunControl
from engine.training.run_folder import SPEC_FILE, read_run
from engine.training.strategies.unsloth_trainer import TASK_FILE
from engine.training.trainer import Progress, SampleQuestion, Samples, TrainingData, TrainingPaths, TrainingResult


@dataclass(frozen=True, slots=True)
class Task:
    """What `unsloth_trainer` left in the run's folder."""

    data: TrainingData
    config: TrainingConfig
    paths: TrainingPaths


def main(run_dir: Path) -> int:
    """Do the task in a run's folder. Returns the exit status."""
    control = RunControl()
    return tell_of(lambda emit: emit({"event": "result", **_plain(_train(run_dir, emit, control))}), control.hear)


def _train(run_dir: Path, emit: Progress, control: RunControl) -> TrainingResult:
    """Load the model with Unsloth and go through the training loop."""
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(run_dir / "unsloth"))  # in the working folder otherwise
    from engine.training.strategies.unsloth_model import unsloth_learner  # before anything else that imports Transformers

    with _task(run_dir) as task:
        learner = unsloth_learner(task.paths.base_folder, task.config, task.data.general)
        from engine.training.strategies.peft_trainer import train_learner

        return train_learner(learner, task.data, task.config, task.paths, emit, control)


@contextlib.contextmanager
def _task(run_dir: Path) -> Iterator[Task]:
    """Read the task; the base's vocabulary is open meanwhile, where the run's folder names the base."""
    try:
        values = json.loads((run_dir / TASK_FILE).read_text("utf-8"))
        config = TrainingConfig.from_json(values["config"])
        data = TrainingData(_examples(values["train"]), _examples(values["held_out"]), general=tuple(values["general"]))
        questions = tuple(SampleQuestion(**{**row, "prompt": tuple(row["prompt"])}) for row in values["questions"])
        paths = TrainingPaths(Path(values["base_folder"]), run_dir)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise TrainingError(f"The run's folder {run_dir.name} is damaged: {exc}", hint="Start a new run.") from exc
    if not questions or not (run_dir / SPEC_FILE).is_file():
        yield Task(data, config, paths)
        return
    with open_encoder(read_run(run_dir)[0].base_gguf) as encoder:
        samples = Samples(questions, encoder.text_of, encoder.end_tokens)
        yield Task(replace(data, samples=samples), config, paths)


def _examples(rows: list[tuple[list[int], int]]) -> EncodedExamples:
    return EncodedExamples(tuple(EncodedExample(tuple(tokens), length) for tokens, length in rows))


def _plain(result: TrainingResult) -> dict[str, Json]:
    """A result as plain data."""
    return {
        "curve": [dict(row) for row in result.curve],
        "stopped_early": result.stopped_early,
        "ending": result.ending,
        "best_step": result.best_step,
        "notices": list(result.notices),
    }


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise TrainingError(f"usage: python -m {__spec__.name} RUN_DIR")
    status = main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(status)  # the watching thread sits in a read, and libraries take seconds to take themselves apart
