"""The working folder of one fine-tune: what the parent writes for the child, and where the child puts what it makes.

run.json        what to do (`RunSpec`)          metrics.jsonl   one line a step
dataset.jsonl   the examples                    checkpoints/    what a restart goes on from
worker.log      the child's standard error      output/         adapter.gguf, peft/, card.json, README.md
base.sha256     of the base at the first start  memory-kills    how often the system ended it for want of memory
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from engine.domain import Strategy
from engine.errors import StorageError, TrainingError
from engine.model_registry.file_hashes import HASHES, FileHashes
from engine.training.config import TrainingConfig
from engine.training.datasets.examples import TrainingExample
from engine.training.trainer import AdapterArtifact

SPEC_FILE = "run.json"
DATASET_FILE = "dataset.jsonl"
LOG_FILE = "worker.log"
BASE_FILE = "base.sha256"
MEMORY_KILLS_FILE = "memory-kills"


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What a child process is to do.

    `served_gguf` is the copy of the base that answers, where that is another file. `long_positions`: whether a LongRoPE base is
    served with its long factors (`engine.llm.llamacpp.long_rope`).
    """

    id: str
    name: str
    base_gguf: Path
    cache_dir: Path
    config: TrainingConfig
    strategy: Strategy = "auto"
    served_gguf: Path | None = None
    long_positions: bool = False

    @property
    def served(self) -> Path:
        """The file that the adapter will be attached to."""
        return self.served_gguf or self.base_gguf


def write_run(run_dir: Path, spec: RunSpec, examples: Sequence[TrainingExample]) -> None:
    """Make a run's folder, or refresh the one that is to be resumed; checkpoints in it stay.

    Paths inside the folder are written as such, so that it may be moved.

    Raises:
        StorageError: the disk refused.
    """
    values = {
        "id": spec.id,
        "name": spec.name,
        "base_gguf": _from(run_dir, spec.base_gguf),
        "cache_dir": _from(run_dir, spec.cache_dir),
        "config": spec.config.to_json(),
        "strategy": spec.strategy,
        "served_gguf": _from(run_dir, spec.served),
        "long_positions": spec.long_positions,
    }
    lines = "".join(json.dumps(example.to_json()) + "\n" for example in examples)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        write_whole(run_dir / DATASET_FILE, lines)
        write_whole(run_dir / SPEC_FILE, json.dumps(values, indent=1))
    except OSError as exc:
        raise StorageError(f"The run's folder could not be written: {exc}", hint="Free some disk space.") from exc


def _from(run_dir: Path, path: Path) -> str:
    """A path as it is seen from a run's folder, if it is inside; else the whole path."""
    here, whole = run_dir.absolute(), path.absolute()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else whole)


def read_run(run_dir: Path) -> tuple[RunSpec, tuple[TrainingExample, ...]]:
    """What `write_run` wrote.

    Raises:
        TrainingError: the folder is incomplete or damaged.
    """
    try:
        values = json.loads((run_dir / SPEC_FILE).read_text("utf-8"))
        spec = RunSpec(
            id=str(values["id"]),
            name=str(values["name"]),
            base_gguf=run_dir.absolute() / values["base_gguf"],
            cache_dir=run_dir.absolute() / values["cache_dir"],
            config=TrainingConfig.from_json(values["config"]),
            strategy=cast(Strategy, values["strategy"]),
            served_gguf=run_dir.absolute() / values.get("served_gguf", values["base_gguf"]),
            long_positions=bool(values.get("long_positions")),
        )
        rows = (run_dir / DATASET_FILE).read_text("utf-8").splitlines()
        return spec, tuple(TrainingExample.from_json(json.loads(row)) for row in rows)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise TrainingError(f"The run's folder {run_dir.name} is damaged: {exc}", hint="Start a new run.") from exc


def unchanged_base(run_dir: Path, spec: RunSpec) -> str:
    """SHA-256 of the base, which is noted at the first start of a run, and how it is served.

    Raises:
        TrainingError: it is another one than at the first start, or served in another way, so the checkpoints do not fit it.
        ModelFileError: the base cannot be read.
    """
    digest, file = FileHashes(spec.cache_dir / HASHES).sha256(spec.base_gguf), run_dir / BASE_FILE
    now = f"{digest} long" if spec.long_positions else digest
    if not file.is_file():
        write_whole(file, now)
    elif (noted := file.read_text("utf-8").strip()) != now:
        same = noted.partition(" ")[0] == digest
        what = "is served with another set of position factors than when" if same else "has changed since"
        back = "Set NEXUS_CONTEXT_TOKENS as it was" if same else "Put the former file back"
        raise TrainingError(
            f"{spec.base_gguf.name} {what} this training began, so it cannot go on.",
            hint=f"{back} and resume, or start a new fine-tune.",
        )
    return digest


def note_memory_kill(run_dir: Path) -> None:
    """Remember that the system ended a run because memory ran out.

    Raises:
        OSError: the disk refused.
    """
    write_whole(run_dir / MEMORY_KILLS_FILE, str(memory_kills(run_dir) + 1))


def memory_kills(run_dir: Path) -> int:
    """How often the system has ended this run because memory ran out."""
    try:
        return int((run_dir / MEMORY_KILLS_FILE).read_text("ascii"))
    except (OSError, ValueError):
        return 0


def read_artifact(folder: Path) -> AdapterArtifact:
    """The finished adapter in an output folder.

    Raises:
        TrainingError: it is not complete.
    """
    try:
        card = json.loads((folder / "card.json").read_text("utf-8"))
        artifact = AdapterArtifact(str(card["id"]), folder / "adapter.gguf", folder / "peft", card)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise TrainingError(f"There is no finished adapter in {folder.name}: {exc}", hint="Fine-tune again.") from exc
    if not artifact.gguf_path.is_file():
        raise TrainingError(f"The adapter in {folder.name} has no adapter.gguf.", hint="Fine-tune again.")
    return artifact


def write_whole(path: Path, text: str) -> None:
    """Write a file, its folder made if absent, so that it is there whole or not at all.

    Raises:
        OSError: the disk refused.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)
