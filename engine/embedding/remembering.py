"""An embedder that does not embed the same text twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from engine.embedding.base import Embedder, Vectors


class RememberingEmbedder(Embedder):
    """Passes texts on to another embedder and remembers the vectors of the last ones.

    For work that compares new texts with the same old ones again and again, such as the search for duplicates. Not safe for
    several threads at once.
    """

    def __init__(self, inner: Embedder, limit: int = 20_000) -> None:
        """Remember up to `limit` texts (about 1.5 kB each at 384 dimensions)."""
        self.name = inner.name
        self.dimension = inner.dimension
        self.languages = inner.languages
        self._inner = inner
        self._limit = limit
        self._known: OrderedDict[str, Vectors] = OrderedDict()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, in order; see `Embedder.embed`."""
        missing = list(dict.fromkeys(text for text in texts if text not in self._known))
        if missing:
            self._known.update(zip(missing, self._inner.embed(missing), strict=True))
        if not texts:
            return self._inner.embed(texts)
        vectors: Vectors = np.stack([self._known[text] for text in texts])
        for text in texts:
            self._known.move_to_end(text)
        while len(self._known) > self._limit:
            self._known.popitem(last=False)
        return vectors

    def words(self) -> Sequence[str]:
        """Those of the other embedder."""
        return self._inner.words()

    def _embed_batch(self, texts: list[str]) -> Vectors:
        return self._inner.embed(texts)
