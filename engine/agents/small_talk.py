"""Greetings, thanks and goodbyes.

Here alone a model may write freely, told by the agent's instructions how to sound. What it writes is kept only when it holds
nothing that could be taken for a fact; otherwise the fixed phrase is said.
"""

from __future__ import annotations

import re

from engine.agents import phrases
from engine.agents.messages import Intent
from engine.cancellation import CancelToken
from engine.domain import FinishReason, Message
from engine.errors import CancelledError, NexusError
from engine.llm.base import ChatModel, GenerationParams
from engine.observability.tracing import traced

PHRASES: dict[Intent, str] = {
    Intent.GREETING: phrases.GREETING,
    Intent.THANKS: phrases.THANKS,
    Intent.GOODBYE: phrases.GOODBYE,
    Intent.AGREEMENT: phrases.AGREEMENT,
    Intent.DECLINE: phrases.DECLINED,
}
"""What is said to each kind of message that needs no documents."""

_WRITTEN = (Intent.GREETING, Intent.THANKS, Intent.GOODBYE)
LONGEST_REPLY = 160
_TASK = (
    "Answer the customer's {intent} with one short, friendly sentence. State no facts, prices, offers, times, names or links."
)
_FACT = re.compile(r"[0-9%€£$@:/\\<>{}\[\]|*#\n]|www\.|\.com", re.I)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_PLAIN = re.compile(
    r"\b(?:free|offer|discount|sale|price|prices|cheap|refund|guarantee[ds]?|open|closed|always|never|available|deliver\w*|"
    r"ship\w*|pay\w*|cost\w*|best|only|email|e-mail|phone|name)\b",
    re.I,
)
"""Words with which even one sentence can make a claim."""


@traced("agent.small_talk")
def small_talk(
    intent: Intent, message: str, instructions: str, chat: ChatModel, *, cancel: CancelToken | None, timeout_s: float
) -> str:
    """What to say to a message that needs no documents.

    Args:
        intent: the kind of message.
        message: what the customer wrote.
        instructions: how the agent's owner wants it to sound; empty for the fixed phrase.
        chat: writes the sentence.
        cancel: stops the work.
        timeout_s: longest wait.

    Raises:
        CancelledError: `cancel` was set.
    """
    if not instructions or intent not in _WRITTEN:
        return PHRASES[intent]
    task = _TASK.format(intent=intent.value)
    messages = [Message("system", f"{instructions}\n\n{task}"), Message("user", message)]
    params = GenerationParams(max_tokens=40, stop=("\n",), timeout_s=timeout_s, cancel=cancel, thinking=False)
    try:
        completion = chat.complete(messages, params)
    except CancelledError:
        raise
    except NexusError:
        return PHRASES[intent]
    if completion.finish_reason is FinishReason.CANCELLED:
        raise CancelledError("the answer was stopped")
    text = completion.text.strip().strip('"')
    return text if completion.finish_reason is FinishReason.STOP and is_harmless(text, instructions) else PHRASES[intent]


def is_harmless(text: str, instructions: str) -> bool:
    """Whether a sentence states nothing: short, no figures, links or claims, no name but those of the instructions."""
    if not 0 < len(text) <= LONGEST_REPLY or _FACT.search(text) or _PLAIN.search(text):
        return False
    known = {word.casefold() for word in _WORD.findall(instructions)}
    inside = [match.group() for match in _WORD.finditer(text) if not re.search(r"(?:^|[.!?]\s*)$", text[: match.start()])]
    return all(word[0].islower() or word.split("'")[0] == "I" or word.casefold() in known for word in inside)
