"""Keyword search over the passages of a collection, with SQLite's FTS5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, text
from sqlmodel import col, select

from engine.db.session import Database
from engine.db.tables import SearchEntryRow


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """A text to be found: an identifier that is unique in its collection, the headings above the text, and the text."""

    source_id: str
    heading: str
    body: str


_MATCH = text(
    """SELECT entry.source_id FROM search_text JOIN search_entry AS entry ON entry.id = search_text.rowid
    WHERE search_text MATCH :terms AND entry.collection_id = :collection
    AND substr(entry.source_id, 1, length(:prefix)) = :prefix ORDER BY bm25(search_text) LIMIT :limit"""
)


class SearchRepository:
    """What keyword search knows of each collection."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def source_ids(self, collection_id: str) -> set[str]:
        """The identifiers of all entries of a collection."""
        with self._db.read() as session:
            return set(session.exec(select(SearchEntryRow.source_id).where(SearchEntryRow.collection_id == collection_id)))

    def change(self, collection_id: str, *, add: Sequence[SearchEntry], remove: Sequence[str]) -> None:
        """Add and remove entries in one transaction; an added entry replaces one of the same identifier."""
        gone = [*remove, *(entry.source_id for entry in add)]
        with self._db.write() as session:
            session.execute(
                delete(SearchEntryRow).where(
                    col(SearchEntryRow.collection_id) == collection_id, col(SearchEntryRow.source_id).in_(gone)
                )
            )
            session.add_all(
                SearchEntryRow(collection_id=collection_id, source_id=entry.source_id, heading=entry.heading, body=entry.body)
                for entry in add
            )

    def match(self, collection_id: str, terms: Sequence[str], limit: int, prefix: str = "") -> list[str]:
        """Entries that hold at least one of the terms, best first by BM25 (Robertson and Zaragoza 2009).

        Args:
            collection_id: where to look.
            terms: words; each is matched literally, up to case, diacritics and English endings.
            limit: how many at most.
            prefix: how the identifiers of the entries begin.

        Returns:
            Identifiers of entries.
        """
        quoted = " OR ".join('"' + term.replace('"', '""') + '"' for term in terms)
        if not quoted:
            return []
        with self._db.read() as session:
            values = {"terms": quoted, "collection": collection_id, "limit": limit, "prefix": prefix}
            rows = session.connection().execute(_MATCH, values)
            return [str(row.source_id) for row in rows]
