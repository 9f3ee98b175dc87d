"""An exact FAISS index in memory, with the entries that its vectors belong to. Not thread-safe; knows no files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.embedding.base import Vectors
from engine.errors import VectorStoreError
from engine.vectorstore.base import Entry, Hit

if TYPE_CHECKING:
    from faiss import IndexIDMap2

REBUILD_HINT = "Rebuild the collection's index: it is made again from the stored documents and FAQs."


class FlatIndex:
    """Vectors under integer keys in an `IndexIDMap2(IndexFlatIP)`, and the entry of each key.

    Inner products of unit vectors are cosines. Exact search is the right trade here: a million MiniLM vectors take well
    under a second on two cores, and nothing is ever missed.
    """

    def __init__(self, dimension: int) -> None:
        import faiss

        self.dimension = dimension
        self._index: IndexIDMap2 = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        self._entries: dict[int, Entry] = {}
        self._keys: dict[str, int] = {}
        self._next_key = 0

    @property
    def ids(self) -> set[str]:
        """The identifiers of all entries."""
        return set(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, entries: Sequence[Entry], rows: Vectors) -> None:
        """Store entries and their vectors, shape (len(entries), dimension); the last of equal identifiers wins."""
        last = {entry.id: position for position, entry in enumerate(entries)}
        if not last:
            return
        self.remove(list(last))
        positions = list(last.values())
        keys = np.arange(self._next_key, self._next_key + len(positions), dtype=np.int64)
        self._index.add_with_ids(np.ascontiguousarray(rows[positions]), keys)
        for key, position in zip(keys.tolist(), positions, strict=True):
            self._entries[key] = entries[position]
            self._keys[entries[position].id] = key
        self._next_key += len(positions)

    def remove(self, ids: Sequence[str]) -> int:
        """Remove entries; unknown identifiers are passed over. Returns how many were removed."""
        import faiss

        keys = [self._keys.pop(identifier) for identifier in set(ids) if identifier in self._keys]
        if keys:
            self._index.remove_ids(faiss.IDSelectorBatch(np.asarray(keys, dtype=np.int64)))
        for key in keys:
            del self._entries[key]
        return len(keys)

    def search(self, query: Vectors, limit: int, where: Mapping[str, str] | None) -> list[Hit]:
        """The nearest entries of a query of shape (1, dimension), best first.

        A filter is applied before the search, by giving FAISS the keys that match, so it never costs results.
        """
        import faiss

        keys = self._matching(where) if where else None
        available = len(self) if keys is None else len(keys)
        limit = min(limit, available)
        if limit <= 0:
            return []
        params = None
        if keys is not None:
            # FAISS keeps a bare pointer to the selector, so the name must live until the search is over.
            selector = faiss.IDSelectorBatch(np.asarray(keys, dtype=np.int64))
            params = faiss.SearchParameters()
            params.sel = selector
        scores, found = self._index.search(query, limit, params=params)
        pairs = zip(np.clip(scores[0], -1.0, 1.0).tolist(), found[0].tolist(), strict=True)
        return [Hit(self._entries[key], score) for score, key in pairs if key >= 0]

    def _matching(self, where: Mapping[str, str]) -> list[int]:
        """The keys whose payload has all these values."""
        wanted = where.items()
        return [key for key, entry in self._entries.items() if wanted <= entry.payload.items()]

    def to_bytes(self) -> tuple[bytes, bytes]:
        """The FAISS index and the entries (JSON), to be read back by `from_bytes`."""
        import faiss

        rows = [[key, entry.id, dict(entry.payload)] for key, entry in self._entries.items()]
        return bytes(faiss.serialize_index(self._index)), json.dumps(rows).encode()

    @classmethod
    def from_bytes(cls, dimension: int, index: bytes, entries: bytes) -> FlatIndex:
        """What `to_bytes` gave.

        Raises:
            VectorStoreError: the two do not belong together, or are not what `to_bytes` writes.
        """
        import faiss

        result = cls(dimension)
        try:
            loaded = faiss.deserialize_index(np.frombuffer(index, dtype=np.uint8))
            result._read_entries(entries)
        except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as exc:
            raise VectorStoreError("The vector index cannot be read.", hint=REBUILD_HINT) from exc
        if not isinstance(loaded, faiss.IndexIDMap2) or loaded.d != dimension:
            raise VectorStoreError("The vector index is of another kind or dimension.", hint=REBUILD_HINT)
        result._index = loaded
        result._check_keys()
        return result

    def _read_entries(self, entries: bytes) -> None:
        for key, identifier, payload in json.loads(entries):
            self._entries[int(key)] = Entry(str(identifier), {str(name): str(value) for name, value in payload.items()})
            self._keys[str(identifier)] = int(key)
        self._next_key = max(self._entries, default=-1) + 1

    def _check_keys(self) -> None:
        """Refuse an index whose vectors are not exactly those of the entries."""
        import faiss

        stored = set(faiss.vector_to_array(self._index.id_map).tolist())
        if stored != set(self._entries) or len(self._keys) != len(self._entries) or self._index.ntotal != len(stored):
            raise VectorStoreError("The vector index and its entries do not belong together.", hint=REBUILD_HINT)
