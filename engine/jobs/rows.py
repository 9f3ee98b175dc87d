"""Rows of the job table: which ones are meant, and as jobs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, exists, or_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from engine.db.tables import JobRow
from engine.domain import Job, JobState, JobWish
from engine.errors import NotFoundError


def claimable(kinds: Sequence[str]) -> ColumnElement[bool]:
    """Queued, of a kind that the worker knows, and its lock is free."""
    other = aliased(JobRow)
    lock_taken = exists().where(col(other.lock) == col(JobRow.lock), col(other.state) == JobState.RUNNING)
    return and_(
        col(JobRow.state) == JobState.QUEUED,
        col(JobRow.kind).in_(kinds),
        or_(col(JobRow.lock).is_(None), ~lock_taken),
    )


def owned_by(job_id: str, owner: str) -> tuple[ColumnElement[bool], ...]:
    """That job, while this worker runs it."""
    return (col(JobRow.id) == job_id, col(JobRow.owner) == owner, col(JobRow.state) == JobState.RUNNING)


def find_row(session: Session, job_id: str) -> JobRow:
    """The row of a job.

    Raises:
        NotFoundError: there is no such job.
    """
    row = session.get(JobRow, job_id)
    if row is None:
        raise NotFoundError(f"no job {job_id}", hint="List the jobs with `nexus jobs list`.")
    return row


def to_job(row: JobRow) -> Job:
    """A row as a job."""
    return Job(
        id=row.id,
        kind=row.kind,
        state=JobState(row.state),
        payload=row.payload,
        progress=row.progress,
        message=row.message,
        result=row.result,
        error=row.error,
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        cancel_requested=row.cancel_requested,
        left_s=row.left_s,
        wish=None if row.wish is None else JobWish(row.wish),
    )
