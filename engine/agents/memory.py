"""What an agent remembers of a conversation, read from its stored turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.db.repositories.conversations import StoredMessage


@dataclass(frozen=True, slots=True)
class Memory:
    """Where a conversation stands.

    `asked` is the field that the last turn asked for, `topic` the last question that made sense alone; `declined` says that
    the customer does not want to be asked any more, `times_asked` how often each field was asked for.
    """

    asked: str | None = None
    topic: str | None = None
    declined: bool = False
    times_asked: Mapping[str, int] = field(default_factory=dict)


def recall(turns: Sequence[StoredMessage]) -> Memory:
    """The state of a conversation after these turns."""
    asked: str | None = None
    topic: str | None = None
    declined = False
    times_asked: Counter[str] = Counter()
    for turn in turns:
        if turn.message.role != "assistant":
            continue
        asked = _text(turn, "asked")
        times_asked.update(filter(None, [asked]))
        topic = _text(turn, "topic") or topic
        declined = declined or turn.details.get("declined") is True
    return Memory(asked, topic, declined, times_asked)


def _text(turn: StoredMessage, key: str) -> str | None:
    value = turn.details.get(key)
    return value if isinstance(value, str) else None
