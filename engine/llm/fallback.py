"""A model that stands in for another one when that fails, and says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from engine.domain import Completion, Delta, Message
from engine.errors import ConfigError, NexusError, OfflineError, ProviderError
from engine.llm.base import Capabilities, ChatModel, GenerationParams, Request

_REPLACEABLE = (ProviderError, ConfigError, OfflineError)
"""Failures of a provider. Others, such as a conversation that is too long, would meet the second model as well."""


class FallbackChatModel(ChatModel):
    """Answers with `first`; when its provider fails, with `second`, and `Completion.notice` says so.

    A stream changes over only as long as no text was sent: an answer never comes half from one model, half from another.
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
        except _REPLACEABLE as exc:
            return self._noted(self._second.complete(messages, params), exc)

    def stream(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Iterator[Delta]:
        """Answer piece by piece. See `ChatModel`."""
        sent = False
        try:
            for delta in self._first.stream(messages, params):
                sent = sent or bool(delta.text)
                yield delta
        except _REPLACEABLE as exc:
            if sent:
                raise
            failure = exc
        else:
            return
        for delta in self._second.stream(messages, params):
            noted = None if delta.completion is None else self._noted(delta.completion, failure)
            yield Delta(delta.text, noted)

    def generate_many(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Answer many conversations; after a failure of the first model the second answers those that are left."""
        left = dict(enumerate(requests))
        try:
            for index, completion in self._first.generate_many(requests):
                del left[index]
                yield index, completion
        except _REPLACEABLE as exc:
            failure = exc
        else:
            return
        indices = list(left)
        for position, completion in self._second.generate_many(list(left.values())):
            yield indices[position], self._noted(completion, failure)

    def count_tokens(self, text: str) -> int:
        """As the first model counts."""
        return self._first.count_tokens(text)

    def close(self) -> None:
        """Nothing: both models belong to whoever made them."""

    def _noted(self, completion: Completion, failure: NexusError) -> Completion:
        notice = f"{self._first.name} was not available ({failure.message}); {self._second.name} answered."
        return replace(completion, notice=notice)
