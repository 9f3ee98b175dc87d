"""What the steps of FAQ extraction hand to each other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engine.domain import Chunk, FaqStatus


class UnitKind(StrEnum):
    """What a unit is, which decides how a question is found for it."""

    SENTENCE = "sentence"
    ROW = "row"
    """A row of a table, or a line `label: value`."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of a chunk that states a fact by itself: the quote of a future pair.

    `start` and `end` are character offsets into the chunk's text; `fact` says in 0…1 how much of a fact it states.
    """

    text: str
    start: int
    end: int
    kind: UnitKind
    fact: float


class Origin(StrEnum):
    """Where a question came from."""

    WRITTEN = "written"
    """The document has it word for word."""
    RULE = "rule"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed pair, not yet checked.

    Several candidates may have one quote; at most one of them becomes a pair. `answer` is the quote or a span of it. `key`
    names the fact within the chunk: a table row has one for each of its columns, a sentence has one.
    """

    question: str
    answer: str
    quote: str
    chunk: Chunk
    origin: Origin
    fact: float
    key: str = ""


@dataclass(frozen=True, slots=True)
class ScoreParts:
    """What a score is made of, each in 0…1. See `engine.faq.curation.score_of` for the weights."""

    relevance: float
    """Cosine similarity of question and quote."""
    lead: float
    """How far the quote is ahead of the best other sentence of the document; 0 where another one fits as well."""
    grounded: float
    """Share of the question's content words that the quote or its headings have."""
    form: float
    """Whether the question has the shape and the length of one that a person asks."""
    fact: float
    """How much of a fact the quote states."""


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """A candidate after the checks. `status` is PENDING (for review) or REJECTED; then `reason` says why."""

    candidate: Candidate
    score: float
    parts: ScoreParts
    status: FaqStatus
    reason: str = ""
