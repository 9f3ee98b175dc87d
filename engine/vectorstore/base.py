"""What every vector store offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from engine.embedding.base import Vectors


@dataclass(frozen=True, slots=True)
class Entry:
    """What is stored with a vector: an identifier that is unique in its collection, and plain values to filter by."""

    id: str
    payload: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Hit:
    """A search result; `score` is the cosine similarity, in -1…1."""

    entry: Entry
    score: float


@runtime_checkable
class VectorStore(Protocol):
    """One collection of unit vectors. Safe to call from any thread; two processes may open the same collection."""

    @property
    def dimension(self) -> int:
        """Length of each vector."""
        ...

    def add(self, entries: Sequence[Entry], vectors: Vectors) -> None:
        """Store vectors; an entry whose identifier is there already is replaced.

        Raises:
            VectorStoreError: lengths or dimensions do not match.
        """
        ...

    def search(self, vector: Vectors, limit: int, where: Mapping[str, str] | None = None) -> list[Hit]:
        """The nearest entries, best first.

        Args:
            vector: the query, shape (dimension,), unit length.
            limit: how many at most.
            where: keep only entries whose payload has exactly these values.
        """
        ...

    def delete(self, ids: Sequence[str]) -> int:
        """Remove entries; unknown identifiers are passed over. Returns how many were removed."""
        ...

    def ids(self) -> set[str]:
        """The identifiers of all entries."""
        ...

    def count(self) -> int:
        """The number of entries."""
        ...

    def save(self) -> None:
        """Make all changes durable, at once or not at all."""
        ...

    def close(self) -> None:
        """Give back memory. Unsaved changes are lost."""
        ...
