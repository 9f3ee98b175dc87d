"""What was decided about a model's weights, as a JSON file beside its copy."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from engine.domain import Json, utc_now
from engine.llm.llamacpp.weights.formats import AS_IS, FILE_TYPES
from engine.llm.llamacpp.weights.speed import Speed, gains, speed_from_json
from engine.model_registry.files import disk_errors, incoming


@dataclass(frozen=True, slots=True)
class WeightRecord:
    """Which format a model is used in and why. `format` is `as-is` for the model itself.

    `speeds` has what was measured, by format. The copy is in the folder of the record.
    """

    source_name: str
    source_size: int
    source_sha256: str
    format: str
    reason: str
    llama_cpp: str
    made_at: str
    copy_size: int = 0
    copy_sha256: str = ""
    speeds: Mapping[str, Speed] = field(default_factory=dict)

    @property
    def copy_name(self) -> str | None:
        """The name of the copy's file; None where the model is used as it is."""
        return None if self.format == AS_IS else copy_name(self.source_sha256, self.format)

    @property
    def gains(self) -> Mapping[str, float]:
        """How many times as fast the chosen format is; empty where that was not measured."""
        before, after = self.speeds.get(AS_IS), self.speeds.get(self.format)
        return {} if before is None or after is None or self.format == AS_IS else gains(before, after)

    def with_copy(self, size: int, sha256: str) -> WeightRecord:
        """The record with what is known of the copy's file."""
        return replace(self, copy_size=size, copy_sha256=sha256)

    def to_json(self) -> dict[str, Json]:
        """The record as plain data."""
        values: dict[str, Json] = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "speeds"}
        return values | {"speeds": {name: speed.to_json() for name, speed in self.speeds.items()}}


def new_record(model: Path, digest: str, form: str, reason: str, speeds: Mapping[str, Speed]) -> WeightRecord:
    """What was decided just now, with the speeds that were measured."""
    return WeightRecord(
        source_name=model.name,
        source_size=model.stat().st_size,
        source_sha256=digest,
        format=form,
        reason=reason,
        llama_cpp=importlib.metadata.version("llama_cpp_python"),
        made_at=utc_now().isoformat(),
        speeds=speeds,
    )


def copy_name(source_sha256: str, form: str) -> str:
    """The name of a copy's file."""
    return f"{source_sha256}-{form}.gguf"


def read_records(folder: Path) -> list[WeightRecord]:
    """All records in a folder; files that are something else are passed over."""
    found = (_from_json(path) for path in sorted(folder.glob("*.json")))
    return [record for record in found if record is not None]


def write_record(folder: Path, record: WeightRecord) -> None:
    """Store a record, in place of the one for the same file.

    Raises:
        StorageError: the disk refused.
    """
    with disk_errors("The choice of weights cannot be stored"), incoming(folder) as unfinished:
        unfinished.write_text(json.dumps(record.to_json(), indent=1), encoding="utf-8")
        unfinished.replace(folder / f"{record.source_sha256}.json")


def delete_copies(folder: Path, source_sha256: str, *, keep: str = AS_IS) -> None:
    """Delete the copies of a file, but for one format.

    Raises:
        StorageError: the disk refused.
    """
    with disk_errors("The copies of the model cannot be deleted"):
        for form in FILE_TYPES:
            if form != keep:
                (folder / copy_name(source_sha256, form)).unlink(missing_ok=True)


def delete_record(folder: Path, source_sha256: str) -> None:
    """Delete a record and all copies of its file.

    Raises:
        StorageError: the disk refused.
    """
    delete_copies(folder, source_sha256)
    with disk_errors("The choice of weights cannot be deleted"):
        (folder / f"{source_sha256}.json").unlink(missing_ok=True)


def _from_json(path: Path) -> WeightRecord | None:
    """The record in a file, whose name must be the hash that it gives: paths are made of it."""
    with suppress(OSError, ValueError, RecursionError):
        values = json.loads(path.read_bytes())
        if isinstance(values, dict) and values.get("source_sha256") == path.stem and len(path.stem) == 64:
            return _checked(values)
    return None


def _checked(values: Mapping[str, Json]) -> WeightRecord | None:
    speeds = values.get("speeds")
    measured = {name: speed_from_json(value) for name, value in speeds.items()} if isinstance(speeds, dict) else {}
    kept = {name: speed for name, speed in measured.items() if speed is not None}
    texts = [values.get(name) for name in ("source_name", "source_sha256", "format", "reason", "llama_cpp", "made_at")]
    sizes = [values.get(name) for name in ("source_size", "copy_size")]
    name, digest, form, reason, version, made = (text if isinstance(text, str) else "" for text in texts)
    size, copied = (number if isinstance(number, int) else 0 for number in sizes)
    if form != AS_IS and form not in FILE_TYPES:
        return None
    sha256 = str(values.get("copy_sha256", ""))
    return WeightRecord(name, size, digest, form, reason, version, made, copied, sha256, kept)
