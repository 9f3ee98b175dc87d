"""Question-and-answer pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from engine.domain.documents import BoundingBox

DUPLICATE_REASON = "It asks the same as a better pair."
"""Why a pair that lost against a better one is stored as rejected; its `duplicate_of` names the better one."""

ASKED_TWICE = "Another pair asks the same. Reject one of the two, or change what this one asks."
"""What a reviewer should know of a pair that was changed so that it asks what another one asks; `duplicate_of` names that."""


class FaqStatus(StrEnum):
    """Where a pair stands in review."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a quote stands on its page: character offsets into the page's text, and where its lines are drawn, if known."""

    start: int
    end: int
    boxes: tuple[BoundingBox, ...] = ()


@dataclass(frozen=True, slots=True)
class FaqPair:
    """A question and its answer, with the verbatim quote that proves it.

    `quote` occurs, up to white space, on page `page` of the document. `score` is in 0…1. `reason` says why a pair was
    rejected or what a reviewer should look at. Imported pairs have no document: `document_id` and `page` are None, `quote`
    is empty. `place` is None for those and for pairs of an older version of the program. `parts` are the parts of the score by
    name, each in 0…1. `duplicate_of` is another pair that asks the same: of a rejected pair the better one, of a pending pair
    the one that it was changed to ask like. `language` is an ISO 639-1 code. `origin` says where the question came from:
    `written` (the document has it), `rule`, `model`, `translated` (a model worded question and answer in another language
    than the quote's), `imported`, or empty where nobody noted it.
    """

    id: str
    collection_id: str
    question: str
    answer: str
    quote: str
    document_id: str | None
    document: str
    page: int | None
    heading: str
    score: float
    status: FaqStatus
    reason: str
    model: str
    created_at: datetime
    chunk_id: str | None = None
    place: Place | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    duplicate_of: str | None = None
    language: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class FaqQuery:
    """Which pairs of a collection are meant; what is left at its default does not narrow.

    `text` are words that must all stand in question, answer or quote, parts of words too; letter case and accents do not
    count. `statuses` empty means any. `document` is a document's name or identifier. `flagged` pairs carry a reviewer's
    remark. `duplicates` are those that link to another pair; `duplicate_of` asks for those of one pair.
    """

    text: str = ""
    statuses: frozenset[FaqStatus] = frozenset()
    document: str | None = None
    min_score: float = 0.0
    max_score: float = 1.0
    flagged: bool | None = None
    duplicates: bool | None = None
    duplicate_of: str | None = None
