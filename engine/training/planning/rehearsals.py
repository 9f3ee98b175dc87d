"""Rehearsals of trainings: taken in a child process, and remembered for the same work on the same machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from engine.cancellation import CancelToken
from engine.domain import Json
from engine.errors import StorageError, TrainingError
from engine.machine import Hardware
from engine.training.planning.rehearsal import TASK_FILE, Rehearsal, Task
from engine.training.process import Event, OnEvent, Work, follow_child
from engine.training.run_folder import write_whole

FOLDER = "rehearsals"
"""In the cache folder."""
WORKER = "engine.training.planning.rehearsal"
_LOG_FILE = "rehearsal.log"
_WORK = Work(
    "measurement",
    cancelled_hint="Nothing was kept; start it again.",
    killed_hint="Close other programs, or choose a smaller batch, shorter examples or a smaller model.",
)
_WITHOUT_EFFECT = (
    "alpha",
    "best_by",
    "checkpoint_every",
    "early_stopping_patience",
    "epochs",
    "eval_every",
    "eval_fraction",
    "eval_samples",
    "learning_rate",
    "least_steps",
    "max_grad_norm",
    "max_steps",
    "min_learning_rate_ratio",
    "seed",
    "stop_at_loss",
    "warmup_ratio",
    "weight_decay",
)
"""Settings that change neither memory nor the time of a step."""


@dataclass(frozen=True, slots=True)
class Rehearsals:
    """What was measured on this machine, and measuring it. `cache_dir` is the home's cache folder."""

    cache_dir: Path
    machine: Hardware

    def find(self, task: Task, base_sha256: str) -> Rehearsal | None:
        """What was measured for this work; None where it was not, or what is stored is damaged."""
        try:
            return Rehearsal.from_json(json.loads(self._file(task, base_sha256).read_text("utf-8")))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def take(self, task: Task, base_sha256: str, *, on_event: OnEvent, cancel: CancelToken) -> Rehearsal:
        """Take three steps in a child process, and remember what they took.

        Args:
            task: the whole training's settings and examples.
            base_sha256: the hash of the base's file.
            on_event: receives what the child says meanwhile.
            cancel: stops it.

        Raises:
            CancelledError: the token was set.
            StorageError: the disk refused.
            NexusError: what the child raised, such as that memory ran out.
        """
        found: list[Rehearsal] = []

        def receive(event: Event) -> None:
            if event.get("event") == "rehearsal":
                found.append(Rehearsal.from_json(event))
            else:
                on_event(event)

        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=".tmp-", dir=self._folder))
            try:
                write_whole(folder / TASK_FILE, json.dumps(task.short().to_json()))
                follow_child(folder, WORKER, _LOG_FILE, on_event=receive, cancel=cancel, work=_WORK)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            if not found:
                raise TrainingError("The three steps ended without a result.", hint="Try again.")
            write_whole(self._file(task, base_sha256), json.dumps(found[0].to_json()))
        except OSError as exc:
            raise StorageError(f"The measurement could not be kept: {exc}", hint="Free some disk space.") from exc
        return found[0]

    @property
    def _folder(self) -> Path:
        return self.cache_dir / FOLDER

    def _file(self, task: Task, base_sha256: str) -> Path:
        return self._folder / f"{self._key(task, base_sha256)}.json"

    def _key(self, task: Task, base_sha256: str) -> str:
        """A hash of what decides what the steps take: base, settings, the sizes of the examples, machine and PyTorch."""
        short = task.short()
        settings = {name: value for name, value in short.config.to_json().items() if name not in _WITHOUT_EFFECT}
        sizes: list[Json] = [[len(item.tokens), item.prompt_length] for item in short.items]
        machine = [self.machine.cpu, self.machine.logical_cores, [gpu.name for gpu in self.machine.gpus]]
        parts = [base_sha256, task.strategy, settings, sizes, machine, importlib.metadata.version("torch")]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
