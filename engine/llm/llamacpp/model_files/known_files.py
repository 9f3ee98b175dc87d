"""Which model files were found to be sound, so that each is tried only once."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from engine.errors import ModelFileError
from engine.model_registry.defaults import CHAT_MODEL

RECORD = "known-models.json"
"""The record's name in a home's cache folder."""
MAX_ENTRIES = 512
"""Files and verdicts that are remembered; the oldest are forgotten."""
_BLOCK = 1 << 20

Stamp = tuple[int, int]
"""Size in bytes and time of change in nanoseconds."""


class KnownFiles:
    """Hashes of files, for as long as size and time of change stay the same, and which hashes are of sound files.

    A verdict holds for the version of llama-cpp-python that gave it. What is stored may be damaged or deleted, and several
    processes may write at once: at worst a file is tried once more. Safe to use from any thread.
    """

    def __init__(self, store: Path | None) -> None:
        """Open the record.

        Args:
            store: a JSON file, made when it is first needed; None, or a place that cannot be written: memory alone.
        """
        self._store = store
        self._lock = threading.Lock()
        self._hashes: dict[str, tuple[Stamp, str]] = {}
        self._sound: dict[str, str] = {}

    def digest(self, file: Path, stopped: Callable[[], bool] = lambda: False) -> str:
        """The SHA-256 of a file; read only where it is not known.

        Args:
            file: any file.
            stopped: asked now and then; where it says so, an InterruptedError ends the reading.

        Raises:
            ModelFileError: the file cannot be read.
        """
        if (known := self.recall(file)) is not None:
            return known
        stamp = file_stamp(file)
        value = _sha256(file, stopped)
        with self._lock:
            self._hashes[_key(file)] = (stamp, value)
            self._save()
        return value

    def recall(self, file: Path) -> str | None:
        """The SHA-256 of a file, where it is known without reading it. Raises as `digest` does."""
        stamp = file_stamp(file)
        with self._lock:
            self._load()
            known = self._hashes.get(_key(file))
        return known[1] if known is not None and known[0] == stamp else None

    def is_sound(self, digest: str) -> bool:
        """Whether a file with this hash was found to be sound, or is a default model."""
        if digest in _default_hashes():
            return True
        with self._lock:
            self._load()
            return self._sound.get(digest) == _runtime()

    def remember(self, digest: str) -> None:
        """A file with this hash is sound."""
        with self._lock:
            self._load()
            self._sound[digest] = _runtime()
            self._save()

    def _load(self) -> None:
        """Take in what this or another process has stored."""
        if self._store is None:
            return
        try:
            stored = json.loads(self._store.read_bytes())
        except (OSError, ValueError, RecursionError):
            return
        if not isinstance(stored, dict):
            return
        for path, entry in _entries(stored.get("files")):
            match entry:
                case [int(size), int(changed), str(value)]:
                    self._hashes.setdefault(path, ((size, changed), value))
        for digest, runtime in _entries(stored.get("sound")):
            if isinstance(runtime, str):
                self._sound.setdefault(digest, runtime)

    def _save(self) -> None:
        self._hashes = dict(list(self._hashes.items())[-MAX_ENTRIES:])
        self._sound = dict(list(self._sound.items())[-MAX_ENTRIES:])
        if self._store is None:
            return
        files = {path: [*stamp, value] for path, (stamp, value) in self._hashes.items()}
        temporary = self._store.with_name(f".{self._store.name}-{uuid.uuid4().hex}")
        # What cannot be stored costs time only: the file is tried again by the next process.
        with suppress(OSError):
            self._store.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_text(json.dumps({"files": files, "sound": self._sound}, indent=1), encoding="utf-8")
                temporary.replace(self._store)
            finally:
                temporary.unlink(missing_ok=True)


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


def _key(file: Path) -> str:
    return str(file.absolute())


def _entries(value: object) -> list[tuple[str, object]]:
    return list(value.items()) if isinstance(value, dict) else []


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


@lru_cache(maxsize=1)
def _default_hashes() -> frozenset[str]:
    return frozenset(spec.sha256 for spec in CHAT_MODEL.files.values())


@lru_cache(maxsize=1)
def _runtime() -> str:
    return f"llama-cpp-python {version('llama-cpp-python')}"
