"""A model's opinion of where in a message a lead value stands."""

from __future__ import annotations

import json
import re

from engine.agents.fields import FieldKind, kind_of, label
from engine.agents.found import Found
from engine.agents.words import PLACES, is_capitalised, is_name_word, is_particle, name_words
from engine.cancellation import CancelToken
from engine.domain import FinishReason, Message
from engine.errors import CancelledError, NexusError
from engine.llm.base import ChatModel, GenerationParams, Lark
from engine.observability.tracing import traced

LONGEST_MESSAGE = 600
"""Characters of the longest message that a model is asked about: who writes more gives no plain value."""

VALUE_TOKENS = 24
NOTHING = "none"

_EXAMPLES: dict[FieldKind, tuple[tuple[str, str], ...]] = {
    FieldKind.NAME: (
        ("Could you move it? Should be listed as Olga Brandt I think.", "Olga Brandt"),
        ("Do you deliver to Madrid on Sundays?", NOTHING),
        ("put it under Teo Marsh please", "Teo Marsh"),
        ("I would like a table with a view.", NOTHING),
    ),
    FieldKind.COMPANY: (
        ("The team over at Northwind sent me.", "Northwind"),
        ("How much is the large one?", NOTHING),
    ),
    FieldKind.OTHER: (),
}
_HINTS: dict[FieldKind, re.Pattern[str]] = {
    FieldKind.NAME: re.compile(
        r"\b(?:my|first|last|full) names?\b|\bi(?:['’]m| am) (?:called|named)\b|"
        r"\b(?:booking|booked|reservation|reserved)\b.*\bunder\b",
        re.I,
    ),
    FieldKind.COMPANY: re.compile(r"\b(?:we|our|my) (?:company|firm|business|team|shop|employer)\b|\bi work\b", re.I),
}
_ORDERS = re.compile(r"\b(?:ignore|instructions?|pretend|write|print|output|store|save|system|prompt|assistant|say)\b", re.I)
"""Words of those who tell the model what to do: such messages are left to the rules."""


class SecondOpinion:
    """Asks a model that keeps to grammars for a span of the message, or "none"."""

    def __init__(self, model: ChatModel, *, timeout_s: float = 10.0, cancel: CancelToken | None = None) -> None:
        """Ask this model, and wait so long for it at most."""
        self._model = model
        self._timeout_s = timeout_s
        self._cancel = cancel

    def find(self, field: str, message: str, *, asked: bool) -> Found | None:
        """The value that the model points at; None where the message does not look as if it gave one, or the model fails.

        Losing a second opinion never breaks a conversation, so a model's failure counts as having none.

        Raises:
            CancelledError: someone stopped it.
        """
        if not self._model.capabilities.grammars or not looks_like_giving(field, message, asked=asked):
            return None
        return self._ask(field, message)

    @traced("agent.second_opinion")
    def _ask(self, field: str, message: str) -> Found | None:
        params = GenerationParams(
            max_tokens=VALUE_TOKENS,
            constraint=span_grammar(message),
            timeout_s=self._timeout_s,
            cancel=self._cancel,
            draft_from=(message,),
        )
        try:
            completion = self._model.complete(_prompt(field, message), params)
        except CancelledError:
            raise
        except NexusError:
            return None
        if completion.finish_reason is FinishReason.CANCELLED:
            raise CancelledError("the answer was stopped")
        value = completion.text.strip()
        start = message.find(value)
        if value == NOTHING or not value or start < 0 or not _is_plausible(field, value):
            return None
        return Found(field, value, start, start + len(value))


def span_grammar(message: str) -> Lark:
    """A grammar of "none" or any run of whole words of a message."""
    source = json.dumps(message, ensure_ascii=False)
    return Lark(f'start: "{NOTHING}" | span\nspan: %regex {{"substring_words": {source}}}')


def looks_like_giving(field: str, message: str, *, asked: bool) -> bool:
    """Whether a message may give a field's value in a way that the rules do not know."""
    if len(message) > LONGEST_MESSAGE or _ORDERS.search(message) or ("?" in message and asked):
        return False
    kind = kind_of(field)
    if kind is FieldKind.OTHER:
        return asked or re.search(rf"\b(?:my|our) {re.escape(label(field))}\b", message, re.I) is not None
    hint = _HINTS.get(kind)
    return hint is not None and (asked or hint.search(message) is not None)


def _prompt(field: str, message: str) -> list[Message]:
    what = label(field)
    system = f"Copy the customer's {what} from their message. If the message does not give it, write {NOTHING}."
    turns = [Message("system", system)]
    for text, value in _EXAMPLES[kind_of(field)]:
        turns += [Message("user", text), Message("assistant", value)]
    return [*turns, Message("user", message)]


def _is_plausible(field: str, value: str) -> bool:
    """A name or company that no rule announced must look like one by its capitals."""
    if kind_of(field) is FieldKind.OTHER:
        return True
    words = name_words(value) if kind_of(field) is FieldKind.NAME else value.split()
    return bool(words) and all(
        (is_capitalised(word) or is_particle(word)) and is_name_word(word) and word.casefold() not in PLACES for word in words
    )
