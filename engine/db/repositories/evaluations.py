"""Evaluation runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete
from sqlmodel import col, select

from engine.db.session import Database
from engine.db.tables import EvaluationRow
from engine.domain import Json, new_id, utc_now


@dataclass(frozen=True, slots=True)
class StoredEvaluation:
    """An evaluation as it was stored; `summary` holds its setting and the figures for each target."""

    id: str
    job_id: str | None
    collection_id: str | None
    summary: Mapping[str, Json]
    created_at: datetime


class EvaluationRepository:
    """The figures of all evaluations; the single answers are in event files."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, summary: Mapping[str, Json], *, collection_id: str | None, job_id: str | None) -> StoredEvaluation:
        """Store the figures of an evaluation; those of an earlier, interrupted run of the same job are replaced."""
        row = EvaluationRow(
            id=new_id(), job_id=job_id, collection_id=collection_id, summary=dict(summary), created_at=utc_now()
        )
        with self._db.write() as session:
            if job_id is not None:
                session.execute(delete(EvaluationRow).where(col(EvaluationRow.job_id) == job_id))
            session.add(row)
            session.flush()
            return StoredEvaluation(**row.model_dump())

    def list(self, collection_id: str | None = None) -> Sequence[StoredEvaluation]:
        """All evaluations, or those over a collection, newest first."""
        query = select(EvaluationRow).order_by(col(EvaluationRow.created_at).desc())
        if collection_id is not None:
            query = query.where(EvaluationRow.collection_id == collection_id)
        with self._db.read() as session:
            return [StoredEvaluation(**row.model_dump()) for row in session.exec(query)]
