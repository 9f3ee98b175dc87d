"""Pictures of a document's pages, for people to see where a quote stands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from engine.domain import BoundingBox
from engine.errors import DocumentError
from engine.ingest import media
from engine.ingest.limits import Limits
from engine.ingest.pdf.extraction import PdfFile
from engine.ingest.source import Source

_LIMITS = replace(Limits(), max_pages=sys.maxsize)
"""One page is drawn, however many there are."""


def page_picture(path: Path, page: int, boxes: Sequence[BoundingBox], *, width: int = 900, name: str | None = None) -> bytes:
    """A page of a document as a PNG picture, on which some boxes are marked.

    Args:
        path: the file. Its content is taken to be hostile.
        page: the page's number, from 1.
        boxes: what to mark, in points from the top left corner, as in `Block.lines` and `Place.boxes`.
        width: of the picture, in pixels; very long pages are drawn smaller.
        name: what to call the document in messages, where the file is stored under another name.

    Raises:
        DocumentError: the format has no pictures, the file cannot be read, or there is no such page.
    """
    shown = name or path.name
    try:
        media_type = media.detect_media_type(path, path.name)
        status = path.stat()
    except OSError as exc:
        raise DocumentError(f"{shown} cannot be read: {exc.strerror or exc}.", hint="Add the document again.") from exc
    if media_type != media.PDF:
        raise DocumentError(f"There are no page pictures of {shown}.", hint="Only PDF documents have pages to show.")
    source = Source(path, shown, media_type, _LIMITS)
    _check_once(path, shown, status.st_mtime_ns, status.st_size)
    file = PdfFile(source, checked=True)
    try:
        return file.picture(page, boxes, width=width)
    finally:
        file.close()


@lru_cache(maxsize=64)
def _check_once(path: Path, name: str, modified_ns: int, size: int) -> None:
    """Look at all of a file's streams, which takes half a second for 1,000 pages, when it is new or has changed."""
    PdfFile(Source(path, name, media.PDF, _LIMITS)).close()
