"""What jobs report besides their progress, such as the figures of each training step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlmodel import col, select

from engine.db.session import Database
from engine.db.tables import JobEventRow
from engine.domain import Json, utc_now

Report = tuple[int, Mapping[str, Json]]
"""A report and its number. Later reports of a job have greater numbers; there are gaps between them."""
REPORTS_AT_ONCE = 2000
"""Reports that are read in one go: about a megabyte of a fine-tune's steps."""


class JobEvents:
    """The reports of a home's jobs, oldest first."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def emit(self, job_id: str, data: Mapping[str, Json]) -> None:
        """Store something that the job reports besides its progress."""
        with self._db.write() as session:
            session.add(JobEventRow(job_id=job_id, data=dict(data), created_at=utc_now()))

    def events(self, job_id: str) -> Sequence[Mapping[str, Json]]:
        """All that a job has reported."""
        query = select(JobEventRow).where(JobEventRow.job_id == job_id).order_by(col(JobEventRow.id))
        with self._db.read() as session:
            return [row.data for row in session.exec(query)]

    def events_after(self, job_id: str, last: int = 0) -> Iterator[Report]:
        """What a job has reported since the report with the number `last` (0: from the first).

        For who follows a job: each report is read once, and a part of them at a time, however many there are.
        """
        newer = select(JobEventRow).where(JobEventRow.job_id == job_id).order_by(col(JobEventRow.id)).limit(REPORTS_AT_ONCE)
        while True:
            with self._db.read() as session:
                rows = [(row.id or 0, row.data) for row in session.exec(newer.where(col(JobEventRow.id) > last))]
            yield from rows
            if len(rows) < REPORTS_AT_ONCE:
                return
            last = rows[-1][0]
