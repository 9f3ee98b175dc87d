"""Documents, their pages and their chunks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from sqlmodel import Session, SQLModel, col, select

from engine.db.session import Database
from engine.db.tables import ChunkRow, CollectionDocumentRow, DocumentRow, PageRow
from engine.domain import Block, BlockKind, Chunk, Document, Json, LineBox, Page, utc_now
from engine.errors import NotFoundError

_BATCH = 100
"""Pages or chunks that are written at a time."""


class DocumentRepository:
    """Documents with their pages and chunks; immutable once added, since the identifier is the hash of the content."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self,
        document: Document,
        pages: Iterable[Page],
        chunks: Iterable[Chunk],
        *,
        collection_id: str | None = None,
        before_commit: Callable[[], None] | None = None,
    ) -> Document:
        """Store a document whole and link it to a collection, or do neither. A document that is there already is kept as it is.

        `before_commit` runs for a new document, under the write lock; when it raises, nothing is stored.
        """
        with self._db.write() as session:
            existing = session.get(DocumentRow, document.id)
            if existing is None:
                session.add(_from_document(document))
                session.flush()
                _add_in_batches(session, (_from_page(document.id, page) for page in pages))
                _add_in_batches(session, map(_from_chunk, chunks))
            if collection_id is not None and session.get(CollectionDocumentRow, (collection_id, document.id)) is None:
                session.add(CollectionDocumentRow(collection_id=collection_id, document_id=document.id, added_at=utc_now()))
            session.flush()
            if existing is not None:
                return _to_document(existing)
            if before_commit is not None:
                before_commit()
        return document

    def if_absent(self, document_id: str, action: Callable[[], None]) -> None:
        """Run an action unless the document is stored; no other process can store it meanwhile."""
        with self._db.write() as session:
            if session.get(DocumentRow, document_id) is None:
                action()

    def get(self, document_id: str) -> Document:
        """A document.

        Raises:
            NotFoundError: there is none with this identifier.
        """
        with self._db.read() as session:
            row = session.get(DocumentRow, document_id)
            if row is None:
                raise NotFoundError(f"no document {document_id}")
            return _to_document(row)

    def list(self, collection_id: str | None = None) -> Sequence[Document]:
        """All documents, or those of a collection, oldest first."""
        query = select(DocumentRow).order_by(col(DocumentRow.created_at))
        if collection_id is not None:
            query = query.join(CollectionDocumentRow).where(CollectionDocumentRow.collection_id == collection_id)
        with self._db.read() as session:
            return [_to_document(row) for row in session.exec(query)]

    def pages(self, document_id: str) -> Sequence[Page]:
        """The pages of a document, in order."""
        query = select(PageRow).where(PageRow.document_id == document_id).order_by(col(PageRow.number))
        with self._db.read() as session:
            return [_to_page(row) for row in session.exec(query)]

    def page(self, document_id: str, number: int) -> Page:
        """One page.

        Raises:
            NotFoundError: the document has no such page.
        """
        with self._db.read() as session:
            row = session.get(PageRow, (document_id, number))
            if row is None:
                raise NotFoundError(f"document {document_id} has no page {number}")
            return _to_page(row)

    def chunks(self, document_ids: Sequence[str]) -> Sequence[Chunk]:
        """The chunks of some documents, in reading order."""
        query = (
            select(ChunkRow)
            .where(col(ChunkRow.document_id).in_(document_ids))
            .order_by(col(ChunkRow.document_id), col(ChunkRow.index))
        )
        with self._db.read() as session:
            return [_to_chunk(row) for row in session.exec(query)]

    def chunk_ids(self, collection_id: str) -> set[str]:
        """The identifiers of all chunks of a collection's documents."""
        query = (
            select(ChunkRow.id)
            .join(CollectionDocumentRow, col(CollectionDocumentRow.document_id) == col(ChunkRow.document_id))
            .where(CollectionDocumentRow.collection_id == collection_id)
        )
        with self._db.read() as session:
            return set(session.exec(query))

    def chunks_by_id(self, chunk_ids: Sequence[str]) -> dict[str, Chunk]:
        """Chunks by identifier; unknown ones are left out."""
        with self._db.read() as session:
            rows = session.exec(select(ChunkRow).where(col(ChunkRow.id).in_(chunk_ids)))
            return {row.id: _to_chunk(row) for row in rows}

    def remove_unused(self) -> Sequence[str]:
        """Remove documents that no collection holds. Returns their identifiers."""
        held = select(CollectionDocumentRow.document_id)
        with self._db.write() as session:
            rows = session.exec(select(DocumentRow).where(col(DocumentRow.id).not_in(held))).all()
            for row in rows:
                session.delete(row)
            return [row.id for row in rows]


def _add_in_batches(session: Session, rows: Iterable[SQLModel]) -> None:
    """Write rows and forget them, so that no more than a batch is in memory."""
    waiting = iter(rows)
    while batch := list(itertools.islice(waiting, _BATCH)):
        session.add_all(batch)
        session.flush()
        for row in batch:
            session.expunge(row)


def _from_document(document: Document) -> DocumentRow:
    return DocumentRow(
        id=document.id,
        name=document.name,
        media_type=document.media_type,
        size=document.size,
        page_count=document.page_count,
        created_at=document.created_at,
        warnings=list(document.warnings),
        sized_by=document.sized_by,
    )


def _to_document(row: DocumentRow) -> Document:
    return Document(**{**row.model_dump(), "warnings": tuple(row.warnings)})


def _from_page(document_id: str, page: Page) -> PageRow:
    blocks: list[Json] = [
        {
            "kind": block.kind.value,
            "start": block.start,
            "end": block.end,
            "heading_path": list(block.heading_path),
            "bbox": None if block.bbox is None else list(block.bbox),
            "lines": [[line.start, line.end, *line.box] for line in block.lines],
        }
        for block in page.blocks
    ]
    return PageRow(
        document_id=document_id,
        number=page.number,
        text=page.text,
        blocks=blocks,
        width=page.width,
        height=page.height,
        source=page.source,
    )


def _to_page(row: PageRow) -> Page:
    return Page(
        number=row.number,
        text=row.text,
        blocks=tuple(_to_block(cast(dict[str, Json], block)) for block in row.blocks),
        width=row.width,
        height=row.height,
        source="ocr" if row.source == "ocr" else "text",
    )


def _to_block(data: dict[str, Json]) -> Block:
    bbox = cast(list[float] | None, data["bbox"])
    return Block(
        kind=BlockKind(cast(str, data["kind"])),
        start=cast(int, data["start"]),
        end=cast(int, data["end"]),
        heading_path=tuple(cast(list[str], data["heading_path"])),
        bbox=None if bbox is None else (bbox[0], bbox[1], bbox[2], bbox[3]),
        lines=tuple(
            LineBox(int(start), int(end), (x0, y0, x1, y1))
            for start, end, x0, y0, x1, y1 in cast(list[list[float]], data.get("lines", []))
        ),
    )


def _from_chunk(chunk: Chunk) -> ChunkRow:
    return ChunkRow(
        id=chunk.id,
        document_id=chunk.document_id,
        index=chunk.index,
        page=chunk.page,
        start=chunk.start,
        end=chunk.end,
        text=chunk.text,
        heading_path=list(chunk.heading_path),
    )


def _to_chunk(row: ChunkRow) -> Chunk:
    return Chunk(**{**row.model_dump(), "heading_path": tuple(row.heading_path)})
