"""Agents that answer customers, and the leads that they collect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from engine.domain.generation import Citation, Timings, Usage


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
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    notice: str | None = None
