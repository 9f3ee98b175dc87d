"""Conversations with a model, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from engine.domain.values import Role


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
