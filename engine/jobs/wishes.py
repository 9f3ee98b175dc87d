"""What people ask of a job besides to cancel it: what that does to its row, inside the queue's transaction."""

from __future__ import annotations

from engine.db.tables import JobRow
from engine.domain import CONTROLLABLE, JobState, JobWish, utc_now
from engine.errors import ConflictError

RESUMABLE = (JobState.FAILED, JobState.ABORTED, JobState.CANCELLED, JobState.PAUSED)
PAUSED = "Paused; its memory is free, and it can go on"


def pause(row: JobRow) -> None:
    """Park a queued job, or ask a running one for it; a paused one is left as it is.

    Raises:
        ConflictError: see `JobQueue.pause`.
    """
    _require_controllable(row, "paused")
    if row.state == JobState.QUEUED:
        park(row)
    elif row.state == JobState.RUNNING:
        row.wish, row.message = JobWish.PAUSE, "Pausing"
    elif row.state != JobState.PAUSED:
        raise ConflictError(f"the job is {row.state}, so there is nothing to pause")


def stop(row: JobRow) -> None:
    """Ask a running job to end with what it has; a paused one goes on for that.

    Raises:
        ConflictError: see `JobQueue.stop`.
    """
    _require_controllable(row, "stopped with a part of its result")
    if row.state == JobState.RUNNING:
        row.wish, row.message = JobWish.STOP, "Ending with what was learnt"
    elif row.state == JobState.PAUSED and row.started_at is not None:
        queue_again(row, wish=JobWish.STOP)
    else:
        what = "has not begun" if row.state in (JobState.QUEUED, JobState.PAUSED) else f"is {row.state}"
        raise ConflictError(f"the job {what}, so there is nothing to keep", hint="One that waits can be cancelled.")


def resume(row: JobRow) -> None:
    """Queue a job that has ended without success, or is paused.

    Raises:
        ConflictError: see `JobQueue.resume`.
    """
    if row.state not in RESUMABLE:
        raise ConflictError(f"the job is {row.state}", hint="Only a failed, aborted, cancelled or paused job can be resumed.")
    queue_again(row, wish=None)


def park(row: JobRow) -> None:
    """Put a job aside until someone resumes it."""
    row.state, row.finished_at, row.message = JobState.PAUSED, utc_now(), PAUSED
    row.owner, row.wish = None, None


def queue_again(row: JobRow, wish: JobWish | None) -> None:
    """Let a job go on, with all its attempts before it."""
    row.state, row.attempts, row.cancel_requested, row.wish = JobState.QUEUED, 0, False, wish
    row.error, row.finished_at, row.run_after, row.message = None, None, utc_now(), "Waiting to go on"


def _require_controllable(row: JobRow, done: str) -> None:
    """Raise ConflictError for a job that is being cancelled, or that knows nothing of wishes."""
    if row.kind not in CONTROLLABLE:
        hint = "Cancel it: what it has done is kept, and it can be resumed."
        raise ConflictError(f"a job of this kind ({row.kind}) cannot be {done}", hint=hint)
    if row.cancel_requested and row.state == JobState.RUNNING:
        raise ConflictError("the job is being cancelled already")
