"""A whole fine-tune in one call: from examples to an adapter in the adapters' folder."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from engine.cancellation import CancelToken
from engine.domain import JobWish, Strategy, new_id
from engine.errors import InputError, StorageError
from engine.training.config import TrainingConfig
from engine.training.datasets.examples import TrainingExample
from engine.training.process import OnEvent, run_training
from engine.training.run_folder import RunSpec, read_artifact, write_run
from engine.training.trainer import AdapterArtifact

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class FinetuneSpec:
    """What to fine-tune, on what, and how. `id` names the run's folder and the adapter's."""

    name: str
    base: Path
    examples: tuple[TrainingExample, ...]
    config: TrainingConfig
    strategy: Strategy = "auto"
    id: str = field(default_factory=new_id)
    served: Path | None = None
    """The copy of the base that answers, where that is another file: the adapter is checked on it."""
    processes: int = 1
    """How many share the work; see `engine.training.devices`."""
    long_positions: bool = False
    """Whether a LongRoPE base is served with its long factors (`engine.llm.llamacpp.long_rope`)."""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise InputError(f"{self.id!r} cannot be an identifier.", hint="Use letters, digits, - and _.")
        if not self.examples:
            raise InputError("There is nothing to train on.", hint="Approve some FAQ pairs, or choose a file with examples.")


def finetune(
    spec: FinetuneSpec,
    *,
    runs_dir: Path,
    cache_dir: Path,
    adapters_dir: Path,
    on_event: OnEvent,
    cancel: CancelToken,
    wish: Callable[[], JobWish | None] = lambda: None,
) -> AdapterArtifact:
    """Train in a child process and put the finished adapter into `adapters_dir`/<id>: adapter.gguf, peft/, card.json.

    The folder appears whole or not at all. A second call with the same specification goes on from the last checkpoint, and
    returns at once where the adapter is there already.

    Args:
        spec: what to do.
        runs_dir: where the run's folder is made, under the specification's id.
        cache_dir: where dequantised copies of base models are kept.
        adapters_dir: where the adapter goes.
        on_event: receives the events `message` and `progress`, in this thread.
        cancel: stops the child.
        wish: what someone asks of the training meanwhile.

    Raises:
        CancelledError: the token was set.
        JobPaused: someone asked for that; a second call goes on.
        NexusError: what went wrong, here or in the child.
    """
    target = adapters_dir / spec.id
    if (target / "card.json").is_file():
        return read_artifact(target)
    run_dir = runs_dir / spec.id
    run = RunSpec(
        spec.id, spec.name, spec.base, cache_dir, spec.config, spec.strategy, spec.served, long_positions=spec.long_positions
    )
    write_run(run_dir, run, spec.examples)
    run_training(run_dir, on_event=on_event, cancel=cancel, wish=wish, processes=spec.processes)
    _publish(run_dir / "output", target)
    shutil.rmtree(run_dir / "checkpoints", ignore_errors=True)
    return read_artifact(target)


def _publish(output: Path, target: Path) -> None:
    """Move a folder to its place in one step, over file systems too."""
    temporary = target.with_name(f".tmp-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            output.replace(target)
        except OSError as exc:
            if exc.errno != errno.EXDEV:
                raise
            shutil.copytree(output, temporary)
            temporary.replace(target)
    except OSError as exc:
        raise StorageError(f"The adapter could not be put into place: {exc}", hint="Free some disk space and resume.") from exc
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
