"""Finding pairs that ask the same thing."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.domain import FaqPair, FaqStatus
from engine.embedding.base import Embedder, Vectors
from engine.faq.words import content_stems, names, numbers, stem, words

NEAR = 0.9
"""Cosine (MiniLM) from which two questions are taken for one, unless they differ in a name, a number or one telling word."""

_SLOTS = 2
"""Questions of one pattern differ in so many words at most: "price for plan Basic", "price for plan Pro"."""
_LEAST_ROOM = 256
_SIGN = re.compile(r"(?<!\S)[-−](?=\d)")
_MEANING = frozenset("#%&@/")
"""Punctuation, by Unicode's categories, that makes another word: "C#" and "C"."""


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
    `same_question` says of the words that differ. Adding a pair costs one matrix-vector product. Of a cluster the best is
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
        kept = [pair for pair in stored if pair.status is not FaqStatus.REJECTED]
        self._vectors: Vectors = np.zeros((len(kept) + _LEAST_ROOM, embedder.dimension), dtype=np.float32)
        for pair, vector in zip(kept, embedder.embed([pair.question for pair in kept]), strict=True):
            self._keep(pair, vector)

    def add(self, pair: FaqPair) -> Verdict:
        """Compare a new pair with those that are kept, and keep it if it is the best of those that ask the same.

        Raises:
            EmbeddingError: the encoder failed.
        """
        if pair.status is FaqStatus.REJECTED:
            return Verdict()
        vector = self._embedder.embed([pair.question])[0]
        same = self._same(pair, vector)
        if same:
            best = max(same, key=lambda other: _rank(same[other]))
            if _rank(same[best]) >= _rank(pair) or same[best].status is FaqStatus.APPROVED:
                self._better[pair.id] = same[best].id
                return Verdict(duplicate_of=same[best].id)
        for row, worse in same.items():
            self._drop(row, worse, pair)
        self._keep(pair, vector)
        return Verdict(displaced=tuple(worse.id for worse in same.values()))

    def best(self, faq_id: str) -> str:
        """The pair that stands for a pair in the end: itself, or the last of the better ones that it links to."""
        passed = {faq_id}
        while (better := self._better.get(faq_id)) is not None and better not in passed:
            passed.add(better)
            faq_id = better
        return faq_id

    def _same(self, pair: FaqPair, vector: Vectors) -> dict[int, FaqPair]:
        """The kept pairs that ask the same, by their rows."""
        equal = self._rows.get(normal_question(pair.question), [])
        near = np.flatnonzero(self._vectors[: len(self._pairs)] @ vector >= NEAR).tolist()
        asked = (pair.question, pair.answer)
        same = {row: other for row in equal if (other := self._pairs[row])}
        for row in near:
            other = self._pairs[row]
            if other is not None and row not in same and same_question((other.question, other.answer), asked):
                same[row] = other
        return same

    def _keep(self, pair: FaqPair, vector: Vectors) -> None:
        row = len(self._pairs)
        if row == len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
        self._vectors[row] = vector
        self._pairs.append(pair)
        self._rows[normal_question(pair.question)].append(row)

    def _drop(self, row: int, worse: FaqPair, better: FaqPair) -> None:
        self._better[worse.id] = better.id
        self._pairs[row] = None
        self._vectors[row] = 0.0  # near nothing
        self._rows[normal_question(worse.question)].remove(row)


def _rank(pair: FaqPair) -> tuple[bool, float]:
    return pair.status is FaqStatus.APPROVED, pair.score


def normal_question(question: str) -> str:
    """A question without what does not change its meaning: letter case, width, white space and punctuation.

    Symbols, combining marks and the sign of a number stay. A text of nothing but punctuation is left alone.
    """
    text = _SIGN.sub("\N{MINUS SIGN}", unicodedata.normalize("NFKC", question).casefold())
    return " ".join("".join(map(_bare, text)).split()) or question


def _bare(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf":  # soft hyphens, zero-width spaces
        return ""
    return " " if category[0] in "PZC" and character not in _MEANING else character


def same_question(first: tuple[str, str], second: tuple[str, str]) -> bool:
    """Whether two (question, answer) pairs whose questions are near by embedding do ask the same.

    Embeddings hardly see the one word that matters, so what differs is looked at: another number or name is another question,
    and so is another word in the same pattern, unless the answer is the same.
    """
    if normal_question(first[1]) == normal_question(second[1]):
        return True
    left, right = first[0], second[0]
    if numbers(left) != numbers(right) or _names(left) != _names(right):
        return False
    return not _one_pattern(left, right)


def _names(question: str) -> set[str]:
    return {stem(name) for name in names(question)}


def _one_pattern(left: str, right: str) -> bool:
    """Whether two questions are equal but for one or two content words at the same places."""
    one, other = [stem(word) for word in words(left)], [stem(word) for word in words(right)]
    if len(one) != len(other):
        return False
    telling = content_stems(left) ^ content_stems(right)
    differing = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
    return 0 < len(differing) <= _SLOTS and any(a in telling and b in telling for a, b in differing)
