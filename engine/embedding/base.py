"""What every embedder offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

MULTILINGUAL = "multilingual"
"""What an encoder says that does not list its languages."""

Vectors = NDArray[np.float32]
"""Row vectors of unit length, shape (n, dimension)."""


class Embedder(ABC):
    """Turns texts into unit vectors. Subclasses embed one batch; batching and normalising are done here.

    Safe to call from any thread.
    """

    name: str
    dimension: int
    batch_size: int = 64
    languages: frozenset[str] = frozenset()
    """ISO 639-1 codes of the languages that it was made for, as its files say, or `MULTILINGUAL`; empty: nothing is said."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, in order.

        Returns:
            Unit vectors, shape (len(texts), dimension), float32.

        Raises:
            EmbeddingError: the encoder failed.
        """
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        # Sorting by length keeps padding small; the order is restored at the end.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            vectors[batch] = self._embed_batch([texts[i] for i in batch])
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Vectors = vectors / np.maximum(norms, 1e-12)
        return unit

    def knows(self, languages: Iterable[str]) -> bool:
        """Whether its vectors can be trusted for all of some languages, so that texts in one can be compared with another's."""
        return MULTILINGUAL in self.languages or set(languages) <= self.languages

    def words(self) -> Sequence[str]:
        """Whole words of its vocabulary, in lower case; empty: it has none, or none that are known.

        Raises:
            ModelFileError: its files cannot be read.
        """
        return ()

    @abstractmethod
    def _embed_batch(self, texts: list[str]) -> Vectors:
        """Embed one batch; need not be normalised."""
