"""What proves a pair: its page, where the quote stands on it, and a picture of it where the format has pages."""

from __future__ import annotations

from dataclasses import dataclass

from engine.db.repositories import Repositories
from engine.domain import FaqPair, Page, Place
from engine.errors import DocumentError, NotFoundError
from engine.ingest import page_picture, place_of
from engine.knowledge.documents import DocumentLibrary

PICTURE_WIDTH = 1000
"""Pixels; enough to read a page of small print in half a window."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The page that a pair's quote is from.

    `place` is None where the page does not have the quote. `picture` is a PNG with the quote marked, None where the format has
    no pictures or the file is gone.
    """

    page: Page
    place: Place | None
    picture: bytes | None


def proof_of(pair: FaqPair, repositories: Repositories, library: DocumentLibrary) -> Proof | None:
    """The proof of a pair; None for one that was imported, and where the page is gone."""
    if pair.document_id is None or pair.page is None:
        return None
    try:
        page = repositories.documents.page(pair.document_id, pair.page)
    except NotFoundError:
        return None
    near = 0 if pair.place is None else pair.place.start
    place = place_of(page, pair.quote, near=near)
    return Proof(page, place, _picture(pair.document_id, pair.document, page, place, library))


def _picture(document_id: str, name: str, page: Page, place: Place | None, library: DocumentLibrary) -> bytes | None:
    boxes = () if place is None else place.boxes
    try:
        return page_picture(library.original(document_id), page.number, boxes, width=PICTURE_WIDTH, name=name)
    except (DocumentError, NotFoundError):
        return None
