"""Checkpoints of a training: everything that the next step depends on, in safetensors and JSON (never pickle)."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from engine.domain import Json
from engine.errors import StorageError, TrainingError
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExample
from engine.training.loop.stopping import Standing

if TYPE_CHECKING:
    from torch import Tensor

_KEPT = 2
"""Checkpoints that stay: the newest, and one more in case the newest is damaged."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a training stands. `step` counts finished optimiser steps; `fingerprint` is of the settings and the data."""

    step: int
    fingerprint: str
    standing: Standing = field(default_factory=Standing)
    at_once: int | None = None
    """Examples in one forward pass at most, since memory ran out with more; None: as the settings have it."""
    notices: tuple[str, ...] = ()
    """What a person should know of how it went so far."""

    @classmethod
    def from_json(cls, values: dict[str, Json]) -> Position:
        """The position from plain data; raises TypeError, KeyError or ValueError where it is damaged."""
        standing, notices = values["standing"], values["notices"]
        if not isinstance(standing, dict) or not isinstance(notices, list):
            raise ValueError("no position")
        rest = {name: value for name, value in values.items() if name not in ("standing", "notices")}
        return cls(**rest, standing=Standing(**standing), notices=tuple(map(str, notices)))  # type: ignore[arg-type]


def fingerprint_of(train: Sequence[EncodedExample], held_out: Sequence[EncodedExample], config: TrainingConfig) -> str:
    """A hash of the settings and all tokens, 16 hexadecimal digits: what a checkpoint must agree with."""
    digest = hashlib.sha256(config.fingerprint().encode())
    for group in (train, held_out):
        digest.update(json.dumps([[item.tokens, item.prompt_length] for item in group]).encode())
    return digest.hexdigest()[:16]


def save_checkpoint(folder: Path, position: Position, tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint, whole or not at all, and remove older ones.

    Raises:
        StorageError: the disk refused it; those that are there stay.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    target = folder / f"step-{position.step:08d}"
    temporary = folder / f".tmp-{target.name}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary / "state.safetensors")
        (temporary / "position.json").write_text(json.dumps(asdict(position)), "utf-8")
        shutil.rmtree(target, ignore_errors=True)
        temporary.replace(target)
    except (OSError, SafetensorError) as exc:
        shutil.rmtree(temporary, ignore_errors=True)
        raise StorageError(f"A checkpoint could not be written: {exc}", hint="Free some disk space.") from exc
    for old in _newest_first(folder)[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(folder: Path, fingerprint: str) -> tuple[Position, dict[str, Tensor]] | None:
    """The newest readable checkpoint; None where there is none yet.

    Raises:
        TrainingError: the checkpoint belongs to other settings or other data.
    """
    for candidate in _newest_first(folder):
        found = _read(candidate)
        if found is None:
            continue
        if found[0].fingerprint != fingerprint:
            raise TrainingError(
                "The checkpoints in this folder were made with other settings or other data.",
                hint="Start a new run instead of resuming this one.",
            )
        return found
    return None


def truncate_metrics(path: Path, step: int) -> list[dict[str, Json]]:
    """Drop what was measured after `step` (a killed run went on past its last checkpoint); return the rest."""
    if not path.is_file():
        return []
    rows: list[dict[str, Json]] = []
    for line in path.read_text("utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            break  # the line that was being written when the process was killed
        if row["step"] <= step:
            rows.append(row)
    write_metrics(path, rows)
    return rows


def write_metrics(path: Path, rows: Sequence[Mapping[str, Json]]) -> None:
    """Replace the metrics file."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    temporary.replace(path)


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)


def _read(folder: Path) -> tuple[Position, dict[str, Tensor]] | None:
    """A checkpoint; None where it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        position = Position.from_json(json.loads((folder / "position.json").read_text("utf-8")))
        return position, load_file(folder / "state.safetensors")
    except (OSError, ValueError, TypeError, KeyError, SafetensorError):
        return None
