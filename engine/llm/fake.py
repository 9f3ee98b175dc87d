"""A chat model that says what it was told to say: for tests, and for demonstrations without a model file."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from engine.domain import Completion, Delta, FinishReason, Message, Usage
from engine.errors import ContextOverflowError, InputError, ModelError
from engine.llm.base import Capabilities, ChatModel, GenerationParams, Request

Reply = Callable[[Sequence[Message], GenerationParams], str]
"""Makes the answer to a conversation."""

_WORD = re.compile(r"\s*\S+|\s+")


class FakeChatModel(ChatModel):
    """Answers from a script. A token is a word with the white space before it.

    Its answers pass through the same limits as a real model's: `max_tokens`, stop texts, cancelling. It does not enforce
    constraints: the script says what the model says.
    """

    def __init__(
        self,
        replies: Sequence[str] | Reply = (),
        *,
        name: str = "fake/echo",
        context_tokens: int = 8192,
        languages: tuple[str, ...] = (),
    ) -> None:
        """Write the script.

        Args:
            replies: the answers in turn, the last one again and again; or a function that makes them. Without either the
                last message is repeated.
            name: as listed.
            context_tokens: tokens of prompt and answer.
            languages: that it claims to know; empty: it says nothing of it.
        """
        self._name = name
        self._context_tokens = context_tokens
        self._languages = languages
        self._reply = replies if callable(replies) else _script(replies) if replies else _echo
        self._closed = False
        self.requests: list[Request] = []
        """Everything that was asked, in order."""

    @property
    def name(self) -> str:
        """The name under which the model is listed."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """It claims everything, so that it can stand in for the local runtime."""
        return Capabilities(adapters=True, grammars=True, json_schema=True, local=True, languages=self._languages)

    @property
    def context_length(self) -> int:
        """Tokens of prompt and answer together."""
        return self._context_tokens

    def complete(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Completion:
        """Answer the conversation. See `ChatModel`."""
        deltas = list(self.stream(messages, params))
        completion = deltas[-1].completion
        if completion is None:
            raise ModelError("The answer ended without a result.")
        return completion

    def stream(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Iterator[Delta]:
        """Answer word by word. See `ChatModel`."""
        prompt_tokens = self._admit(messages, params)
        answer = _until_stop(self._reply(messages, params), params.stop)
        said: list[str] = []
        reason = FinishReason.STOP
        for word in _WORD.findall(answer):
            if params.cancel is not None and params.cancel.cancelled:
                reason = FinishReason.CANCELLED
                break
            if len(said) == params.max_tokens:
                reason = FinishReason.LENGTH
                break
            said.append(word)
            yield Delta(word)
        adapter = str(params.adapter) if params.adapter else None
        usage = Usage(prompt_tokens, len(said))
        yield Delta("", Completion("".join(said), reason, self._name, adapter, usage))

    def generate_many(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Answer many conversations, one after the other."""
        for index, request in enumerate(requests):
            yield index, self.complete(request.messages, request.params)

    def count_tokens(self, text: str) -> int:
        """The number of words."""
        return len(_WORD.findall(text))

    def close(self) -> None:
        """Refuse further calls."""
        self._closed = True

    def _admit(self, messages: Sequence[Message], params: GenerationParams) -> int:
        if self._closed:
            raise ModelError("The model was closed.", hint="Load it again.")
        if params.max_tokens < 1:
            raise InputError(f"An answer needs at least one token, not {params.max_tokens}.")
        self.requests.append(Request(tuple(messages), replace(params)))
        prompt_tokens = sum(self.count_tokens(message.content) for message in messages)
        if prompt_tokens + params.max_tokens > self._context_tokens:
            raise ContextOverflowError("The conversation does not fit.", hint="Shorten the conversation.")
        return prompt_tokens


def _script(replies: Sequence[str]) -> Reply:
    lock = threading.Lock()
    upcoming = list(replies)

    def reply(_messages: Sequence[Message], _params: GenerationParams) -> str:
        with lock:
            return upcoming.pop(0) if len(upcoming) > 1 else upcoming[0]

    return reply


def _echo(messages: Sequence[Message], _params: GenerationParams) -> str:
    return messages[-1].content if messages else ""


def _until_stop(text: str, stop: Sequence[str]) -> str:
    ends = [at for at in (text.find(mark) for mark in stop if mark) if at >= 0]
    return text[: min(ends)] if ends else text
