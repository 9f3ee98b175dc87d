"""Running headers, footers and page numbers: found because they come back at the same place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from engine.ingest.pdf.layout import Element, Line, PageLayout
from engine.ingest.pdf.style import LARGER, body_size

_MARGIN = 0.1
"""Share of the page's height, at its top and bottom, where they stand."""
_MIN_SHARE = 0.15
"""They come back on at least this share of the pages: headers may change with the chapter or from left to right."""
_MIN_PAGES = 3
_PLACE = 4.0
"""Points by which the height on the page may differ."""
_PAGE_NUMBER = re.compile(r"(?:page|seite|p\.?)?\s*[-–—]?\s*\d{1,4}(?:\s*(?:/|of|von)\s*\d{1,4})?\s*[-–—]?", re.IGNORECASE)

_Key = tuple[str, int]


def drop_furniture(pages: Sequence[PageLayout]) -> list[PageLayout]:
    """The pages without what repeats in their margins. Documents of one page are returned as they are."""
    heading_size = LARGER * body_size(pages)
    keys = [[_keys(page, element, heading_size) for element in page.elements] for page in pages]
    counts = Counter(key for on_page in keys for key in {key for of_element in on_page for key in of_element})
    needed = max(_MIN_PAGES, _MIN_SHARE * len(pages)) if len(pages) > 2 else 2
    repeated = {key for key, count in counts.items() if count >= needed}
    return [
        replace(page, elements=tuple(e for e, of_e in zip(page.elements, on_page, strict=True) if repeated.isdisjoint(of_e)))
        for page, on_page in zip(pages, keys, strict=True)
    ]


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
