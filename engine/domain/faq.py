"""Question-and-answer pairs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class FaqStatus(StrEnum):
    """Where a pair stands in review."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class FaqPair:
    """A question and its answer, with the verbatim quote that proves it.

    `quote` occurs, up to white space, on page `page` of the document. `score` is in 0…1. `reason` says why a pair was
    rejected or what a reviewer should look at. Imported pairs have no document: `document_id` and `page` are None, `quote`
    is empty.
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
