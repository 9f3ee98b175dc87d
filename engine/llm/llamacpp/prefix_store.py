"""Prompt beginnings on disk: the keys and values of instructions that come again after the model was unloaded.

Each file has one line of JSON (what it was computed with, a checksum), the tokens, and the state. llama.cpp trusts the bytes
that it is given, so nothing goes there that does not have its checksum.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import NotFoundError
from engine.llm.llamacpp.prefixes import common_prefix
from engine.llm.llamacpp.tokens import Token
from engine.model_registry.files import incoming, remove_stale

logger = logging.getLogger(__name__)

_SUFFIX = ".prefix"
_LONGEST_LINE = 4096
_TOKEN_BYTES = 4
_PIECE = 8 << 20
"""Bytes after which it is looked whether there is still time: hashed and written in some hundredths of a second."""

Enough = Callable[[], bool]
"""Whether there is no more time."""


@dataclass(frozen=True, slots=True)
class PrefixFolder:
    """Where beginnings are stored, and how many bytes they may take together."""

    folder: Path
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class StoredPrefix:
    """A stored beginning: its tokens, and the file that has its state."""

    tokens: tuple[Token, ...]
    path: Path


class PrefixStore:
    """A folder of stored beginnings, limited in size. Used by one decode thread; other processes may share the folder."""

    def __init__(self, folder: Path, *, origin: str, limit_bytes: int) -> None:
        """Look into a folder, which need not exist yet. Files of another origin and files that make no sense are left out;
        what killed processes left unfinished is deleted.

        Args:
            folder: for these files alone; the least recently used are deleted from it.
            origin: what the states are computed with: model, adapter, library.
            limit_bytes: of all files in the folder together; 0 stores nothing.
        """
        self._folder = folder
        self._origin = hashlib.sha256(origin.encode()).hexdigest()
        self._limit = limit_bytes
        remove_stale(folder)
        self._stored = [found for path in sorted(folder.glob(f"*{_SUFFIX}")) if (found := self._look_at(path)) is not None]

    def best_for(self, tokens: Sequence[Token]) -> StoredPrefix | None:
        """The longest stored beginning of these tokens."""
        fitting = [stored for stored in self._stored if common_prefix(stored.tokens, tokens) == len(stored.tokens)]
        return max(fitting, key=lambda stored: len(stored.tokens), default=None)

    def load(self, stored: StoredPrefix) -> bytes:
        """The state of a stored beginning.

        Raises:
            NotFoundError: the file is gone or damaged; it is forgotten.
        """
        try:
            with stored.path.open("rb") as file:
                line = json.loads(file.readline(_LONGEST_LINE))
                rest = file.read()
            os.utime(stored.path)
            state = rest[_TOKEN_BYTES * len(stored.tokens) :]
            if line["sha256"] == hashlib.sha256(rest).hexdigest():
                return state
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
            logger.debug("A stored prompt beginning cannot be read: %s", exc)
        self._stored.remove(stored)
        _delete(stored.path)
        raise NotFoundError("A stored prompt beginning is gone or damaged.", hint="It is computed again.")

    def holds(self, tokens: Sequence[Token]) -> bool:
        """Whether exactly this beginning is stored."""
        return any(stored.tokens == tuple(tokens) for stored in self._stored)

    def save(self, tokens: Sequence[Token], state: bytes, enough: Enough = lambda: False) -> bool:
        """Store a beginning.

        Args:
            tokens: the beginning.
            state: its keys and values.
            enough: whether there is no more time; nothing is left of what was begun then.

        Returns:
            Whether it is stored: a full or read-only disk costs no more than that.
        """
        if self.holds(tokens):
            return True
        names = np.asarray(tokens, dtype="<i4").tobytes()
        if len(names) + len(state) > self._limit:
            return False
        path = self._folder / f"{hashlib.sha256(self._origin.encode() + names).hexdigest()[:32]}{_SUFFIX}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._make_room(len(names) + len(state))
            with incoming(self._folder) as unfinished:
                if not self._write(unfinished, names, state, enough):
                    return False
                unfinished.replace(path)
        except OSError as exc:
            logger.info("A prompt beginning could not be stored: %s", exc)
            return False
        self._stored.append(StoredPrefix(tuple(tokens), path))
        return True

    def _write(self, path: Path, names: bytes, state: bytes, enough: Enough) -> bool:
        """Write a file, looking again and again whether there is time; whether there was."""
        digest = hashlib.sha256(names)
        for piece in _pieces(state):
            if enough():
                return False
            digest.update(piece)
        line = json.dumps({"origin": self._origin, "tokens": len(names) // _TOKEN_BYTES, "sha256": digest.hexdigest()})
        with path.open("wb") as file:
            file.write(line.encode() + b"\n" + names)
            for piece in _pieces(state):
                if enough():
                    return False
                file.write(piece)
        return True

    def _look_at(self, path: Path) -> StoredPrefix | None:
        try:
            with path.open("rb") as file:
                line = json.loads(file.readline(_LONGEST_LINE))
                if line["origin"] != self._origin:
                    return None
                data = file.read(_TOKEN_BYTES * int(line["tokens"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        tokens = np.frombuffer(data[: len(data) // _TOKEN_BYTES * _TOKEN_BYTES], dtype="<i4")
        return StoredPrefix(tuple(tokens.tolist()), path) if len(tokens) == line["tokens"] > 0 else None

    def _make_room(self, size: int) -> None:
        """Delete the least recently used files until as many bytes are left under the limit."""
        files = sorted((path.stat().st_mtime_ns, path.stat().st_size, path) for path in self._folder.glob(f"*{_SUFFIX}"))
        total = sum(length for _, length, _ in files)
        for _, length, path in files:
            if total + size <= self._limit:
                return
            _delete(path)
            total -= length
            self._stored = [stored for stored in self._stored if stored.path != path]


def _pieces(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    return (view[start : start + _PIECE] for start in range(0, len(view), _PIECE))


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as exc:
        logger.debug("%s could not be deleted: %s", path.name, exc)
