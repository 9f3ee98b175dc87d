"""Whether someone still waits for an answer, when to try again, and the clock of both."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

from engine.cancellation import CancelToken
from engine.domain import FinishReason, utc_now
from engine.errors import ModelError
from engine.llm.base import GenerationParams
from engine.llm.cloud.gate import POLL_S


class Clock(Protocol):
    """Time that goes on; tests bring one that goes on when it is told to."""

    def now(self) -> float:
        """Seconds since some moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        time.sleep(seconds)


SYSTEM_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try, and how long to wait before each further attempt."""

    attempts: int = 3
    first_wait_s: float = 0.5
    """Before the second attempt; each further wait is twice as long."""
    longest_wait_s: float = 60.0
    """No wait is longer, but for the jitter. Providers count by the minute; one that asks for more is not tried again."""
    jitter: float = 0.5
    """Up to this part of a wait is added at random, so that clients that failed together do not come back together."""
    clock: Clock = SYSTEM_CLOCK
    chance: Callable[[], float] = random.random

    def wait_before(self, attempt: int, asked_s: float | None) -> float | None:
        """Seconds to wait before this attempt, numbered from 0; None when there is to be none.

        Args:
            attempt: the attempt that would come now.
            asked_s: what the provider asks for; it is never asked again sooner.
        """
        if attempt >= self.attempts:
            return None
        usual = min(self.first_wait_s * 2.0 ** (attempt - 1), self.longest_wait_s)
        base = usual if asked_s is None else asked_s
        return None if base > self.longest_wait_s else base * (1.0 + self.jitter * self.chance())


class Watch:
    """One call's time: when it began, when it is up, and whether it was cancelled or the model closed."""

    def __init__(
        self,
        params: GenerationParams,
        default_timeout_s: float,
        closed: threading.Event,
        clock: Clock,
        halt: CancelToken | None = None,
    ) -> None:
        """Begin to count.

        Args:
            params: what the request asked for.
            default_timeout_s: how long to wait where it set no limit.
            closed: set when the model is closed.
            clock: tells the time.
            halt: stops this call together with others.
        """
        self._cancels = [token for token in (params.cancel, halt) if token is not None]
        self._has_limit = params.timeout_s is not None
        self._clock = clock
        self._closed = closed
        self._limit = params.timeout_s if params.timeout_s is not None else default_timeout_s
        self._started = clock.now()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the call began."""
        return self._clock.now() - self._started

    @property
    def remaining_s(self) -> float:
        """Seconds until the time is up."""
        return self._limit - self.elapsed_s

    @property
    def interruption(self) -> FinishReason | None:
        """Why nobody waits for the rest: cancelled, or the time that the request set is up."""
        if any(token.cancelled for token in self._cancels):
            return FinishReason.CANCELLED
        return FinishReason.TIMEOUT if self._has_limit and self.remaining_s <= 0 else None

    def is_over(self) -> bool:
        """Whether to stop waiting, for whatever reason."""
        return self._closed.is_set() or self.remaining_s <= 0 or self.interruption is not None

    def check_open(self) -> None:
        """Raise when the model was closed meanwhile.

        Raises:
            ModelError: it was.
        """
        if self._closed.is_set():
            raise ModelError("The model was closed while it answered.", hint="Ask again.")

    def pause(self, seconds: float) -> None:
        """Wait, unless there is no more reason to."""
        end = self._clock.now() + seconds
        while not self.is_over() and (left := end - self._clock.now()) > 0:
            self._clock.sleep(min(left, POLL_S))


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a provider asks to wait: `retry-after-ms`, or `retry-after`, a number of seconds or a date (RFC 9110)."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    return seconds if seconds is not None or value is None else _seconds_until(value, now or utc_now())


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _seconds_until(date: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return max((aware - now).total_seconds(), 0.0)
    except (ValueError, OverflowError):
        return None
