"""Crash-safe files of a vector store.

A store's folder holds one small `manifest.json`, which names a generation: a sub-folder with the two files that were
written together, and their checksums. A save writes a whole new generation, brings it to the disk (fsync), and then swaps
the manifest with one atomic rename. A crash at any moment leaves the old manifest with its old generation, or the new one
with its new generation. Generations that no manifest names are removed at the next save.

`folder_lock` keeps processes apart: shared while files are read, exclusive while they are written. The lock belongs to an
open file, so a process that dies gives it back.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import StorageError, VectorStoreError
from engine.vectorstore.flat_index import REBUILD_HINT

_FORMAT = 1
_MANIFEST = "manifest.json"
_LOCK = ".lock"
_INDEX = "vectors.faiss"
_ENTRIES = "entries.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is stored: the current generation, what made its vectors, and the SHA-256 of its files."""

    format: int
    generation: str
    dimension: int
    encoder: str
    count: int
    index_sha256: str
    entries_sha256: str


@contextmanager
def folder_lock(folder: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold the folder's lock, waiting for it as long as it takes. Makes the folder where it is missing.

    Raises:
        StorageError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise _storage_error(folder, exc) from exc
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def manifest_bytes(folder: Path) -> bytes | None:
    """The manifest as stored; None where nothing was saved yet. Cheap enough to ask before every search."""
    try:
        return (folder / _MANIFEST).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise _storage_error(folder, exc) from exc


def parse_manifest(raw: bytes) -> Manifest:
    """The manifest in `raw`.

    Raises:
        VectorStoreError: it is damaged, or of a format that this version does not know.
    """
    try:
        manifest = Manifest(**json.loads(raw))
    except (ValueError, TypeError) as exc:
        raise VectorStoreError("The manifest of the vector index is damaged.", hint=REBUILD_HINT) from exc
    texts = (manifest.generation, manifest.encoder, manifest.index_sha256, manifest.entries_sha256)
    if manifest.format != _FORMAT or not all(isinstance(text, str) for text in texts):
        raise VectorStoreError("The vector index has an unknown format.", hint=REBUILD_HINT)
    if Path(manifest.generation).name != manifest.generation or not manifest.generation.startswith("gen-"):
        raise VectorStoreError("The manifest of the vector index names a folder outside it.", hint=REBUILD_HINT)
    return manifest


def read_generation(folder: Path, manifest: Manifest) -> tuple[bytes, bytes]:
    """The index and the entries of the manifest's generation. The caller holds the lock.

    Raises:
        VectorStoreError: a file is missing or is not the one that was written.
    """
    path = folder / manifest.generation
    index = _read_checked(path / _INDEX, manifest.index_sha256)
    return index, _read_checked(path / _ENTRIES, manifest.entries_sha256)


def _read_checked(path: Path, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise VectorStoreError(f"{path.name} of the vector index is missing.", hint=REBUILD_HINT) from exc
    if hashlib.sha256(content).hexdigest() != sha256:
        raise VectorStoreError(f"{path.name} of the vector index is damaged (checksum).", hint=REBUILD_HINT)
    return content


def write_generation(folder: Path, *, index: bytes, entries: bytes, count: int, dimension: int, encoder: str) -> bytes:
    """Write a new generation and make it the current one. The caller holds the exclusive lock.

    Returns:
        The new manifest as stored.

    Raises:
        StorageError: the disk refused; what was saved before is untouched.
    """
    manifest = Manifest(
        format=_FORMAT,
        generation=f"gen-{uuid.uuid4().hex}",
        dimension=dimension,
        encoder=encoder,
        count=count,
        index_sha256=hashlib.sha256(index).hexdigest(),
        entries_sha256=hashlib.sha256(entries).hexdigest(),
    )
    raw = json.dumps(asdict(manifest), indent=1).encode()
    path = folder / manifest.generation
    try:
        path.mkdir()
        _write_durably(path / _INDEX, index)
        _write_durably(path / _ENTRIES, entries)
        _sync_folder(path)
        _write_durably(folder / f"{_MANIFEST}.new", raw)
        (folder / f"{_MANIFEST}.new").replace(folder / _MANIFEST)
    except OSError as exc:
        shutil.rmtree(path, ignore_errors=True)
        raise _storage_error(folder, exc) from exc
    _sync_folder(folder)  # Past the rename nothing is taken back: the new generation is the current one.
    _remove_others(folder, keep=manifest.generation)
    return raw


def discard(folder: Path) -> None:
    """Remove everything that was saved in this folder; open stores see it as empty from then on.

    Raises:
        StorageError: the disk refused.
    """
    with folder_lock(folder, exclusive=True):
        try:
            (folder / _MANIFEST).unlink(missing_ok=True)
        except OSError as exc:
            raise _storage_error(folder, exc) from exc
        _remove_others(folder, keep="")


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk; a rename is not durable without it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as exc:
        raise _storage_error(folder, exc) from exc


def _remove_others(folder: Path, *, keep: str) -> None:
    for path in folder.glob("gen-*"):
        if path.name != keep:
            shutil.rmtree(path, ignore_errors=True)  # What cannot be removed now is tried again at the next save.


def _storage_error(folder: Path, exc: OSError) -> StorageError:
    return StorageError(
        f"The vector index {folder.name} could not be read or written: {exc.strerror}.", hint="Check space and rights."
    )
