"""The default vector store: exact FAISS search, saved crash-safely in a folder that several processes may share."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from engine.embedding.base import Vectors
from engine.errors import VectorStoreError
from engine.vectorstore.base import Entry, Hit
from engine.vectorstore.flat_index import REBUILD_HINT, FlatIndex
from engine.vectorstore.generations import folder_lock, manifest_bytes, parse_manifest, read_generation, write_generation
from engine.vectorstore.validation import checked_query, checked_rows


class FaissStore:
    """A collection in a folder. See `engine.vectorstore.generations` for its files.

    Several stores, in one process or in many, may be open on the same folder. Each sees its own unsaved changes and what
    others have saved (noticed at its next call). `save` takes the folder's lock, reads what others have saved since, makes
    its own changes again on top and writes the result, so that two writers never lose each other's entries; where both
    changed the same identifier, the later save wins.
    """

    def __init__(self, folder: Path, dimension: int, encoder: str) -> None:
        """Open the collection in `folder`, or start an empty one there.

        Args:
            folder: the collection's own folder.
            dimension: length of each vector.
            encoder: name of what makes the vectors; vectors of different encoders cannot be compared.

        Raises:
            VectorStoreError: it is damaged, or was made with another encoder or dimension.
            StorageError: the folder cannot be read.
        """
        self._folder = folder
        self._dimension = dimension
        self._encoder = encoder
        self._lock = threading.RLock()
        self._closed = False
        self._manifest: bytes | None = None
        self._index = FlatIndex(dimension)
        # Changes since the last save; a vector of None means deleted.
        self._changes: dict[str, tuple[Entry, Vectors] | None] = {}
        self._refresh()

    @property
    def dimension(self) -> int:
        """Length of each vector."""
        return self._dimension

    def add(self, entries: Sequence[Entry], vectors: Vectors) -> None:
        """Store vectors; see `VectorStore.add`."""
        rows = checked_rows(entries, vectors, self._dimension)
        with self._lock:
            self._check_open()
            self._index.put(entries, rows)
            for entry, row in zip(entries, rows, strict=True):
                self._changes[entry.id] = (entry, row.copy())

    def search(self, vector: Vectors, limit: int, where: Mapping[str, str] | None = None) -> list[Hit]:
        """The nearest entries, best first; see `VectorStore.search`."""
        query = checked_query(vector, self._dimension)
        with self._lock:
            self._refresh()
            return self._index.search(query, limit, where)

    def delete(self, ids: Sequence[str]) -> int:
        """Remove entries; see `VectorStore.delete`."""
        with self._lock:
            self._refresh()
            self._changes.update(dict.fromkeys(ids))
            return self._index.remove(ids)

    def ids(self) -> set[str]:
        """The identifiers of all entries."""
        with self._lock:
            self._refresh()
            return self._index.ids

    def count(self) -> int:
        """The number of entries."""
        with self._lock:
            self._refresh()
            return len(self._index)

    def save(self) -> None:
        """Make all changes durable, at once or not at all.

        Raises:
            StorageError: the disk refused; what was saved before is untouched and the changes are kept for another try.
            VectorStoreError: what is on the disk is damaged.
        """
        with self._lock, folder_lock(self._folder, exclusive=True):
            self._check_open()
            self._reload_if_changed()
            if self._manifest is not None and not self._changes:
                return
            index, entries = self._index.to_bytes()
            self._manifest = write_generation(
                self._folder,
                index=index,
                entries=entries,
                count=len(self._index),
                dimension=self._dimension,
                encoder=self._encoder,
            )
            self._changes.clear()

    def close(self) -> None:
        """Give back memory. Unsaved changes are lost."""
        with self._lock:
            self._closed = True
            self._changes.clear()
            self._index = FlatIndex(self._dimension)

    def _check_open(self) -> None:
        if self._closed:
            raise VectorStoreError("This vector collection was closed.")

    def _refresh(self) -> None:
        """Take over what another store has saved since the last look."""
        self._check_open()
        if manifest_bytes(self._folder) != self._manifest:
            with folder_lock(self._folder, exclusive=False):
                self._reload_if_changed()

    def _reload_if_changed(self) -> None:
        """The same, with the folder's lock held by the caller, so that no file goes away while it is read."""
        raw = manifest_bytes(self._folder)
        if raw == self._manifest:
            return
        index = FlatIndex(self._dimension) if raw is None else self._load(raw)
        self._apply_changes(index)
        self._index, self._manifest = index, raw

    def _load(self, raw: bytes) -> FlatIndex:
        manifest = parse_manifest(raw)
        if (manifest.dimension, manifest.encoder) != (self._dimension, self._encoder):
            raise VectorStoreError(
                f"The vector index was made with {manifest.encoder} ({manifest.dimension} dimensions), "
                f"not {self._encoder} ({self._dimension}).",
                hint=REBUILD_HINT,
            )
        return FlatIndex.from_bytes(self._dimension, *read_generation(self._folder, manifest))

    def _apply_changes(self, index: FlatIndex) -> None:
        """Make the unsaved changes again, on an index that was just read."""
        index.remove([identifier for identifier, change in self._changes.items() if change is None])
        kept = [change for change in self._changes.values() if change is not None]
        if kept:
            index.put([entry for entry, _ in kept], np.stack([row for _, row in kept]))
