"""Making a conversation fit a model's context, by one rule for all that hold conversations.

The rule: system messages at the beginning and the newest turns stay. The oldest turns, a user's message with the answers to it,
are left out whole, one after the other, until prompt and answer fit. The person is told how many messages were left out. A last
turn that does not fit by itself is refused; nothing is ever cut within a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from engine.domain import Message
from engine.errors import ContextOverflowError
from engine.llm.base import ChatModel

MESSAGE_TOKENS = 8
"""Room for what a chat template puts around a message, where the template's own tokens cannot be counted."""

TEMPLATE_TOKENS = 48
"""Room for what a template adds once, such as a default system message."""


@runtime_checkable
class CountsPrompts(Protocol):
    """A model that knows the very tokens of a prompt."""

    def chat_prompt_tokens(self, messages: Sequence[Message]) -> Sequence[int]:
        """The prompt that a conversation becomes."""
        ...


@dataclass(frozen=True, slots=True)
class FittingConversation:
    """The messages to send, and the most tokens of the answer. `left_out` counts the messages that are not sent."""

    messages: list[Message]
    max_tokens: int
    left_out: int = 0

    @property
    def notice(self) -> str | None:
        """What to tell the person."""
        if not self.left_out:
            return None
        which = "oldest message no longer fits and was" if self.left_out == 1 else "oldest messages no longer fit and were"
        number = "" if self.left_out == 1 else f"{self.left_out} "
        return f"The {number}{which} left out."


def fit(messages: Sequence[Message], model: ChatModel, max_tokens: int) -> FittingConversation:
    """The conversation without the oldest turns that do not fit.

    Args:
        messages: the conversation; its last message is to be answered.
        model: the one that will answer.
        max_tokens: most tokens of the answer; at most half of the context is kept free for it.

    Raises:
        ContextOverflowError: the last turn and the system message alone are too long.
    """
    answer = max(1, min(max_tokens, model.context_length // 2))
    room = model.context_length - answer
    head, turns = _turns(messages)
    if prompt_tokens(messages, model) <= room:
        return FittingConversation(list(messages), answer)
    first, last = min(1, len(turns) - 1), len(turns) - 1  # as many turns as must go are between these
    needed = prompt_tokens(_joined(head, turns[-1:]), model)
    if needed > room:
        raise ContextOverflowError(
            f"The message takes {needed} tokens with its instructions; the context of {model.name} has room for {room}.",
            hint="Shorten the message, or raise NEXUS_CONTEXT_TOKENS if the model allows more.",
        )
    while first < last:
        middle = (first + last) // 2
        if prompt_tokens(_joined(head, turns[middle:]), model) <= room:
            last = middle
        else:
            first = middle + 1
    kept = _joined(head, turns[first:])
    return FittingConversation(kept, answer, len(messages) - len(kept))


def prompt_tokens(messages: Sequence[Message], model: ChatModel) -> int:
    """Tokens of a conversation as a prompt: counted where the model's template is known, else a little more than there are."""
    if isinstance(model, CountsPrompts):
        return len(model.chat_prompt_tokens(messages))
    return TEMPLATE_TOKENS + sum(model.count_tokens(message.content) + MESSAGE_TOKENS for message in messages)


def _turns(messages: Sequence[Message]) -> tuple[list[Message], list[list[Message]]]:
    """The system messages at the beginning, and the turns, each of which begins with a user's message if it has one."""
    begin = next((at for at, message in enumerate(messages) if message.role != "system"), len(messages))
    turns: list[list[Message]] = []
    for message in messages[begin:]:
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return list(messages[:begin]), turns


def _joined(head: Sequence[Message], turns: Sequence[Sequence[Message]]) -> list[Message]:
    return [*head, *(message for turn in turns for message in turn)]
