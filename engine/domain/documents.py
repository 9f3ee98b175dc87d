"""Documents, what their pages hold, and the collections that they are in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

BoundingBox = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in points of 1/72 inch, from the top left corner of the page."""


class BlockKind(StrEnum):
    """What a block of a page is."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    TABLE_ROW = "table_row"


@dataclass(frozen=True, slots=True)
class LineBox:
    """Where a line of a block is drawn. `start` and `end` are character offsets into `Page.text`."""

    start: int
    end: int
    box: BoundingBox


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a page's text.

    `start` and `end` are character offsets into `Page.text`; `bbox` and `lines` say where it is drawn, where the format has
    positions; `heading_path` holds the headings above it, outermost first.
    """

    kind: BlockKind
    start: int
    end: int
    heading_path: tuple[str, ...] = ()
    bbox: BoundingBox | None = None
    lines: tuple[LineBox, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a document. Formats without pages have one page for each top-level section, numbered from 1.

    `width` and `height` are in points, where the format has positions; `source` says whether the text was in the file or was
    recognised from a picture.
    """

    number: int
    text: str
    blocks: tuple[Block, ...] = ()
    width: float | None = None
    height: float | None = None
    source: Literal["text", "ocr"] = "text"


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was taken in. `id` is the SHA-256 of its bytes, so that the same file twice is one document.

    `warnings` say what the person should know although the document could be read, such as pages without text. `sized_by` is
    the model in whose tokens its chunks are sized; empty where they are estimated.
    """

    id: str
    name: str
    media_type: str
    size: int
    page_count: int
    created_at: datetime
    warnings: tuple[str, ...] = ()
    sized_by: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of one page: the unit of retrieval and of FAQ extraction.

    `start` and `end` are character offsets into the page's text; `text` is exactly that slice.
    """

    id: str
    document_id: str
    index: int
    page: int
    start: int
    end: int
    text: str
    heading_path: tuple[str, ...] = ()


class CollectionStatus(StrEnum):
    """Where the vector index of a collection stands."""

    EMPTY = "empty"
    INDEXING = "indexing"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Collection:
    """A named body of knowledge: documents, the FAQ pairs made from them, and the vectors of both."""

    id: str
    name: str
    status: CollectionStatus
    created_at: datetime
    document_count: int = 0
    faq_count: int = 0
    approved_count: int = 0
