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
    """A piece of a chunk that states a fact.

    `start` and `end` are character offsets into the chunk's text; `fact` says in 0…1 how much of a fact it states. `quote` is
    what a pair about it quotes, from `quote_start` to `end`: the piece, or, where it leans on the sentences before it ("It
    also …"), those as well.
    """

    text: str
    start: int
    end: int
    kind: UnitKind
    fact: float
    quote: str
    quote_start: int


class Origin(StrEnum):
    """Where a question came from."""

    WRITTEN = "written"
    """The document has it word for word."""
    RULE = "rule"
    MODEL = "model"
    TRANSLATED = "translated"
    """A model worded question and answer, in another language than the quote's."""


@dataclass(frozen=True, slots=True)
class Wording:
    """How likely a model finds the words of its question when it is free to choose, in nats a token: mean and least.

    A question that the constraint bent out of shape, or that the model was lost in, has tokens that it would never have chosen.
    """

    mean: float
    least: float


@dataclass(frozen=True, slots=True)
class RowFact:
    """What a question that a rule made of a row asks for, as the row has it, in small letters: `label` of `subject`."""

    subject: str
    label: str


@dataclass(frozen=True, slots=True)
class Translation:
    """From which language into which: ISO 639-1 codes. `source` is that of the document."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed pair, not yet checked.

    Several candidates may have one quote; at most one of them becomes a pair. `answer` is the quote or a span of it, unless
    there is a `translation`: then question and answer are in another language than the quote, and the model's words. `key`
    names the fact within the chunk: a table row has one for each of its columns, a sentence has one. `sentence` is the part of
    the quote that the question is asked of, where the quote has more. `wording` is there where a local model worded it.
    """

    question: str
    answer: str
    quote: str
    chunk: Chunk
    origin: Origin
    fact: float
    key: str = ""
    sentence: str = ""
    wording: Wording | None = None
    english: bool = True
    """Whether the quote is English, which the finer checks of a question are made for."""
    row: RowFact | None = None
    """What is asked of a table row; such a question is built from the row's own words, and checked by them."""
    translation: Translation | None = None

    @property
    def translated(self) -> Translation:
        """The translation of a candidate that has one.

        Raises:
            ValueError: question and answer are in the language of the quote.
        """
        if self.translation is None:
            raise ValueError("This pair is in the language of its quote.")
        return self.translation


@dataclass(frozen=True, slots=True)
class ScoreParts:
    """What a score is made of, each in 0…1; None where it was not measured. See `engine.faq.curation` for the weights."""

    relevance: float
    """Cosine similarity of question and quote."""
    lead: float | None
    """How far the quote is ahead of the best other sentence of the document; 0 where another one fits as well."""
    grounded: float | None
    """Share of the question's content words that the quote or its headings have."""
    form: float
    """Whether the question has the shape and the length of one that a person asks."""
    fact: float
    """How much of a fact the quote states."""
    wording: float
    """How well the question is worded: by how likely a model finds its words, and by whether a rule made it."""


@dataclass(frozen=True, slots=True)
class TranslatedParts:
    """What the score of a pair in another language than its quote is made of, each in 0…1; None where it was not measured.

    See `engine.faq.translated_scores` for the weights.
    """

    meaning: float
    """Cosine similarity of answer and quote; 0 where the encoder does not know both languages, so that nobody has checked."""
    language: float
    """Whether question and answer are of the chosen language: a half where it cannot be told."""
    form: float
    """Whether the question has the length of one that a person asks, and leaves something to be answered."""
    fact: float
    """How much of a fact the quote states."""
    relevance: float | None = None
    """Cosine similarity of question and quote."""
    lead: float | None = None
    """How far the quote is ahead of the best other sentence of the document."""


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """A candidate after the checks. `status` is PENDING (for review) or REJECTED.

    `reason` says why it is rejected, or what a reviewer should look at.
    """

    candidate: Candidate
    score: float
    parts: ScoreParts | TranslatedParts
    status: FaqStatus
    reason: str = ""
