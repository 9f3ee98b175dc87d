"""Puts files and folders into the models folder whole or not at all, and keeps their hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from engine.domain import Json
from engine.errors import ConflictError, StorageError

INCOMING = ".incoming-"
"""Prefix of what is not finished; never listed."""
SPARE_BYTES = 64 << 20
"""Left free on the disk after a copy."""
BLOCK = 1 << 20


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn the operating system's refusals in the block into `StorageError`.

    Raises:
        StorageError: with a hint that fits the reason.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "The disk is full: free some space and try again."
        elif exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            hint = "This user may not write there: change the permissions or set NEXUS_MODELS_DIR."
        else:
            hint = "Check the disk and the path."
        raise StorageError(f"{what}: {exc.strerror or exc}", hint=hint) from exc


def require_space(folder: Path, size: int) -> None:
    """Make sure that `size` bytes fit.

    Raises:
        StorageError: they do not.
    """
    with disk_errors(f"{folder} cannot be used"):
        free = shutil.disk_usage(folder).free
    if free < size + SPARE_BYTES:
        needed, left = size / 1e6, free / 1e6
        raise StorageError(
            f"Not enough space in {folder}: {needed:.0f} MB are needed, {left:.0f} MB are free.",
            hint="Free some space, or set NEXUS_MODELS_DIR to a folder on a larger disk.",
        )


@contextmanager
def incoming(folder: Path) -> Iterator[Path]:
    """A path in `folder` for something unfinished; whatever is left there at the end of the block is removed."""
    path = folder / f"{INCOMING}{uuid.uuid4().hex}"
    try:
        yield path
    finally:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink(missing_ok=True)


Copied = Callable[[int], None]
"""Told how many bytes were copied just now. What it raises ends the copying."""


def copy_stream(source: IO[bytes], target: Path, copied: Copied | None = None) -> str:
    """Write a stream to a new file, durably. Returns the SHA-256 of what was written."""
    digest = hashlib.sha256()
    with target.open("xb") as out:
        while block := source.read(BLOCK):
            out.write(block)
            digest.update(block)
            if copied is not None:
                copied(len(block))
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def put_in_place(unfinished: Path, target: Path) -> None:
    """Give a finished file or folder its name, unless something has that name already.

    Raises:
        ConflictError: the name is taken.
        OSError: the disk refused.
    """
    taken = ConflictError(f"There is a model named {target.name} already.", hint="Remove it first, or rename the file.")
    if target.exists():
        raise taken
    if unfinished.is_dir():
        unfinished.rename(target)
        return
    try:
        # Unlike a rename, a link never replaces what another process put there meanwhile.
        os.link(unfinished, target)
    except FileExistsError as exc:
        raise taken from exc
    except OSError:
        unfinished.rename(target)


class HashCache:
    """SHA-256 of files in the models folder, kept in `.hashes.json` for as long as size and time of change stay the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / ".hashes.json"

    def known(self, file: Path) -> str | None:
        """The hash, if it is known without reading the file."""
        entry = self._load().get(self._key(file))
        if not isinstance(entry, list) or entry[:2] != list(_stamp(file)):
            return None
        return str(entry[-1])

    def sha256(self, file: Path) -> str:
        """The hash; reads the file where it is not known.

        Raises:
            StorageError: the file cannot be read.
        """
        with disk_errors(f"{file.name} cannot be read"):
            known = self.known(file)
            if known is not None:
                return known
            stamp = _stamp(file)
            with file.open("rb") as stream:
                value = hashlib.file_digest(stream, "sha256").hexdigest()
        self._store(self._key(file), [*stamp, value])
        return value

    def _key(self, file: Path) -> str:
        return file.relative_to(self._folder).as_posix()

    def _load(self) -> dict[str, Json]:
        try:
            entries = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return entries if isinstance(entries, dict) else {}

    def _store(self, key: str, entry: list[Json]) -> None:
        entries = {k: v for k, v in self._load().items() if (self._folder / k).is_file()} | {key: entry}
        # A folder that cannot be written to costs time only: the hash is computed again.
        with suppress(OSError), incoming(self._folder) as path:
            path.write_text(json.dumps(entries, indent=1), encoding="utf-8")
            path.replace(self._path)


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
