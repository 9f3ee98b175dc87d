"""Finding pairs that ask the same thing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.domain import DUPLICATE_REASON, FaqPair, FaqStatus
from engine.embedding.base import Embedder, Vectors
from engine.faq.wordings import Wording, Wordings, normal_question, with_room

__all__ = ["NEAR", "DuplicateIndex", "Verdict", "normal_question", "put_aside", "rank"]

NEAR = 0.9
"""Cosine (MiniLM) from which two questions are taken for one, unless they differ in a name, a number or one telling word."""

_LEAST_ROOM = 256


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a pair, and of pairs that were kept before it came.

    `duplicate_of` is the better kept pair that asks the same: store the new one as rejected, linked to it. None: keep it.
    `displaced` are pending pairs that are worse than the new one: store them as rejected, linked to it. A question may lie
    between several that are not duplicates of each other, so there may be more than one.
    """

    duplicate_of: str | None = None
    displaced: tuple[str, ...] = ()


class DuplicateIndex:
    """The pairs that are kept, and which of them asks what a new one asks.

    The normalised text of the questions is compared first, then the cosine of their embeddings (`NEAR`) with what
    `same_question` says of the words that differ. Adding a pair costs one matrix-vector product, and as many comparisons
    of words, all at once, as questions are near. What is in another language is never near. Of a cluster the best is
    kept: an approved pair before a pending one, then the higher score, then the one that was there first. Rejected pairs
    compare with nothing. Not safe for several threads at once.
    """

    def __init__(self, embedder: Embedder, stored: Sequence[FaqPair]) -> None:
        """Start with the stored pairs of a collection. Those that are not rejected are kept as they are.

        Raises:
            EmbeddingError: the encoder failed.
        """
        self._embedder = embedder
        self._better = {pair.id: pair.duplicate_of for pair in stored if pair.duplicate_of is not None}
        self._pairs: list[FaqPair | None] = []
        self._rows: dict[str, list[int]] = defaultdict(list)
        self._wordings = Wordings()
        kept = [pair for pair in stored if pair.status is not FaqStatus.REJECTED]
        self._vectors: Vectors = np.zeros((len(kept) + _LEAST_ROOM, embedder.dimension), dtype=np.float32)
        for pair, vector in zip(kept, embedder.embed([pair.question for pair in kept]), strict=True):
            self._keep(pair, vector, self._read(pair))

    def add(self, pair: FaqPair) -> Verdict:
        """Compare a new pair with those that are kept, and keep it if it is the best of those that ask the same.

        Raises:
            EmbeddingError: the encoder failed.
        """
        if pair.status is FaqStatus.REJECTED:
            return Verdict()
        vector, wording = self._embedder.embed([pair.question])[0], self._read(pair)
        same = self._same(pair, vector, wording)
        if same:
            best = max(same, key=lambda other: rank(same[other]))
            if rank(same[best]) >= rank(pair) or same[best].status is FaqStatus.APPROVED:
                self._better[pair.id] = same[best].id
                return Verdict(duplicate_of=same[best].id)
        for row, worse in same.items():
            self._drop(row, worse, pair)
        self._keep(pair, vector, wording)
        return Verdict(displaced=tuple(worse.id for worse in same.values()))

    def best(self, faq_id: str) -> str:
        """The pair that stands for a pair in the end: itself, or the last of the better ones that it links to."""
        passed = {faq_id}
        while (better := self._better.get(faq_id)) is not None and better not in passed:
            passed.add(better)
            faq_id = better
        return faq_id

    def same(self, pair: FaqPair) -> list[FaqPair]:
        """The kept pairs that ask what a pair asks, the best first; without the pair itself, which need not be kept.

        Raises:
            EmbeddingError: the encoder failed.
        """
        found = self._same(pair, self._embedder.embed([pair.question])[0], self._read(pair))
        return sorted((other for other in found.values() if other.id != pair.id), key=rank, reverse=True)

    def _same(self, pair: FaqPair, vector: Vectors, wording: Wording) -> dict[int, FaqPair]:
        """The kept pairs that ask the same, by their rows."""
        equal = self._rows.get(normal_question(pair.question), [])
        near = np.flatnonzero(self._vectors[: len(self._pairs)] @ vector >= NEAR)
        rows = [*equal, *(row for row in self._wordings.same(wording, near).tolist() if self._speaks_as(pair, row))]
        return {row: other for row in rows if (other := self._pairs[row])}

    def _speaks_as(self, pair: FaqPair, row: int) -> bool:
        """Whether a kept pair is not known to be in another language: the same fact may be asked for in several."""
        other = self._pairs[row]
        return other is not None and (other.language == pair.language or not (other.language and pair.language))

    def _read(self, pair: FaqPair) -> Wording:
        return self._wordings.read(pair.question)

    def _keep(self, pair: FaqPair, vector: Vectors, wording: Wording) -> None:
        row = len(self._pairs)
        self._vectors = with_room(self._vectors, row)
        self._vectors[row] = vector
        self._wordings.append(wording)
        self._pairs.append(pair)
        self._rows[normal_question(pair.question)].append(row)

    def _drop(self, row: int, worse: FaqPair, better: FaqPair) -> None:
        self._better[worse.id] = better.id
        self._pairs[row] = None
        self._vectors[row] = 0.0  # near nothing
        self._rows[normal_question(worse.question)].remove(row)


def rank(pair: FaqPair) -> tuple[bool, float]:
    """How good a pair is among those that ask the same."""
    return pair.status is FaqStatus.APPROVED, pair.score


def put_aside(pair: FaqPair, better: str) -> FaqPair:
    """A pair as it is stored where a better one, which it is linked to, asks the same."""
    return replace(pair, status=FaqStatus.REJECTED, reason=DUPLICATE_REASON, duplicate_of=better)
