"""Evidence: single sentences and table rows of the passages that were found, and how well they speak to a question."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.embedding.base import Embedder, Vectors
from engine.ingest import split_sentences
from engine.knowledge.passages import Passage
from engine.knowledge.terms import content_stems

OVERLAP_WEIGHT = 0.5
"""Weight of the share of the question's words that a sentence has, beside its cosine similarity. On XQuAD's even articles (five
paragraphs searched), the sentence with the answer came first for 68 % of the questions without it, 76 % with it, and no more
with a larger weight; on the odd ones for 76 % and 81 %, and it was among the first three for 94 %."""
AMOUNT_BONUS = 0.1
"""Added where the question asks for an amount or a time, and the sentence has a digit."""

_COSINE, _OVERLAP, _PASSAGE_COSINE, _PASSAGE_OVERLAP, _BIAS = 3.6, 3.8, 1.8, 5.1, -6.4
"""Logistic regression on XQuAD's even articles: a question against its own article, against another one, and against its own
without the paragraph that answers it."""
LEAST_SUPPORT = 0.5
"""Support from which on the documents are taken to answer. On XQuAD's odd articles 96.2 % of 397 questions passed with their
own article, 0.3 % with another one, and 18 % with their own article less the paragraph that answers them (the hardest kind of
question: same subject, not in the documents). The weights are fitted on the even articles; this threshold and the next two
values were chosen with the odd ones in view, so unseen documents may do a little worse."""
LEAST_COSINE = 0.55
"""A sentence so similar counts as an answer although it shares no words with the question. With it, the figures are 97.2 %,
0.3 % and 22 %: precision 0.997 against foreign questions, 0.82 against the hardest ones."""
CLOSE = 0.1
"""A second sentence of the same passage that is so close behind the best one is quoted along. On XQuAD's odd articles that
happens for 14 % of the questions; the quote then holds the expected answer for 86.9 instead of 82.6 %, at the same token F1."""
NEARLY_AS_GOOD = 0.5
"""Least rank of a further sentence, as a share of the best one's."""

_VAGUE = content_stems(
    "last lasts lasting take takes taking get gets getting give gives happen happens happening mean means like want need know "
    "tell offer provide possible allowed available exactly usually long much many"
)
"""Words of a question that an answer rarely has: "how long does the warranty last" is about the warranty."""

_ASKS_AMOUNT = re.compile(
    r"\bhow (?:many|much|long|old|far|often|tall|high|large|big|fast|soon|late|early|expensive)\b|\bwhen\b|\bwhat time\b"
    r"|\bwhat (?:year|percentage|number|percent|date|day|price|cost|fee)\b|\bcosts?\b",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
_LEAST_PREFIX = 5


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence or row of a passage, verbatim.

    `similarity` is its cosine to the question, `rank` what it is ordered by, `support` (0…1) how likely it is to answer.
    """

    passage: Passage
    text: str
    similarity: float = 0.0
    rank: float = 0.0
    support: float = 0.0

    @property
    def sufficient(self) -> bool:
        """Whether this is taken to answer the question."""
        return self.support >= LEAST_SUPPORT or self.similarity >= LEAST_COSINE


def gather(question: str, passages: Sequence[Passage], embedder: Embedder) -> list[Evidence]:
    """All sentences and rows of the passages, the most promising first.

    Raises:
        EmbeddingError: the encoder failed.
    """
    units = [(passage, text) for passage in passages for text in _units(passage)]
    if not units:
        return []
    vectors = embedder.embed([question, *(text for _, text in units)])
    asked = _telling(content_stems(question))
    wants_amount = _ASKS_AMOUNT.search(question) is not None
    found = [
        _weigh(passage, text, similarity=float(vector @ vectors[0]), asked=asked, wants_amount=wants_amount)
        for (passage, text), vector in zip(units, vectors[1:], strict=True)
    ]
    return sorted(_without_repetitions(found), key=lambda evidence: -evidence.rank)


def relevant(evidence: Sequence[Evidence], limit: int) -> list[Evidence]:
    """The best sentence and at most `limit` - 1 others that are nearly as good: what is far behind could only mislead."""
    return [item for item in evidence[:limit] if item.rank >= evidence[0].rank * NEARLY_AS_GOOD]


def quotable(evidence: Sequence[Evidence]) -> list[Evidence]:
    """What answers without a model: the best sentence, and the next one where it is close, in the order of the passage."""
    best, *others = evidence[:2]
    close = [item for item in others if item.passage == best.passage and item.rank >= best.rank - CLOSE]
    return sorted([best, *close], key=lambda item: best.passage.text.find(item.text))


def similarity(question: str, others: Sequence[str], embedder: Embedder) -> Vectors:
    """Cosine similarities of a question to other texts, shape (len(others),).

    Raises:
        EmbeddingError: the encoder failed.
    """
    vectors = embedder.embed([question, *others])
    scores: Vectors = vectors[1:] @ vectors[0]
    return scores


def _units(passage: Passage) -> list[str]:
    """The sentences of a passage, without those that are only headings."""
    texts = [passage.text[start:end] for start, end in split_sentences(passage.text)]
    return [text for text in texts if text not in passage.heading_path]


def _weigh(passage: Passage, text: str, *, similarity: float, asked: set[str], wants_amount: bool) -> Evidence:
    headings = " ".join(passage.heading_path)
    overlap = _covered(asked, content_stems(f"{headings} {text}"))
    passage_overlap = _covered(asked, content_stems(f"{headings} {passage.text}"))
    logit = _COSINE * similarity + _OVERLAP * overlap + _PASSAGE_COSINE * passage.score + _PASSAGE_OVERLAP * passage_overlap
    bonus = AMOUNT_BONUS if wants_amount and _DIGIT.search(text) else 0.0
    return Evidence(
        passage=passage,
        text=text,
        similarity=similarity,
        rank=similarity + OVERLAP_WEIGHT * overlap + bonus,
        support=1.0 / (1.0 + math.exp(-(logit + _BIAS))),
    )


def _telling(asked: set[str]) -> set[str]:
    """The stems of a question that its answer should have; all of them where nothing else is left."""
    return (asked - _VAGUE) or asked


def _covered(asked: set[str], known: set[str]) -> float:
    """The share of the asked stems that are known, or begin or continue a known one."""
    if not asked:
        return 0.0
    return sum(1 for stem in asked if stem in known or _has_relative(stem, known)) / len(asked)


def _has_relative(stem: str, known: set[str]) -> bool:
    """Whether "photo" meets "photograph"."""
    return any(
        min(len(stem), len(other)) >= _LEAST_PREFIX and (other.startswith(stem) or stem.startswith(other)) for other in known
    )


def _without_repetitions(found: Sequence[Evidence]) -> list[Evidence]:
    """Each text once; the quote of an FAQ pair often stands in a chunk as well."""
    best: dict[str, Evidence] = {}
    for evidence in found:
        key = " ".join(evidence.text.split()).casefold()
        if key not in best or evidence.rank > best[key].rank:
            best[key] = evidence
    return list(best.values())
