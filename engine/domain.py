"""The nouns of the product, as frozen dataclasses.

Lives here: what the capabilities exchange with each other, with storage and with the pages. No behaviour beyond what
follows from the data itself, and no import of any library.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]
"""A JSON value."""

Role = Literal["system", "user", "assistant"]


def new_id() -> str:
    """A fresh identifier (32 hexadecimal digits of a UUID4)."""
    return uuid.uuid4().hex


def utc_now() -> datetime:
    """The current time, time zone aware, in UTC."""
    return datetime.now(UTC)


class BlockKind(StrEnum):
    """What a block of a page is."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    TABLE_ROW = "table_row"


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a page's text.

    `start` and `end` are character offsets into `Page.text`; `bbox` is (x0, y0, x1, y1) in PDF points, where the format
    has positions; `heading_path` holds the headings above it, outermost first.
    """

    kind: BlockKind
    start: int
    end: int
    heading_path: tuple[str, ...] = ()
    bbox: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a document. Formats without pages have one page for each top-level section, numbered from 1."""

    number: int
    text: str
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was taken in. `id` is the SHA-256 of its bytes, so that the same file twice is one document."""

    id: str
    name: str
    media_type: str
    size: int
    page_count: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of one page: the unit of retrieval and of FAQ extraction.

    `start` and `end` are character offsets into the page's text; `text` is exactly that slice.
    """

    id: str
    document_id: str
    index: int
    page: int
    start: int
    end: int
    text: str
    heading_path: tuple[str, ...] = ()


class CollectionStatus(StrEnum):
    """Where the vector index of a collection stands."""

    EMPTY = "empty"
    INDEXING = "indexing"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Collection:
    """A named body of knowledge: documents, the FAQ pairs made from them, and the vectors of both."""

    id: str
    name: str
    status: CollectionStatus
    created_at: datetime
    document_count: int = 0
    faq_count: int = 0
    approved_count: int = 0


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


@dataclass(frozen=True, slots=True)
class Citation:
    """A verbatim quote that supports an answer, and where it stands."""

    document: str
    page: int | None
    quote: str
    score: float
    document_id: str | None = None
    source_id: str | None = None
    """Identifier of the chunk or FAQ pair that was cited."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


class FinishReason(StrEnum):
    """Why a generation ended."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts. `cached_tokens` of the prompt were not computed again; `cost_usd` is 0 for local models."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Timings:
    """Wall-clock seconds: waiting for a slot, until the first token, and in all."""

    queued_s: float = 0.0
    first_token_s: float = 0.0
    total_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token of an answer, the natural logarithm of its probability, and those of the likeliest tokens at its place."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered. `notice` tells the person about a fall-back or a trimmed conversation.

    `reasoning` is what the model thought before its answer, where it marks that; it is no part of `text`. `logprobs` are there
    where the request asked for them, one for each token of the answer.
    """

    text: str
    finish_reason: FinishReason
    model: str
    adapter: str | None = None
    usage: Usage = Usage()
    timings: Timings = Timings()
    notice: str | None = None
    reasoning: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a streamed answer, or of the reasoning before it. The last one of a stream has the whole `completion`."""

    text: str
    completion: Completion | None = None
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer from documents (or, with no citations, from a model alone).

    `found` is False when nothing in the documents supports an answer; the text then says so.
    """

    text: str
    found: bool
    citations: tuple[Citation, ...] = ()
    model: str = ""
    adapter: str | None = None
    usage: Usage = Usage()
    timings: Timings = Timings()
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerDelta:
    """A piece of a streamed answer. The last one of a stream has the whole `answer`.

    The whole answer's text is what counts: a check may have replaced what was streamed.
    """

    text: str
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A stored conversation. `kind` is `chat` or `agent`; `agent_id` is set for the latter."""

    id: str
    kind: Literal["chat", "ask", "agent"]
    title: str
    created_at: datetime
    agent_id: str | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model file (or encoder folder) as its own metadata describes it."""

    name: str
    path: Path
    kind: Literal["chat", "encoder"]
    architecture: str
    family: str
    parameters: int
    quantisation: str
    context_length: int
    size: int
    chat_template: bool
    licence: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter in GGUF form, its base model, and what is known of how it was made."""

    id: str
    name: str
    base_model: str
    path: Path
    created_at: datetime
    job_id: str | None = None
    collection_id: str | None = None
    card: Mapping[str, Json] = field(default_factory=dict)
    """Settings, loss curve, hashes and parity figures."""


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """A smart agent: what it is told, what it answers from, and which lead fields it collects."""

    id: str
    name: str
    instructions: str
    collection_id: str
    fields: tuple[str, ...]
    created_at: datetime
    provider: str = "local"
    model: str | None = None
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Lead:
    """What a customer told an agent about themselves. Every value occurs verbatim in one of their messages."""

    id: str
    agent_id: str
    conversation_id: str
    fields: Mapping[str, str]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class AgentReply:
    """What the agent said, and the lead as it stands after the customer's message."""

    reply: str
    conversation_id: str
    lead: Mapping[str, str]
    citations: tuple[Citation, ...] = ()
    found: bool = True
    usage: Usage = Usage()
    timings: Timings = Timings()
    notice: str | None = None


class JobState(StrEnum):
    """`queued → running → succeeded | failed | aborted`, `queued → cancelled`; a retry goes back to `queued`.

    `aborted` is a job that someone stopped while it ran; one whose process went away too often has `failed`.
    """

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen unless someone resumes the job."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Job:
    """A unit of background work, as its row says. `progress` is in 0…1; `eta_s` is None until it can be estimated."""

    id: str
    kind: str
    state: JobState
    payload: Mapping[str, Json]
    progress: float
    message: str
    result: Mapping[str, Json] | None
    error: Mapping[str, Json] | None
    attempts: int
    max_attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested: bool = False

    @property
    def eta_s(self) -> float | None:
        """Seconds left, from the progress so far; None when that says nothing."""
        if self.state is not JobState.RUNNING or self.started_at is None or self.progress < 0.02:
            return None
        elapsed = (utc_now() - self.started_at).total_seconds()
        return elapsed * (1 - self.progress) / self.progress
