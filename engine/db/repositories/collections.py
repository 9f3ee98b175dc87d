"""Collections and the documents that they hold."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func
from sqlmodel import Session, col, select

from engine.db.repositories.faqs import release_duplicates
from engine.db.session import Database
from engine.db.tables import (
    AdapterRow,
    AgentRow,
    ChunkRow,
    CollectionDocumentRow,
    CollectionRow,
    ExtractedChunkRow,
    FaqRow,
    JobRow,
)
from engine.domain import Collection, CollectionStatus, FaqStatus, JobState, new_id, utc_now
from engine.errors import NotFoundError


class CollectionRepository:
    """Named bodies of knowledge."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def ensure(self, name: str) -> Collection:
        """The collection of this name, made if absent."""
        with self._db.write() as session:
            row = _by_name(session, name)
            if row is None:
                row = CollectionRow(id=new_id(), name=name, status=CollectionStatus.EMPTY, created_at=utc_now())
                session.add(row)
                session.flush()
            return _to_collection(session, row)

    def by_name(self, name: str) -> Collection:
        """The collection of this name.

        Raises:
            NotFoundError: there is none; the hint lists those that are there.
        """
        with self._db.read() as session:
            row = _by_name(session, name)
            if row is None:
                raise NotFoundError(f"no collection {name!r}", hint=_known(session))
            return _to_collection(session, row)

    def get(self, collection_id: str) -> Collection:
        """The collection with this identifier.

        Raises:
            NotFoundError: there is none.
        """
        with self._db.read() as session:
            row = session.get(CollectionRow, collection_id)
            if row is None:
                raise NotFoundError(f"no collection with identifier {collection_id}")
            return _to_collection(session, row)

    def list(self) -> Sequence[Collection]:
        """All collections, by name."""
        with self._db.read() as session:
            return [_to_collection(session, row) for row in session.exec(select(CollectionRow).order_by(CollectionRow.name))]

    def remove_document(self, collection_id: str, document_id: str) -> None:
        """Take a document out of a collection, with the pairs that were made from it.

        What was rejected because one of those asks the same waits for review again.
        """
        with self._db.write() as session:
            link = session.get(CollectionDocumentRow, (collection_id, document_id))
            if link is not None:
                session.delete(link)
            chunks = select(ChunkRow.id).where(ChunkRow.document_id == document_id)
            session.execute(
                delete(ExtractedChunkRow).where(
                    col(ExtractedChunkRow.collection_id) == collection_id, col(ExtractedChunkRow.chunk_id).in_(chunks)
                )
            )
            pairs = select(FaqRow).where(FaqRow.collection_id == collection_id, FaqRow.document_id == document_id)
            rows = session.exec(pairs).all()
            for row in rows:
                session.delete(row)
            session.flush()
            release_duplicates(session, [row.id for row in rows])

    def set_status(self, collection_id: str, status: CollectionStatus) -> None:
        """Say where the vector index stands."""
        with self._db.write() as session:
            row = session.get(CollectionRow, collection_id)
            if row is not None:
                row.status = status

    def delete_if_unused(self, collection_id: str, *, job_id: str) -> bool:
        """Remove a collection that holds nothing, that nothing refers to, and that no other extraction is about to fill.

        Args:
            collection_id: the collection; one that is gone already is fine.
            job_id: the extraction that gives it up.

        Returns:
            Whether it was removed.
        """
        with self._db.write() as session:
            row = session.get(CollectionRow, collection_id)
            if row is None or _in_use(session, row, job_id):
                return False
            session.delete(row)
            return True


def _in_use(session: Session, row: CollectionRow, job_id: str) -> bool:
    holders = (
        select(CollectionDocumentRow.collection_id).where(CollectionDocumentRow.collection_id == row.id),
        select(FaqRow.id).where(FaqRow.collection_id == row.id),
        select(AgentRow.id).where(AgentRow.collection_id == row.id),
        select(AdapterRow.id).where(AdapterRow.collection_id == row.id),
        select(JobRow.id).where(
            JobRow.id != job_id,
            col(JobRow.state).in_((JobState.QUEUED, JobState.RUNNING)),
            col(JobRow.payload)["collection"].as_string() == row.name,
        ),
    )
    return any(session.exec(query.limit(1)).first() is not None for query in holders)


def _by_name(session: Session, name: str) -> CollectionRow | None:
    return session.exec(select(CollectionRow).where(CollectionRow.name == name)).first()


def _known(session: Session) -> str:
    names = session.exec(select(CollectionRow.name).order_by(CollectionRow.name)).all()
    return f"Known collections: {', '.join(names)}." if names else "There is none yet: extract FAQs from a document first."


def _to_collection(session: Session, row: CollectionRow) -> Collection:
    documents = session.exec(
        select(func.count()).select_from(CollectionDocumentRow).where(CollectionDocumentRow.collection_id == row.id)
    ).one()
    by_status = dict(
        session.exec(
            select(FaqRow.status, func.count()).where(FaqRow.collection_id == row.id).group_by(col(FaqRow.status))
        ).all()
    )
    return Collection(
        id=row.id,
        name=row.name,
        status=CollectionStatus(row.status),
        created_at=row.created_at,
        document_count=documents,
        faq_count=sum(by_status.values()),
        approved_count=by_status.get(FaqStatus.APPROVED, 0),
    )
