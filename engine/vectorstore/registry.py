"""Which vector stores there are, and how to open one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.errors import ConfigError
from engine.vectorstore.base import VectorStore
from engine.vectorstore.faiss_store import FaissStore
from engine.vectorstore.generations import discard
from engine.vectorstore.memory import MemoryStore

STORES: dict[str, Callable[[Path, int, str], VectorStore]] = {
    "faiss": FaissStore,
    "memory": lambda _folder, dimension, _encoder: MemoryStore(dimension),
}
"""Constructor of each kind of store, from its folder, the vectors' length and the encoder's name."""


def open_store(kind: str, folder: Path, dimension: int, encoder: str) -> VectorStore:
    """Open the vector collection in `folder`, or start an empty one.

    Raises:
        ConfigError: there is no such kind of store.
        VectorStoreError: it is damaged, or was made with another encoder; `discard_store` clears the way to rebuild it.
    """
    if kind not in STORES:
        raise ConfigError(f"There is no vector store called {kind!r}.", hint=f"Use one of: {', '.join(sorted(STORES))}.")
    return STORES[kind](folder, dimension, encoder)


def discard_store(folder: Path) -> None:
    """Remove what is saved in `folder`, damaged or not, so that the collection can be rebuilt.

    Raises:
        StorageError: the disk refused.
    """
    discard(folder)
