"""From token bytes to the text that a reader gets: whole characters only, and nothing from a stop text on."""

from __future__ import annotations

import codecs
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of a reply: of its answer, of the reasoning before that, or of both."""

    text: str = ""
    reasoning: str = ""


class TextAssembler:
    """Puts the bytes of tokens together.

    A token may end within a character, and a stop text may begin in one token and end in a later one; what might still
    become either is held back until it is decided.
    """

    def __init__(self, stop: tuple[str, ...] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self._released: list[str] = []
        self.stopped = False
        """Whether a stop text came; it and all after it is dropped."""

    @property
    def text(self) -> str:
        """Everything released so far."""
        return "".join(self._released)

    def feed(self, data: bytes) -> str:
        """Take the bytes of one token; returns the text that is certain now."""
        if self.stopped:
            return ""
        self._held += self._decoder.decode(data)
        found = [at for at in (self._held.find(text) for text in self._stop) if at >= 0]
        if found:
            self.stopped = True
            self._held, certain = "", self._held[: min(found)]
        else:
            cut = len(self._held) - self._undecided()
            self._held, certain = self._held[cut:], self._held[:cut]
        return self._release(certain)

    def finish(self) -> str:
        """The text that was held back, at the end. An incomplete last character is dropped."""
        held, self._held = self._held, ""
        return self._release(held)

    def _release(self, text: str) -> str:
        if text:
            self._released.append(text)
        return text

    def _undecided(self) -> int:
        """Length of the longest end of the held text with which a stop text begins."""
        longest = min(len(self._held), max((len(text) for text in self._stop), default=1) - 1)
        return next((n for n in range(longest, 0, -1) if self._ends_like_stop(n)), 0)

    def _ends_like_stop(self, length: int) -> bool:
        tail = self._held[-length:]
        return any(text.startswith(tail) for text in self._stop)
