"""The tables. A change here needs a step in `migrations`."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import JsonValue
from sqlalchemy import JSON, Column, Dialect, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """A time zone aware time, stored as ISO 8601 text in UTC (which sorts as time does)."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Aware time to text."""
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Text to aware time."""
        return None if value is None else datetime.fromisoformat(value)


def _time(*, nullable: bool = False) -> Column[datetime]:
    return Column(UtcDateTime, nullable=nullable)


def _owned_by(target: str, *, index: bool = True, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    owner = ForeignKey(target, ondelete="CASCADE")
    return Column(String, owner, index=index, primary_key=primary_key, nullable=nullable and not primary_key)


class DocumentRow(SQLModel, table=True):
    """A document; `id` is the SHA-256 of its bytes."""

    __tablename__ = "document"
    id: str = Field(primary_key=True)
    name: str
    media_type: str
    size: int
    page_count: int
    created_at: datetime = Field(sa_column=_time())
    warnings: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False, server_default="[]"))
    sized_by: str = Field("", sa_column_kwargs={"server_default": ""})


class PageRow(SQLModel, table=True):
    """The text of one page and its blocks."""

    __tablename__ = "page"
    document_id: str = Field(sa_column=_owned_by("document.id", primary_key=True, index=False))
    number: int = Field(primary_key=True)
    text: str
    blocks: list[JsonValue] = Field(sa_column=Column(JSON, nullable=False))
    width: float | None = None
    height: float | None = None
    source: str = Field(default="text", sa_column=Column(String, nullable=False, server_default="text"))


class ChunkRow(SQLModel, table=True):
    """A passage of one page."""

    __tablename__ = "chunk"
    id: str = Field(primary_key=True)
    document_id: str = Field(sa_column=_owned_by("document.id"))
    index: int
    page: int
    start: int
    end: int
    text: str
    heading_path: list[str] = Field(sa_column=Column(JSON, nullable=False))


class CollectionRow(SQLModel, table=True):
    """A named body of knowledge."""

    __tablename__ = "collection"
    id: str = Field(primary_key=True)
    name: str = Field(unique=True, index=True)
    status: str
    created_at: datetime = Field(sa_column=_time())


class CollectionDocumentRow(SQLModel, table=True):
    """Which documents a collection holds."""

    __tablename__ = "collection_document"
    collection_id: str = Field(sa_column=_owned_by("collection.id", primary_key=True, index=False))
    document_id: str = Field(sa_column=_owned_by("document.id", primary_key=True))
    added_at: datetime = Field(sa_column=_time())


class ExtractedChunkRow(SQLModel, table=True):
    """Chunks that FAQ extraction has been through, so that a job goes on where it stopped.

    `language` is that of the pairs where it was chosen and is not the document's: such an extraction is another one.
    """

    __tablename__ = "extracted_chunk"
    collection_id: str = Field(sa_column=_owned_by("collection.id", primary_key=True, index=False))
    chunk_id: str = Field(sa_column=_owned_by("chunk.id", primary_key=True))
    language: str = Field(default="", sa_column=Column(String, primary_key=True, nullable=False, server_default=""))


class FaqRow(SQLModel, table=True):
    """A question, its answer and the quote that proves it."""

    __tablename__ = "faq"
    id: str = Field(primary_key=True)
    collection_id: str = Field(sa_column=_owned_by("collection.id"))
    document_id: str | None = Field(default=None, sa_column=_owned_by("document.id", nullable=True))
    chunk_id: str | None = None
    document: str
    page: int | None
    heading: str
    question: str
    answer: str
    quote: str
    score: float
    status: str = Field(index=True)
    reason: str
    model: str
    created_at: datetime = Field(sa_column=_time())
    place: dict[str, JsonValue] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    parts: dict[str, float] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False, server_default="{}"))
    duplicate_of: str | None = Field(default=None, index=True)
    language: str = Field(default="", sa_column=Column(String, nullable=False, server_default=""))
    origin: str = Field(default="", sa_column=Column(String, nullable=False, server_default=""))


class FaqChangeRow(SQLModel, table=True):
    """How a pair was before a reviewer's action, so that the action can be undone. Pairs changed together share a `batch`."""

    __tablename__ = "faq_change"
    id: int | None = Field(default=None, primary_key=True)
    collection_id: str = Field(sa_column=_owned_by("collection.id"))
    batch: str = Field(index=True)
    faq_id: str = Field(sa_column=_owned_by("faq.id"))
    action: str
    before: dict[str, JsonValue] = Field(sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(sa_column=_time())


class SearchEntryRow(SQLModel, table=True):
    """What keyword search finds in a collection. `source_id` is that of the vector index; triggers mirror rows into FTS5."""

    __tablename__ = "search_entry"
    __table_args__ = (UniqueConstraint("collection_id", "source_id"),)
    id: int | None = Field(default=None, primary_key=True)
    collection_id: str = Field(sa_column=_owned_by("collection.id", index=False))
    source_id: str
    heading: str
    body: str


class ConversationRow(SQLModel, table=True):
    """A conversation with a model, over a collection, or with an agent."""

    __tablename__ = "conversation"
    id: str = Field(primary_key=True)
    kind: str = Field(index=True)
    title: str
    agent_id: str | None = Field(default=None, sa_column=_owned_by("agent.id", nullable=True))
    created_at: datetime = Field(sa_column=_time())


class MessageRow(SQLModel, table=True):
    """One turn; `details` holds citations, model, timings."""

    __tablename__ = "message"
    id: int | None = Field(default=None, primary_key=True)
    conversation_id: str = Field(sa_column=_owned_by("conversation.id"))
    role: str
    content: str
    details: dict[str, JsonValue] = Field(sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(sa_column=_time())


class AgentRow(SQLModel, table=True):
    """A smart agent's configuration."""

    __tablename__ = "agent"
    id: str = Field(primary_key=True)
    name: str = Field(unique=True, index=True)
    instructions: str
    collection_id: str = Field(sa_column=_owned_by("collection.id"))
    fields: list[str] = Field(sa_column=Column(JSON, nullable=False))
    provider: str
    model: str | None
    adapter: str | None
    created_at: datetime = Field(sa_column=_time())


class LeadRow(SQLModel, table=True):
    """What a customer told an agent in one conversation."""

    __tablename__ = "lead"
    __table_args__ = (UniqueConstraint("agent_id", "conversation_id"),)
    id: str = Field(primary_key=True)
    agent_id: str = Field(sa_column=_owned_by("agent.id"))
    conversation_id: str
    fields: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(sa_column=_time())
    updated_at: datetime = Field(sa_column=_time())


class AdapterRow(SQLModel, table=True):
    """A fine-tuned LoRA adapter; `path` is relative to the home folder."""

    __tablename__ = "adapter"
    id: str = Field(primary_key=True)
    name: str = Field(unique=True, index=True)
    base_model: str
    path: str
    job_id: str | None
    collection_id: str | None
    card: dict[str, JsonValue] = Field(sa_column=Column(JSON, nullable=False))
    status: str = "ready"
    created_at: datetime = Field(sa_column=_time())


class EvaluationRow(SQLModel, table=True):
    """One evaluation: its setting and the figures for each target."""

    __tablename__ = "evaluation"
    id: str = Field(primary_key=True)
    job_id: str | None = Field(index=True)
    collection_id: str | None
    summary: dict[str, JsonValue] = Field(sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(sa_column=_time())


class JobRow(SQLModel, table=True):
    """A job. `owner` is the process that runs it, `heartbeat_at` its last sign of life."""

    __tablename__ = "job"
    __table_args__ = (Index("ix_job_claim", "state", "run_after", "created_at"),)
    id: str = Field(primary_key=True)
    kind: str = Field(index=True)
    state: str
    lock: str | None
    payload: dict[str, JsonValue] = Field(sa_column=Column(JSON, nullable=False))
    progress: float
    message: str
    result: dict[str, JsonValue] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    error: dict[str, JsonValue] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    attempts: int
    max_attempts: int
    owner: str | None
    cancel_requested: bool
    wish: str | None = None
    left_s: float | None = None
    run_after: datetime = Field(sa_column=_time())
    heartbeat_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    created_at: datetime = Field(sa_column=_time())
    started_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    finished_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class JobEventRow(SQLModel, table=True):
    """What a running job reports besides its progress, such as training losses."""

    __tablename__ = "job_event"
    id: int | None = Field(default=None, primary_key=True)
    job_id: str = Field(sa_column=_owned_by("job.id"))
    data: dict[str, JsonValue] = Field(sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(sa_column=_time())


class SpendingRow(SQLModel, table=True):
    """US dollars of a request to a provider: what it may cost, and then the correction to what it did cost."""

    __tablename__ = "spending"
    id: int | None = Field(default=None, primary_key=True)
    request: str = Field(index=True)
    month: str = Field(index=True)
    model: str
    usd: float
    created_at: datetime = Field(sa_column=_time())
