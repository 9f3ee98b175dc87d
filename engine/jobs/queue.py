"""The queue: rows of the job table, and every transition between their states.

    queued → running → succeeded | failed | aborted
    queued → cancelled
    running → queued            a retry, or the process that ran it went away
    queued | running → paused   someone pauses it
    failed | aborted | cancelled | paused → queued   someone resumes it

Each transition is one statement with the state it starts from in its WHERE, so that of two processes only one makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import update
from sqlmodel import col, select

from engine.db.session import Database
from engine.db.tables import JobRow
from engine.domain import Job, JobState, JobWish, Json, new_id, utc_now
from engine.errors import ErrorInfo, JobInterrupted
from engine.jobs import wishes
from engine.jobs.events import JobEvents
from engine.jobs.owners import is_alive
from engine.jobs.rows import claimable, find_row, owned_by, to_job

UNFINISHED = (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED)
_LONGEST_MESSAGE = 300
_STOPPED = "Stopped; what was done is kept"


class JobQueue(JobEvents):
    """The jobs of a home. Any number of threads and processes may use it at once."""

    def __init__(self, database: Database, *, stale_s: float = 20.0) -> None:
        """Open the queue; a running job without a heartbeat for `stale_s` seconds counts as interrupted."""
        super().__init__(database)
        self._stale = timedelta(seconds=stale_s)

    def submit(self, kind: str, payload: Mapping[str, Json], *, lock: str | None = None, max_attempts: int = 3) -> Job:
        """Queue a job. Of the jobs with the same `lock`, only one runs at a time."""
        now = utc_now()
        row = JobRow(
            id=new_id(),
            kind=kind,
            state=JobState.QUEUED,
            lock=lock,
            payload=dict(payload),
            progress=0.0,
            message="Waiting",
            attempts=0,
            max_attempts=max_attempts,
            owner=None,
            cancel_requested=False,
            run_after=now,
            created_at=now,
        )
        with self._db.write() as session:
            session.add(row)
            session.flush()
            return to_job(row)

    def get(self, job_id: str) -> Job:
        """A job.

        Raises:
            NotFoundError: there is none with this identifier.
        """
        with self._db.read() as session:
            return to_job(find_row(session, job_id))

    def unfinished(self, kind: str) -> Sequence[Job]:
        """The jobs of a kind that wait, run or are paused."""
        query = select(JobRow).where(JobRow.kind == kind, col(JobRow.state).in_(UNFINISHED))
        with self._db.read() as session:
            return [to_job(row) for row in session.exec(query)]

    def staged_paths(self) -> set[str]:
        """The uploads that jobs may still ask for: those of all jobs that wait, run, or may be resumed."""
        query = select(JobRow.payload).where(col(JobRow.state) != JobState.SUCCEEDED)
        with self._db.read() as session:
            payloads = session.exec(query).all()
        found = [file for payload in payloads for file in (*_files(payload.get("files")), payload.get("dataset"))]
        return {str(file["path"]) for file in found if isinstance(file, dict)}

    def list(self, kind: str | None = None, limit: int = 100) -> Sequence[Job]:
        """The newest jobs, of a kind or of all."""
        query = select(JobRow).order_by(col(JobRow.created_at).desc()).limit(limit)
        if kind is not None:
            query = query.where(JobRow.kind == kind)
        with self._db.read() as session:
            return [to_job(row) for row in session.exec(query)]

    def claim(self, owner: str, kinds: Sequence[str], job_id: str | None = None) -> Job | None:
        """Take the oldest job that is due (or the one named) and mark it as running; None when there is none to take."""
        now = utc_now()
        due = claimable(kinds) & (col(JobRow.run_after) <= now)
        if job_id is not None:
            due = due & (col(JobRow.id) == job_id)
        chosen = select(JobRow.id).where(due).order_by(col(JobRow.created_at)).limit(1).scalar_subquery()
        statement = (
            update(JobRow)
            .where(col(JobRow.id) == chosen)
            .values(
                state=JobState.RUNNING,
                owner=owner,
                attempts=col(JobRow.attempts) + 1,
                progress=0.0,
                left_s=None,
                started_at=now,
                heartbeat_at=now,
                finished_at=None,
                error=None,
                message="Started",
            )
            .returning(JobRow)
        )
        with self._db.write() as session:
            row = session.scalars(statement).first()
            return None if row is None else to_job(row)

    def beat(self, job_id: str, owner: str) -> bool:
        """Say that the job is alive.

        Returns whether it should go on: False when someone asked it to stop, or when another worker has taken it over.
        """
        statement = (
            update(JobRow)
            .where(*owned_by(job_id, owner))
            .values(heartbeat_at=utc_now())
            .returning(col(JobRow.cancel_requested))
            .execution_options(synchronize_session=False)
        )
        with self._db.write() as session:
            return session.scalars(statement).first() is False

    def wish(self, job_id: str) -> JobWish | None:
        """What someone asks of a job besides to cancel it."""
        with self._db.read() as session:
            wish = session.exec(select(JobRow.wish).where(JobRow.id == job_id)).first()
        return None if wish is None else JobWish(wish)

    def report(self, job_id: str, owner: str, progress: float, message: str, left_s: float | None = None) -> None:
        """Store progress (0…1), what is going on, and the seconds that are left where the job knows."""
        self._update(job_id, owner, message, progress=min(max(progress, 0.0), 1.0), left_s=left_s)

    def succeed(self, job_id: str, owner: str, result: Mapping[str, Json]) -> None:
        """End a running job well."""
        self._end(job_id, owner, JobState.SUCCEEDED, "Done", result=dict(result), progress=1.0)

    def fail(self, job_id: str, owner: str, error: ErrorInfo) -> None:
        """End a running job with an error."""
        self._end(job_id, owner, JobState.FAILED, error["message"], error=error_json(error))

    def abort(self, job_id: str, owner: str) -> None:
        """End a running job that someone stopped."""
        self._end(job_id, owner, JobState.ABORTED, _STOPPED)

    def park(self, job_id: str, owner: str, message: str) -> None:
        """End a running job that someone has paused, for now."""
        self._end(job_id, owner, JobState.PAUSED, message)

    def requeue(self, job_id: str, owner: str, message: str, *, delay_s: float = 0.0, refund_attempt: bool = False) -> None:
        """Put a running job back, to be taken again after `delay_s` seconds."""
        self._update(
            job_id,
            owner,
            message,
            state=JobState.QUEUED,
            owner=None,
            run_after=utc_now() + timedelta(seconds=delay_s),
            attempts=col(JobRow.attempts) - int(refund_attempt),
        )

    def cancel(self, job_id: str) -> Job:
        """Cancel a queued or paused job, or ask a running one to stop; an ended one is left as it is.

        Raises:
            NotFoundError: there is no such job.
        """
        self.recover()
        with self._db.write() as session:
            row = find_row(session, job_id)
            if row.state == JobState.QUEUED:
                row.state, row.finished_at, row.message = JobState.CANCELLED, utc_now(), "Cancelled before it began"
            elif row.state == JobState.RUNNING:
                row.cancel_requested, row.message = True, "Stopping"
            elif row.state == JobState.PAUSED:
                row.state, row.message = JobState.ABORTED, _STOPPED
            session.flush()
            return to_job(row)

    def pause(self, job_id: str) -> Job:
        """Pause a queued job, or ask a running one to leave everything as it is and free its memory.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it has ended, is stopping, or is of a kind that cannot be paused.
        """
        return self._ask(job_id, wishes.pause)

    def stop(self, job_id: str) -> Job:
        """Ask a running or paused job to end with the result that it has.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it has no result yet, has ended, is stopping, or is of a kind that has no part of a result.
        """
        return self._ask(job_id, wishes.stop)

    def _ask(self, job_id: str, change: Callable[[JobRow], None]) -> Job:
        self.recover()
        with self._db.write() as session:
            row = find_row(session, job_id)
            change(row)
            session.flush()
            return to_job(row)

    def resume(self, job_id: str) -> Job:
        """Queue a failed, stopped, cancelled or paused job again; it goes on from what it had done.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: the job waits, runs or has succeeded.
        """
        return self._ask(job_id, wishes.resume)

    def recover(self) -> Sequence[Job]:
        """Deal with running jobs whose process went away.

        They are queued again, or aborted where that was asked for, or failed after too many attempts.

        Returns the jobs that were changed.
        """
        with self._db.write() as session:
            running = session.exec(select(JobRow).where(JobRow.state == JobState.RUNNING)).all()
            lost = [row for row in running if self._lost(row)]
            for row in lost:
                _interrupt(row)
            session.flush()
            return [to_job(row) for row in lost]

    def _lost(self, row: JobRow) -> bool:
        """Whether nobody works on a running job any more.

        On this host that can be seen. A process that is alive keeps its job even when it was silent, such as while the
        machine slept. Of another host only the heartbeat tells.
        """
        alive = is_alive(row.owner or "")
        if alive is not None:
            return not alive
        return row.heartbeat_at is None or utc_now() - row.heartbeat_at > self._stale

    def _end(self, job_id: str, owner: str, state: JobState, message: str, **values: object) -> None:
        self._update(job_id, owner, message, state=state, finished_at=utc_now(), wish=None, **values)

    def _update(self, job_id: str, owner: str, message: str, /, **values: object) -> None:
        changed = update(JobRow).where(*owned_by(job_id, owner)).values(message=message[:_LONGEST_MESSAGE], **values)
        with self._db.write() as session:
            session.execute(changed.execution_options(synchronize_session=False))


def _files(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _interrupt(row: JobRow) -> None:
    row.owner = None
    if row.cancel_requested:
        row.state, row.finished_at, row.message = JobState.ABORTED, utc_now(), _STOPPED
    elif row.wish == JobWish.PAUSE:
        wishes.park(row)
    elif row.attempts < row.max_attempts:
        row.state, row.run_after, row.message = JobState.QUEUED, utc_now(), "Interrupted; waiting to go on"
    else:
        error = JobInterrupted(
            f"the process that ran this job went away {row.attempts} times", hint=f"Go on with `nexus jobs resume {row.id}`."
        )
        row.state, row.finished_at, row.message = JobState.FAILED, utc_now(), error.message
        row.error = error_json(error.info())


def error_json(error: ErrorInfo) -> dict[str, Json]:
    """An error as plain JSON."""
    return {"code": error["code"], "message": error["message"], "hint": error["hint"], "retryable": error["retryable"]}
