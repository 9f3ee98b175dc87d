"""Background work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from engine.domain.values import Json, utc_now


class JobState(StrEnum):
    """`queued → running → succeeded | failed | aborted`, `queued → cancelled`; a retry goes back to `queued`.

    `aborted` is a job that someone stopped while it ran; one whose process went away too often has `failed`. `paused` takes no
    memory and waits for someone to resume it.
    """

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"
    CANCELLED = "cancelled"
    PAUSED = "paused"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen unless someone resumes the job."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class JobWish(StrEnum):
    """What someone asks of a running job, besides to cancel it."""

    PAUSE = "pause"
    """Leave everything as it is and free the memory, to go on later."""
    STOP = "stop"
    """End now, with the result that there is."""


CONTROLLABLE = ("finetune",)
"""Kinds of jobs that can be paused, and stopped with what they have."""


@dataclass(frozen=True, slots=True)
class Job:
    """A unit of background work, as its row says. `progress` is in 0…1; `eta_s` is None until it can be estimated."""

    id: str
    kind: str
    state: JobState
    payload: Mapping[str, Json]
    progress: float
    message: str
    result: Mapping[str, Json] | None
    error: Mapping[str, Json] | None
    attempts: int
    max_attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested: bool = False
    wish: JobWish | None = None
    left_s: float | None = None
    """Seconds left, where the job itself has said so at its last report."""

    @property
    def eta_s(self) -> float | None:
        """Seconds left, as the job says or from the progress so far; None when that says nothing."""
        if self.state is JobState.RUNNING and self.left_s is not None:
            return self.left_s
        if self.state is not JobState.RUNNING or self.started_at is None or self.progress < 0.02:
            return None
        elapsed = (utc_now() - self.started_at).total_seconds()
        return elapsed * (1 - self.progress) / self.progress
