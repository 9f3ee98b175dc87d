"""A value that was found in a message."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate for a lead field.

    `start` and `end` are character offsets into the message of the value together with the words that announce it: what an
    agent can leave out when it looks for the question.
    """

    field: str
    value: str
    start: int
    end: int
