"""When one model stands in for another, and what is said about it: the one policy of chats, agents and answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from engine.domain import Completion, Delta, Message
from engine.errors import (
    BudgetError,
    ConfigError,
    ContextOverflowError,
    ModelError,
    NexusError,
    NotFoundError,
    OfflineError,
    ProviderError,
)
from engine.llm.base import Capabilities, ChatModel, GenerationParams, Request

REPLACEABLE = (ProviderError, BudgetError, ConfigError, OfflineError, ModelError, NotFoundError)
"""Failures of a model that another one can stand in for; `NotFoundError` is a model or adapter that was removed since.
`must_raise` names the exception."""


def must_raise(failure: NexusError) -> bool:
    """Whether a replaceable failure would meet every other model as well: a conversation that is too long."""
    return isinstance(failure, ContextOverflowError)


def fallen_back(failure: NexusError, wanted: str, stand_in: str) -> str:
    """What to tell a person about a fall-back: which model failed and why, and which one answered."""
    advice = f"{failure.hint} " if failure.hint else ""
    return f"{wanted} was not available ({failure.message.rstrip('.')}). {advice}Answered by {stand_in} instead."


class FallbackChatModel(ChatModel):
    """Answers with `first`; when that fails, with `second`, without an adapter, and `Completion.notice` says so.

    A stream changes over only as long as nothing was sent: an answer never comes half from one model, half from another.
    """

    def __init__(self, first: ChatModel, second: ChatModel) -> None:
        """Neither model is closed with this one: they belong to whoever made them."""
        self._first = first
        self._second = second

    @property
    def name(self) -> str:
        """The first model's name."""
        return self._first.name

    @property
    def capabilities(self) -> Capabilities:
        """The first model's."""
        return self._first.capabilities

    @property
    def context_length(self) -> int:
        """The first model's."""
        return self._first.context_length

    def complete(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Completion:
        """Answer the conversation. See `ChatModel`."""
        try:
            return self._first.complete(messages, params)
        except REPLACEABLE as exc:
            if must_raise(exc):
                raise
            return self._noted(self._second.complete(messages, replace(params, adapter=None)), exc)

    def stream(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Iterator[Delta]:
        """Answer piece by piece. See `ChatModel`."""
        sent = False
        try:
            for delta in self._first.stream(messages, params):
                sent = sent or bool(delta.text or delta.reasoning)
                yield delta
        except REPLACEABLE as exc:
            if sent or must_raise(exc):
                raise
            failure = exc
        else:
            return
        for delta in self._second.stream(messages, replace(params, adapter=None)):
            noted = None if delta.completion is None else self._noted(delta.completion, failure)
            yield replace(delta, completion=noted)

    def generate_many(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Answer many conversations; after a failure of the first model the second answers those that are left."""
        left = dict(enumerate(requests))
        try:
            for index, completion in self._first.generate_many(requests):
                del left[index]
                yield index, completion
        except REPLACEABLE as exc:
            if must_raise(exc):
                raise
            failure = exc
        else:
            return
        indices = list(left)
        others = [Request(request.messages, replace(request.params, adapter=None)) for request in left.values()]
        for position, completion in self._second.generate_many(others):
            yield indices[position], self._noted(completion, failure)

    def count_tokens(self, text: str) -> int:
        """As the first model counts."""
        return self._first.count_tokens(text)

    def close(self) -> None:
        """Nothing: both models belong to whoever made them."""

    def _noted(self, completion: Completion, failure: NexusError) -> Completion:
        return replace(completion, notice=fallen_back(failure, self._first.name, self._second.name))
