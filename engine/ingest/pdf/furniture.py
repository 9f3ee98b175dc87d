"""Running headers, footers and page numbers: found because they come back at the same place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from engine.ingest.pdf.layout import Element, Line, PageLayout

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
    counts = Counter[_Key]()
    for page in pages:
        counts.update({key for element in page.elements for key in _keys(page, element)})
    needed = max(_MIN_PAGES, _MIN_SHARE * len(pages)) if len(pages) > 2 else 2
    repeated = {key for key, count in counts.items() if count >= needed}
    return [replace(page, elements=tuple(e for e in page.elements if not _is_furniture(page, e, repeated))) for page in pages]


def _is_furniture(page: PageLayout, element: Element, repeated: set[_Key]) -> bool:
    return any(key in repeated for key in _keys(page, element))


def _keys(page: PageLayout, element: Element) -> tuple[_Key, ...]:
    """What is the same each time: the text with its numbers blanked, and the place, in two grids so that none cuts through."""
    if not isinstance(element, Line):
        return ()
    middle = (element.bbox[1] + element.bbox[3]) / 2
    if page.height * _MARGIN < middle < page.height * (1 - _MARGIN):
        return ()
    text = "#" if _PAGE_NUMBER.fullmatch(element.text) else re.sub(r"\d+", "#", element.text.casefold())
    return (text, 2 * int(middle / _PLACE)), (text, 2 * int(middle / _PLACE + 0.5) + 1)
