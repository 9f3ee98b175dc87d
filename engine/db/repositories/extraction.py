"""How far the extraction of FAQ pairs is: which chunks are done, and what happens together with that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from engine.db.repositories.faqs import batches, release_duplicates
from engine.db.session import Database
from engine.db.tables import ExtractedChunkRow, FaqChangeRow, FaqRow
from engine.domain import DUPLICATE_REASON, FaqPair, FaqStatus


class ExtractionRepository:
    """What extraction stores of a collection, step by step; each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def finished(self, collection_id: str, language: str = "") -> set[str]:
        """The chunks of a collection that extraction has been through; `language` as in `store`."""
        return self.finished_by_language(collection_id).get(language, set())

    def finished_by_language(self, collection_id: str) -> dict[str, set[str]]:
        """The same for every language in which pairs were asked for; empty stands for the document's own."""
        query = select(ExtractedChunkRow.language, ExtractedChunkRow.chunk_id).where(
            ExtractedChunkRow.collection_id == collection_id
        )
        found: dict[str, set[str]] = {}
        with self._db.read() as session:
            for language, chunk_id in session.exec(query):
                found.setdefault(language, set()).add(chunk_id)
        return found

    def store(
        self,
        collection_id: str,
        pairs: Sequence[FaqPair],
        *,
        displaced: Mapping[str, str] | None = None,
        finished: Sequence[str] = (),
        language: str = "",
    ) -> list[str]:
        """Store new pairs, reject the stored ones that they displace, and mark chunks as done.

        Args:
            collection_id: where the pairs belong.
            pairs: the new ones.
            displaced: for each stored pair that is displaced, the better one. What was linked to it is linked to that one.
            finished: the chunks that were asked in full.
            language: in which language, where another one than the document's was chosen; else empty.

        Returns:
            Which pairs were displaced: those that still waited for review. A person may have decided meanwhile.
        """
        with self._db.write() as session:
            session.add_all(FaqRow(**asdict(pair)) for pair in pairs)
            session.flush()
            gone = [old for old, better in (displaced or {}).items() if _displace(session, old, better)]
            _finish(session, collection_id, finished, language)
        return gone

    def succeed(
        self,
        collection_id: str,
        pairs: Sequence[FaqPair],
        finished: Mapping[str, Sequence[str]],
        *,
        read: Sequence[FaqPair],
        gone: Sequence[str] = (),
    ) -> set[str]:
        """Store pairs as they are in the new version of their document, and which of its chunks need not be asked.

        What reviewers did to them before cannot be undone any more: it would bring back places of the old version.

        Args:
            collection_id: where the pairs belong.
            pairs: the pairs of the old version, moved to the new one.
            finished: the new version's chunks that need not be asked, by language as in `finished_by_language`.
            read: the same pairs as they were when they were moved.
            gone: the pairs whose quote it lacks. What was rejected because one of them asks the same waits for review again.

        Returns:
            The pairs that were left as they are, because they were changed after they had been read.
        """
        before = {pair.id: _reviewed(pair) for pair in read}
        left: set[str] = set()
        with self._db.write() as session:
            for pair in pairs:
                row = session.get(FaqRow, pair.id)
                if row is None:
                    continue
                if _reviewed(row) != before[pair.id]:
                    left.add(pair.id)
                    continue
                row.document_id, row.document, row.chunk_id = pair.document_id, pair.document, pair.chunk_id
                row.page, row.heading = pair.page, pair.heading
                row.status, row.reason = pair.status, pair.reason
                row.place = None if pair.place is None else asdict(pair.place)
            session.flush()
            _forget_changes(session, [pair.id for pair in pairs if pair.id not in left])
            release_duplicates(session, [faq_id for faq_id in gone if faq_id not in left])
            for language, chunk_ids in finished.items():
                _finish(session, collection_id, chunk_ids, language)
        return left


def _reviewed(pair: FaqPair | FaqRow) -> tuple[str | None, ...]:
    """What a review, or a better pair, changes of a pair."""
    return pair.status, pair.question, pair.answer, pair.quote, pair.reason, pair.duplicate_of


def _forget_changes(session: Session, ids: Sequence[str]) -> None:
    for some in batches(ids):
        session.execute(delete(FaqChangeRow).where(col(FaqChangeRow.faq_id).in_(some)))


def _displace(session: Session, old: str, better: str) -> bool:
    row = session.get(FaqRow, old)
    if row is None or row.status != FaqStatus.PENDING:
        return False
    row.status, row.reason, row.duplicate_of = FaqStatus.REJECTED, DUPLICATE_REASON, better
    session.execute(update(FaqRow).where(col(FaqRow.duplicate_of) == old).values(duplicate_of=better))
    return True


def _finish(session: Session, collection_id: str, chunk_ids: Sequence[str], language: str) -> None:
    for chunk_id in chunk_ids:
        session.merge(ExtractedChunkRow(collection_id=collection_id, chunk_id=chunk_id, language=language))
