"""The JSON forms of results. Fields are only ever added, so that scripts go on to work."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from engine.domain import (
    Adapter,
    AgentConfig,
    AgentReply,
    Answer,
    Citation,
    Collection,
    Document,
    FaqPair,
    Job,
    Lead,
    ModelInfo,
    Timings,
    Usage,
)

if TYPE_CHECKING:
    from engine.llm.llamacpp.weights.record import WeightRecord

Record = dict[str, object]


def document(read: Document) -> Record:
    """A document."""
    return {
        "id": read.id,
        "name": read.name,
        "media_type": read.media_type,
        "size": read.size,
        "page_count": read.page_count,
        "created_at": read.created_at,
        "warnings": list(read.warnings),
    }


def pair(faq: FaqPair) -> Record:
    """An FAQ pair, as it is exported."""
    from engine.faq.export import pair_record

    return {**pair_record(faq)}


def citation(cited: Citation) -> Record:
    """What an answer rests on."""
    return {
        "document": cited.document,
        "page": cited.page,
        "quote": cited.quote,
        "score": cited.score,
        "document_id": cited.document_id,
        "source_id": cited.source_id,
    }


def cost(usage: Usage, timings: Timings) -> Record:
    """Tokens and seconds."""
    return {"usage": asdict(usage), "timings": asdict(timings)}


def answer(given: Answer, adapter: str | None) -> Record:
    """An answer. `adapter` is the name of the one that was asked for; the answer itself knows only its file."""
    return {
        "answer": given.text,
        "found": given.found,
        "citations": [citation(cited) for cited in given.citations],
        **cost(given.usage, given.timings),
        "model": given.model,
        "adapter": adapter if given.adapter else None,
        "notice": given.notice,
    }


def model(info: ModelInfo) -> Record:
    """A model file."""
    return asdict(info)


def adapter(made: Adapter, standing: str) -> Record:
    """An adapter; `standing` is `ready`, `mismatch`, `base changed` or `other positions`."""
    return {
        "name": made.name,
        "base": made.base_model,
        "standing": standing,
        "path": made.path,
        "created_at": made.created_at,
    }


def weights(record: WeightRecord) -> Record:
    """The format in which a model is used here; `speeds` in tokens a second."""
    return {
        "model": record.source_name,
        "used_as": record.format,
        "reason": record.reason,
        "speeds": {name: speed.to_json() for name, speed in record.speeds.items()},
        "gains": {name: round(gain, 2) for name, gain in record.gains.items()},
        "copy_size": record.copy_size or None,
        "copy_sha256": record.copy_sha256 or None,
        "llama_cpp": record.llama_cpp,
        "decided_at": record.made_at,
    }


def job(row: Job) -> Record:
    """A job."""
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "progress": row.progress,
        "message": row.message,
        "eta_s": row.eta_s,
        "wish": row.wish,
        "attempts": row.attempts,
        "max_attempts": row.max_attempts,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "payload": row.payload,
        "result": row.result,
        "error": row.error,
    }


def agent(config: AgentConfig, collection: Collection) -> Record:
    """A smart agent."""
    return {
        "id": config.id,
        "name": config.name,
        "collection": collection.name,
        "fields": list(config.fields),
        "instructions": config.instructions,
        "model": config.model,
        "adapter": config.adapter,
        "provider": config.provider,
        "created_at": config.created_at,
    }


def agent_reply(reply: AgentReply) -> Record:
    """What an agent said, and the lead as it stands."""
    return {
        "reply": reply.reply,
        "conversation": reply.conversation_id,
        "lead": dict(reply.lead),
        "citations": [citation(cited) for cited in reply.citations],
        "found": reply.found,
        **cost(reply.usage, reply.timings),
        "notice": reply.notice,
    }


def lead(row: Lead, agent_name: str) -> Record:
    """A lead."""
    return {
        "id": row.id,
        "agent": agent_name,
        "conversation": row.conversation_id,
        "fields": dict(row.fields),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }
