"""Finding pairs that ask the same thing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.domain import FaqPair, FaqStatus
from engine.embedding.base import Embedder
from engine.faq.types import ScoredPair
from engine.faq.words import content_stems, names, numbers, stem, words

NEAR = 0.9
"""Cosine (MiniLM) from which two questions are taken for one, unless they differ in a name, a number or one telling word."""

_SLOTS = 2
"""Questions of one pattern differ in so many words at most: "price for plan Basic", "price for plan Pro"."""


def drop_duplicates(pairs: Sequence[ScoredPair], *, embedder: Embedder, stored: Sequence[FaqPair] = ()) -> list[ScoredPair]:
    """The pairs without those that ask what a better one, or a stored one, asks already. The order is kept.

    Greedy: the pairs are taken by falling score, and each is compared with all that were kept. Rejected pairs pass
    unchanged and compare with nothing.

    Raises:
        EmbeddingError: the encoder failed.
    """
    live = [pair for pair in pairs if pair.status is not FaqStatus.REJECTED]
    live.sort(key=lambda pair: -pair.score)
    known = [(faq.question, faq.answer) for faq in stored if faq.status is not FaqStatus.REJECTED]
    asked = known + [(pair.candidate.question, pair.candidate.answer) for pair in live]
    vectors = embedder.embed([question for question, _ in asked])
    kept_rows: list[int] = list(range(len(known)))
    seen = {_normal(question) for question, _ in known}
    dropped: set[int] = set()
    for position, pair in enumerate(live):
        row = len(known) + position
        near = np.flatnonzero(vectors[kept_rows] @ vectors[row] >= NEAR).tolist()
        question = _normal(asked[row][0])
        if question in seen or any(same_question(asked[kept_rows[at]], asked[row]) for at in near):
            dropped.add(id(pair))
            continue
        kept_rows.append(row)
        seen.add(question)
    return [pair for pair in pairs if id(pair) not in dropped]


def same_question(first: tuple[str, str], second: tuple[str, str]) -> bool:
    """Whether two (question, answer) pairs whose questions are near by embedding do ask the same.

    Embeddings hardly see the one word that matters, so what differs is looked at: another number or name is another question,
    and so is another word in the same pattern, unless the answer is the same.
    """
    if _normal(first[1]) == _normal(second[1]):
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


def _normal(text: str) -> str:
    return " ".join(words(text.lower()))
