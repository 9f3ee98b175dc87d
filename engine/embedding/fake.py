"""An embedder without a model, for tests and for machines that have no encoder yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from itertools import pairwise

import numpy as np

from engine.embedding.base import Embedder, Vectors

_WORD = re.compile(r"\w+")


class HashingEmbedder(Embedder):
    """Hashes words and pairs of words into signed buckets (the "hashing trick" of Weinberger et al., 2009).

    Deterministic across processes. Texts that share words are near each other; it knows nothing of meaning.
    """

    def __init__(self, name: str = "hashing", dimension: int = 256) -> None:
        self.name = name
        self.dimension = dimension

    def _embed_batch(self, texts: list[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for feature in _features(text):
                bucket, sign = self._bucket(feature)
                vectors[row, bucket] += sign
            if not vectors[row].any():
                vectors[row, 0] = 1.0  # A text without words still gets a unit vector.
        return vectors

    def _bucket(self, feature: str) -> tuple[int, float]:
        """The position of a feature and its sign; the sign lets collisions cancel out."""
        number = int.from_bytes(blake2b(feature.encode(), digest_size=8).digest(), "little")
        return (number >> 1) % self.dimension, 1.0 if number & 1 else -1.0


def _features(text: str) -> Iterator[str]:
    """The words of a text and its pairs of neighbouring words, in lower case."""
    words = [word.group().lower() for word in _WORD.finditer(text)]
    yield from words
    for left, right in pairwise(words):
        yield f"{left} {right}"
