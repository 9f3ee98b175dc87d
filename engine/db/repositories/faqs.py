"""FAQ pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import cast

from pydantic import JsonValue
from sqlalchemy import update
from sqlmodel import col, select

from engine.db.session import Database
from engine.db.tables import ExtractedChunkRow, FaqRow
from engine.domain import FaqPair, FaqStatus, Place
from engine.errors import NotFoundError


class FaqRepository:
    """The pairs of all collections, and which chunks they were extracted from."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, pairs: Sequence[FaqPair], *, finished_chunk: tuple[str, str] | None = None) -> None:
        """Store pairs; with `finished_chunk` = (collection, chunk), also that the chunk is done, in the same transaction."""
        with self._db.write() as session:
            session.add_all(FaqRow(**asdict(pair)) for pair in pairs)
            if finished_chunk is not None:
                session.merge(ExtractedChunkRow(collection_id=finished_chunk[0], chunk_id=finished_chunk[1]))

    def extracted_chunks(self, collection_id: str) -> set[str]:
        """The chunks of a collection that extraction has been through."""
        query = select(ExtractedChunkRow.chunk_id).where(ExtractedChunkRow.collection_id == collection_id)
        with self._db.read() as session:
            return set(session.exec(query))

    def list(self, collection_id: str, status: FaqStatus | None = None, ids: Sequence[str] | None = None) -> Sequence[FaqPair]:
        """The pairs of a collection in the order in which they were made, or those with a status or identifier."""
        query = select(FaqRow).where(FaqRow.collection_id == collection_id)
        if status is not None:
            query = query.where(FaqRow.status == status)
        if ids is not None:
            query = query.where(col(FaqRow.id).in_(ids))
        with self._db.read() as session:
            return [_to_pair(row) for row in session.exec(query.order_by(col(FaqRow.created_at), col(FaqRow.id)))]

    def get(self, faq_id: str) -> FaqPair:
        """One pair.

        Raises:
            NotFoundError: there is none with this identifier.
        """
        with self._db.read() as session:
            row = session.get(FaqRow, faq_id)
            if row is None:
                raise NotFoundError(f"no FAQ pair {faq_id}", hint="List the pairs with `nexus faq list`.")
            return _to_pair(row)

    def set_status(self, ids: Sequence[str], status: FaqStatus, reason: str = "") -> int:
        """Approve, reject or reopen pairs. Returns how many there were."""
        with self._db.write() as session:
            statement = update(FaqRow).where(col(FaqRow.id).in_(ids)).values(status=status, reason=reason)
            return int(session.connection().execute(statement).rowcount)

    def edit(self, pair: FaqPair) -> FaqPair:
        """Store the question, answer, quote, page, place, score with its parts, status and reason of an edited pair.

        Raises:
            NotFoundError: the pair is gone.
        """
        with self._db.write() as session:
            row = session.get(FaqRow, pair.id)
            if row is None:
                raise NotFoundError(f"no FAQ pair {pair.id}")
            row.question, row.answer, row.quote, row.page = pair.question, pair.answer, pair.quote, pair.page
            row.score, row.status, row.reason = pair.score, pair.status, pair.reason
            row.parts, row.place = dict(pair.parts), None if pair.place is None else asdict(pair.place)
        return pair


def _to_pair(row: FaqRow) -> FaqPair:
    return FaqPair(**{**row.model_dump(), "status": FaqStatus(row.status), "place": _to_place(row.place)})


def _to_place(data: Mapping[str, JsonValue] | None) -> Place | None:
    if data is None:
        return None
    boxes = cast(list[list[float]], data["boxes"])
    return Place(cast(int, data["start"]), cast(int, data["end"]), tuple((box[0], box[1], box[2], box[3]) for box in boxes))
