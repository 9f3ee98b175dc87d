"""A store in memory, in plain numpy: for tests, and the reference that the others are compared with."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np

from engine.embedding.base import Vectors
from engine.errors import VectorStoreError
from engine.vectorstore.base import Entry, Hit
from engine.vectorstore.validation import checked_query, checked_rows


class MemoryStore:
    """Keeps everything in a dictionary and compares the query with every vector. `save` has nothing to do."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._rows: dict[str, tuple[Entry, Vectors]] = {}
        self._lock = threading.Lock()
        self._closed = False

    @property
    def dimension(self) -> int:
        """Length of each vector."""
        return self._dimension

    def add(self, entries: Sequence[Entry], vectors: Vectors) -> None:
        """Store vectors; see `VectorStore.add`."""
        rows = checked_rows(entries, vectors, self._dimension)
        with self._lock:
            self._check_open()
            for entry, row in zip(entries, rows, strict=True):
                self._rows[entry.id] = (entry, row.copy())

    def search(self, vector: Vectors, limit: int, where: Mapping[str, str] | None = None) -> list[Hit]:
        """The nearest entries, best first; see `VectorStore.search`."""
        query = checked_query(vector, self._dimension)[0]
        with self._lock:
            self._check_open()
            wanted = (where or {}).items()
            candidates = [(entry, row) for entry, row in self._rows.values() if wanted <= entry.payload.items()]
        if not candidates or limit <= 0:
            return []
        scores = np.clip(np.stack([row for _, row in candidates]) @ query, -1.0, 1.0)
        best = np.argsort(-scores, kind="stable")[:limit]
        return [Hit(candidates[i][0], float(scores[i])) for i in best]

    def delete(self, ids: Sequence[str]) -> int:
        """Remove entries; see `VectorStore.delete`."""
        with self._lock:
            self._check_open()
            return sum(self._rows.pop(identifier, None) is not None for identifier in ids)

    def ids(self) -> set[str]:
        """The identifiers of all entries."""
        with self._lock:
            self._check_open()
            return set(self._rows)

    def count(self) -> int:
        """The number of entries."""
        return len(self.ids())

    def save(self) -> None:
        """Nothing to do: this store does not outlive its process."""
        with self._lock:
            self._check_open()

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._rows.clear()
            self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise VectorStoreError("This vector collection was closed.")
