"""SHA-256 of model files, computed once for as long as size and time of change stay the same."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine.errors import ModelFileError

HASHES = "file-hashes.json"
"""The record's name in a home's cache folder. Not in the models folder: whoever puts a model there could bring a record along,
and a file that is known by its hash is not tried again."""
MAX_ENTRIES = 512
"""Files that are remembered; the oldest are forgotten."""
_BLOCK = 1 << 20

Stamp = tuple[int, int]
"""Size in bytes and time of change in nanoseconds."""


class FileHashes:
    """What is stored may be damaged or deleted, and several processes may write at once: at worst a file is read once more.

    Safe to use from any thread.
    """

    def __init__(self, store: Path | None = None) -> None:
        """Open the record.

        Args:
            store: a JSON file, made when it is first needed; None, or a place that cannot be written: memory alone.
        """
        self._store = store
        self._lock = threading.Lock()
        self._hashes: dict[str, tuple[Stamp, str]] = {}

    def sha256(self, file: Path, stopped: Callable[[], bool] = lambda: False) -> str:
        """The SHA-256 of a file; read only where it is not known.

        Args:
            file: any file.
            stopped: asked now and then; where it says so, an InterruptedError ends the reading.

        Raises:
            ModelFileError: the file cannot be read.
        """
        if (known := self.known(file)) is not None:
            return known
        stamp = file_stamp(file)
        value = _sha256(file, stopped)
        with self._lock:
            self._hashes[_key(file)] = (stamp, value)
            self._save()
        return value

    def known(self, file: Path) -> str | None:
        """The SHA-256 of a file, where it is known without reading it. Raises as `sha256` does."""
        stamp = file_stamp(file)
        with self._lock:
            self._load()
            known = self._hashes.get(_key(file))
        return known[1] if known is not None and known[0] == stamp else None

    def _load(self) -> None:
        """Take in what this or another process has stored."""
        for path, entry in read_record(self._store).items():
            match entry:
                case [int(size), int(changed), str(value)]:
                    self._hashes.setdefault(path, ((size, changed), value))

    def _save(self) -> None:
        self._hashes = dict(list(self._hashes.items())[-MAX_ENTRIES:])
        write_record(self._store, {path: [*stamp, value] for path, (stamp, value) in self._hashes.items()})


def file_stamp(file: Path) -> Stamp:
    """A file's size and time of change.

    Raises:
        ModelFileError: there is no such file, or it cannot be looked at.
    """
    try:
        status = file.stat()
    except OSError as exc:
        raise ModelFileError(f"The model file {file.name} cannot be read.", hint="See `nexus models list`.") from exc
    return status.st_size, status.st_mtime_ns


def read_record(store: Path | None) -> dict[str, object]:
    """A JSON object from a file; empty where there is none."""
    if store is None:
        return {}
    try:
        stored = json.loads(store.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return stored if isinstance(stored, dict) else {}


def write_record(store: Path | None, record: object) -> None:
    """Write a file of JSON whole or not at all. What cannot be stored costs time only: the next process finds it out again."""
    if store is None:
        return
    temporary = store.with_name(f".{store.name}-{uuid.uuid4().hex}")
    with suppress(OSError):
        store.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
            temporary.replace(store)
        finally:
            temporary.unlink(missing_ok=True)


def _key(file: Path) -> str:
    return str(file.absolute())


def _sha256(file: Path, stopped: Callable[[], bool]) -> str:
    digest = hashlib.sha256()
    try:
        with file.open("rb", buffering=0) as stream:
            while block := stream.read(_BLOCK):
                if stopped():
                    raise InterruptedError
                digest.update(block)
    except InterruptedError:
        raise
    except OSError as exc:
        raise ModelFileError(f"The model file {file.name} cannot be read.", hint="See `nexus models list`.") from exc
    return digest.hexdigest()
