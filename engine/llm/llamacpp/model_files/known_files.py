"""Which model files were found to be sound, so that each is tried only once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from engine.model_registry.defaults import CHAT_MODEL
from engine.model_registry.file_hashes import HASHES, MAX_ENTRIES, FileHashes, read_record, write_record

RECORD = "known-models.json"
"""The record's name in a home's cache folder."""


class KnownFiles:
    """Which hashes are of sound files.

    A verdict holds for the version of llama-cpp-python that gave it. What is stored may be damaged or deleted, and several
    processes may write at once: at worst a file is tried once more. Safe to use from any thread.
    """

    def __init__(self, store: Path | None) -> None:
        """Open the record, and that of the files' hashes beside it.

        Args:
            store: a JSON file, made when it is first needed; None, or a place that cannot be written: memory alone.
        """
        self._store = store
        self._hashes = FileHashes(None if store is None else store.with_name(HASHES))
        self._lock = threading.Lock()
        self._sound: dict[str, str] = {}

    def digest(self, file: Path, stopped: Callable[[], bool] = lambda: False) -> str:
        """The SHA-256 of a file. See `FileHashes.sha256`."""
        return self._hashes.sha256(file, stopped)

    def recall(self, file: Path) -> str | None:
        """The SHA-256 of a file, where it is known without reading it. See `FileHashes.known`."""
        return self._hashes.known(file)

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
            self._sound = dict(list(self._sound.items())[-MAX_ENTRIES:])
            write_record(self._store, {"sound": self._sound})

    def _load(self) -> None:
        """Take in what this or another process has stored."""
        stored = read_record(self._store).get("sound")
        for digest, runtime in stored.items() if isinstance(stored, dict) else ():
            if isinstance(runtime, str):
                self._sound.setdefault(digest, runtime)


@lru_cache(maxsize=1)
def _default_hashes() -> frozenset[str]:
    return frozenset(spec.sha256 for spec in CHAT_MODEL.files.values())


@lru_cache(maxsize=1)
def _runtime() -> str:
    return f"llama-cpp-python {version('llama-cpp-python')}"
