"""Puts files and folders into the models folder whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from engine.errors import ConflictError, StorageError

INCOMING = ".incoming-"
"""Prefix of what is not finished; never listed."""
SPARE_BYTES = 64 << 20
"""Left free on the disk after a copy."""
BLOCK = 1 << 20
_STALE_S = 3600.0
"""Nothing is left unfinished for so long by a process that still works on it."""


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


def prepare(folder: Path, size: int) -> None:
    """Make a folder ready for `size` more bytes: it is there, without what killed processes left unfinished in it.

    Raises:
        StorageError: the bytes do not fit.
        OSError: the folder cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_stale(folder)
    require_space(folder, size)


@contextmanager
def incoming(folder: Path) -> Iterator[Path]:
    """A path in `folder` for something unfinished; whatever is left there at the end of the block is removed."""
    path = folder / f"{INCOMING}{uuid.uuid4().hex}"
    try:
        yield path
    finally:
        _remove(path)


def remove_stale(folder: Path) -> None:
    """Remove files and folders that processes have left unfinished which were killed."""
    for path in folder.glob(f"{INCOMING}*"):
        with suppress(OSError):
            if time.time() - _last_changed(path) > _STALE_S:
                _remove(path)


def _last_changed(path: Path) -> float:
    """When a file was written to, or the newest file in a folder: the folder itself does not change while one is filled."""
    inside = list(path.rglob("*")) if path.is_dir() and not path.is_symlink() else []
    return max(entry.lstat().st_mtime for entry in [path, *inside])


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
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
