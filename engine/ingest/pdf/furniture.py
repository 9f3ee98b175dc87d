"""Running headers, footers and page numbers: found because they come back at the same place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from engine.ingest.pdf.layout import Element, Line, PageLayout
from engine.ingest.pdf.style import LARGER

_MARGIN = 0.1
"""Share of the page's height, at its top and bottom, where they stand."""
_MIN_SHARE = 0.15
"""They come back on at least this share of the pages: headers may change with the chapter or from left to right."""
_MIN_PAGES = 3
_PLACE = 4.0
"""Points by which the height on the page may differ."""
_PAGE_NUMBER = re.compile(r"(?:page|seite|p\.?)?\s*[-–—]?\s*\d{1,4}(?:\s*(?:/|of|von)\s*\d{1,4})?\s*[-–—]?", re.IGNORECASE)

_Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Furniture:
    """What repeats in the margins of a document."""

    repeated: frozenset[_Key]
    heading_size: float

    def removed_from(self, page: PageLayout) -> PageLayout:
        """The page without it."""
        kept = (element for element in page.elements if self.repeated.isdisjoint(_keys(page, element, self.heading_size)))
        return replace(page, elements=tuple(kept))


def find_furniture(pages: Iterable[PageLayout], body_size: float) -> Furniture:
    """Learn what repeats on the pages of a document whose body text has a size. Documents of one page have nothing of it."""
    heading_size = LARGER * body_size
    counts = Counter[_Key]()
    total = 0
    for page in pages:
        total += 1
        counts.update({key for element in page.elements for key in _keys(page, element, heading_size)})
    needed = max(_MIN_PAGES, _MIN_SHARE * total) if total > 2 else 2
    return Furniture(frozenset(key for key, count in counts.items() if count >= needed), heading_size)


def _keys(page: PageLayout, element: Element, heading_size: float) -> tuple[_Key, ...]:
    """What is the same each time: the text and the place, in two grids so that none cuts through.

    Numbers may differ, but not those in the size of headings: `Chapter 2` is no repetition of `Chapter 1`.
    """
    if not isinstance(element, Line):
        return ()
    middle = (element.bbox[1] + element.bbox[3]) / 2
    if page.height * _MARGIN < middle < page.height * (1 - _MARGIN):
        return ()
    text = element.text.casefold()
    if element.size < heading_size:
        text = "#" if _PAGE_NUMBER.fullmatch(text) else re.sub(r"\d+", "#", text)
    return (text, 2 * int(middle / _PLACE)), (text, 2 * int(middle / _PLACE + 0.5) + 1)
