"""The pages of a document, loaded when they are needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping

from engine.db.repositories.documents import DocumentRepository
from engine.domain import Document, Page, Place
from engine.errors import NotFoundError
from engine.ingest import place_of

MOST_PAGES = 64
"""Pages that are kept. Passages come nearly in reading order, so that each page is loaded about once."""


class PageTexts(Mapping[int, str]):
    """The text of each page of a document by its number, of which few are in memory at a time."""

    def __init__(self, documents: DocumentRepository, document: Document, limit: int = MOST_PAGES) -> None:
        self._documents = documents
        self._document = document
        self._limit = limit
        self._pages: OrderedDict[int, Page] = OrderedDict()

    def page(self, number: int) -> Page:
        """One page.

        Raises:
            NotFoundError: the document has no such page.
        """
        if number not in self._pages:
            self._pages[number] = self._documents.page(self._document.id, number)
            if len(self._pages) > self._limit:
                self._pages.popitem(last=False)
        self._pages.move_to_end(number)
        return self._pages[number]

    def place(self, number: int, quote: str, near: int) -> Place | None:
        """Where a quote stands on a page: of several places the one nearest an offset. None where it is not there."""
        try:
            return place_of(self.page(number), quote, near=near)
        except NotFoundError:
            return None

    def __getitem__(self, number: int) -> str:
        try:
            return self.page(number).text
        except NotFoundError as exc:
            raise KeyError(number) from exc

    def __iter__(self) -> Iterator[int]:
        return iter(range(1, self._document.page_count + 1))

    def __len__(self) -> int:
        return self._document.page_count
