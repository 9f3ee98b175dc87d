"""One request on its way: the only object that the asking thread and the decode thread share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.domain import Completion, Delta, FinishReason, Timings, TokenLogprob, Usage
from engine.errors import NexusError
from engine.llm.base import ALL_THOUGHT, GenerationParams
from engine.llm.llamacpp.grammar import Grammar
from engine.llm.llamacpp.tokens import Token

Event = Delta | NexusError
"""What a request brings: pieces, and at its end the completion or an error."""


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """An adapter's file as it was when asked for: a file that was written anew is another adapter."""

    path: Path
    modified_ns: int
    size: int


@dataclass(slots=True, eq=False)
class Generation:
    """A prompt, how to continue it, and where the pieces go.

    `deliver` is called from the decode thread and must return at once. Times are of `time.monotonic()`.
    """

    prompt: Sequence[Token]
    params: GenerationParams
    model: str
    deliver: Callable[[Event], None]
    adapter: AdapterFile | None = None
    grammar: Grammar | None = None
    sources: Sequence[Sequence[Token]] = ()
    """Texts that the answer probably copies from."""
    submitted_at: float = field(default_factory=time.monotonic)
    started_at: float | None = None
    first_token_at: float | None = None
    cached_tokens: int = 0
    notice: str | None = None
    """What the person is to be told besides the answer."""
    ended: bool = False
    """Whether the last event was delivered; nothing comes after it."""
    _closed: threading.Event = field(default_factory=threading.Event)

    @property
    def cells(self) -> int:
        """Cache cells that prompt and answer may take."""
        return len(self.prompt) + self.params.max_tokens

    @property
    def urgent(self) -> bool:
        """Whether a person waits for it."""
        return self.params.priority <= 0

    @property
    def order(self) -> tuple[int, float]:
        """Sorts requests: the more urgent first, then the older."""
        return self.params.priority, self.submitted_at

    def cancel(self) -> None:
        """Nobody waits for the answer any more."""
        self._closed.set()

    def interruption(self, now: float) -> FinishReason | None:
        """Why this must end before it is complete, if it must."""
        token = self.params.cancel
        if self._closed.is_set() or (token is not None and token.cancelled):
            return FinishReason.CANCELLED
        limit = self.params.timeout_s
        return FinishReason.TIMEOUT if limit is not None and now - self.submitted_at >= limit else None

    def fail(self, error: NexusError) -> None:
        """End with an error, unless it has ended."""
        self._end(error)

    def send(self, text: str, reasoning: str = "") -> None:
        """Pass a piece of the answer on, or of the reasoning before it."""
        if text or reasoning:
            self.deliver(Delta(text, reasoning=reasoning))

    def finish(
        self,
        text: str,
        reason: FinishReason,
        completion_tokens: int,
        logprobs: Sequence[TokenLogprob] = (),
        reasoning: str = "",
    ) -> None:
        """End with the whole text, unless it has ended."""
        usage = Usage(len(self.prompt), completion_tokens, self.cached_tokens)
        adapter = str(self.adapter.path) if self.adapter else None
        timings, details = self._timings(), tuple(logprobs)
        unsaid = ALL_THOUGHT if reason is FinishReason.LENGTH and reasoning and not text else None
        notice = " ".join(filter(None, [self.notice, unsaid])) or None
        completion = Completion(text, reason, self.model, adapter, usage, timings, notice, reasoning, details)
        self._end(Delta("", completion))

    def _end(self, event: Event) -> None:
        if not self.ended:
            self.ended = True
            self.deliver(event)

    def _timings(self) -> Timings:
        now = time.monotonic()
        started = now if self.started_at is None else self.started_at
        first = now if self.first_token_at is None else self.first_token_at
        return Timings(started - self.submitted_at, first - self.submitted_at, now - self.submitted_at)
