"""Checks that every store makes before it touches a vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.embedding.base import Vectors
from engine.errors import VectorStoreError
from engine.vectorstore.base import Entry

_NORM_TOLERANCE = 1e-2
"""A float32 unit vector is within about 1e-6 of length 1; this also lets half precision through."""


def checked_rows(entries: Sequence[Entry], vectors: Vectors, dimension: int) -> Vectors:
    """The vectors of `entries` as contiguous float32 rows, shape (len(entries), dimension).

    Raises:
        VectorStoreError: the shape does not fit, or a row is not a finite vector of unit length.
    """
    if vectors.ndim != 2 or vectors.shape != (len(entries), dimension):
        raise VectorStoreError(
            f"{len(entries)} entries need vectors of shape ({len(entries)}, {dimension}), not {vectors.shape}.",
            hint="The collection was made with another encoder; rebuild its index.",
        )
    return _checked_unit(vectors)


def checked_query(vector: Vectors, dimension: int) -> Vectors:
    """A query as one contiguous float32 row, shape (1, dimension).

    Raises:
        VectorStoreError: the shape does not fit, or it is not a finite vector of unit length.
    """
    if vector.shape != (dimension,):
        raise VectorStoreError(
            f"A query of this collection has shape ({dimension},), not {vector.shape}.",
            hint="The collection was made with another encoder; rebuild its index.",
        )
    return _checked_unit(vector[np.newaxis, :])


def _checked_unit(vectors: Vectors) -> Vectors:
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(rows, axis=1)
    # Written so that a comparison with NaN counts as a failure.
    if not np.all(np.abs(norms - 1.0) <= _NORM_TOLERANCE):
        raise VectorStoreError("A vector is not of unit length, so its similarity would not be a cosine.")
    return rows
