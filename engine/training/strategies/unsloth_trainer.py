"""LoRA training with Unsloth: for machines with a CUDA device faster, and in less memory, than `peft_trainer`.

The loop is the one of `peft_trainer`; the model and its loss are Unsloth's. All of it happens in a process of its own
(`unsloth_worker`): Unsloth replaces functions of Transformers and PEFT when it is imported, and what comes after the training,
the comparison with the served adapter above all, must not run on these. Only that process has Unsloth's folder on its path.

Without a GPU it works too, and is slower than PEFT: good for trying out what a machine with a GPU will do.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import cast

from engine.cancellation import CancelToken
from engine.domain import JobWish, Json
from engine.errors import StorageError, TrainingError
from engine.training.config import TrainingConfig
from engine.training.loop.control import RunControl
from engine.training.process import Event, follow_child
from engine.training.run_folder import write_whole
from engine.training.trainer import Ending, Progress, TrainingData, TrainingPaths, TrainingResult

TASK_FILE = "unsloth.json"
"""What the process is to do; in the run's folder."""
LOG_FILE = "unsloth.log"
WORKER = "engine.training.strategies.unsloth_worker"


class UnslothTrainer:
    """The strategy for CUDA devices, where Unsloth is installed. More than one GPU is not made use of."""

    name = "unsloth"

    def train(
        self,
        data: TrainingData,
        config: TrainingConfig,
        paths: TrainingPaths,
        progress: Progress,
        control: RunControl | None = None,
    ) -> TrainingResult:
        """See `Trainer.train`."""
        if not unsloth_installed():
            raise TrainingError("Unsloth is not installed.", hint="Run `make setup`, or use the strategy peft.")
        _write_task(data, config, paths)
        results: list[Event] = []

        def on_event(event: Event) -> None:
            if event.get("event") == "result":
                results.append(event)
            else:
                progress(event)

        follow_child(
            paths.run_dir,
            WORKER,
            LOG_FILE,
            on_event=on_event,
            cancel=CancelToken(),  # who cancels ends this process, and its child goes with it
            wish=lambda: _wish(control),
            environment=unsloth_environment(),
        )
        if not results:
            raise TrainingError("Unsloth ended without a result.", hint=f"The run's {LOG_FILE} may say why.")
        return _result(results[-1], paths)


def unsloth_folder() -> Path:
    """Where `make setup` puts Unsloth: beside the packages of this environment, not among them."""
    return Path(sys.prefix) / "unsloth"


def unsloth_installed() -> bool:
    """Whether Unsloth is in its folder or in this environment."""
    return (unsloth_folder() / "unsloth" / "__init__.py").is_file() or importlib.util.find_spec("unsloth") is not None


def unsloth_versions() -> dict[str, Json]:
    """The versions of what is in Unsloth's folder; nothing where Unsloth is elsewhere."""
    return {item.name: item.version for item in importlib.metadata.distributions(path=[str(unsloth_folder())])}


def unsloth_environment() -> dict[str, str]:
    """What the process with Unsloth has in its environment besides: where it is, and that it is to be silent."""
    silent = {"UNSLOTH_DISABLE_STATISTICS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TQDM_DISABLE": "1"}
    return {"PYTHONPATH": str(unsloth_folder()), **silent}


def _write_task(data: TrainingData, config: TrainingConfig, paths: TrainingPaths) -> None:
    """Leave for the process what it needs, as plain data."""
    task: dict[str, object] = {
        "base_folder": str(paths.base_folder.absolute()),
        "config": config.to_json(),
        "train": [[item.tokens, item.prompt_length] for item in data.train.items],
        "held_out": [[item.tokens, item.prompt_length] for item in data.held_out.items],
        "general": data.general,
        "questions": [asdict(question) for question in data.samples.questions],
    }
    try:
        write_whole(paths.run_dir / TASK_FILE, json.dumps(task))
    except OSError as exc:
        raise StorageError(f"The run's folder could not be written: {exc}", hint="Free some disk space.") from exc


def _wish(control: RunControl | None) -> JobWish | None:
    """What someone asks for, to be passed on."""
    if control is None:
        return None
    return JobWish.PAUSE if control.pause else JobWish.STOP if control.stop else None


def _result(event: Event, paths: TrainingPaths) -> TrainingResult:
    """The process's result, as it was there."""
    best = cast(int | None, event["best_step"])
    return TrainingResult(
        paths.peft_dir,
        tuple(cast(list[Mapping[str, Json]], event["curve"])),
        stopped_early=bool(event["stopped_early"]),
        ending=Ending(str(event["ending"])),
        best_step=best,
        notices=tuple(cast(list[str], event["notices"])),
    )
