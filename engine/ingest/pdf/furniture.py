"""Running headers, footers and page numbers: found because they come back at the same place."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable
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
_NUMBER = "#"


@dataclass(frozen=True, slots=True)
class Furniture:
    """What repeats in the margins of a document."""

    repeated: frozenset[_Key]
    heading_size: float

    def removed_from(self, page: PageLayout) -> PageLayout:
        """The page without it."""
        kept = (element for element in page.elements if self.repeated.isdisjoint(_keys(page, element, self.heading_size)))
        return replace(page, elements=tuple(kept))


def find_furniture(pages: Callable[[], Iterable[PageLayout]], body_size: float) -> Furniture:
    """Learn what repeats on the pages of a document whose body text has a size.

    A line repeats where it stands beside other text each time: pages that are all alike are content, and so is what a page
    says alone. Page numbers count again when the number or the page is another. Documents of one page have nothing of it.

    Args:
        pages: gives all pages, each time from the first.
        body_size: in points.
    """
    heading_size = LARGER * body_size
    counts = Counter[_Key]()
    counted: set[int] = set()
    different: set[int] = set()
    for page in pages():
        contexts = _contexts(page, heading_size)
        different.add(contexts.whole)
        for key, context in contexts.of_keys.items():
            counted_as = hash((key, context))
            if counted_as not in counted:
                counted.add(counted_as)
                counts[key] += 1
    needed = max(_MIN_PAGES, _MIN_SHARE * len(different)) if len(different) > 2 else 2
    found = Furniture(frozenset(key for key, count in counts.items() if count >= needed), heading_size)
    has_words = any(map(str.isalnum, itertools.chain.from_iterable(found.removed_from(page).text for page in pages())))
    return found if has_words else Furniture(frozenset(), heading_size)


@dataclass(frozen=True, slots=True)
class _Contexts:
    """What a page says but for its number (`whole`), and each key of its margins with what stands beside it there."""

    whole: int
    of_keys: dict[_Key, int]


def _contexts(page: PageLayout, heading_size: float) -> _Contexts:
    keyed = [(element, _keys(page, element, heading_size)) for element in page.elements]
    parts = [
        hash(keys[0][0] if keys else element.text if isinstance(element, Line) else element.rows)
        for element, keys in keyed
        if not keys or keys[0][0] != _NUMBER
    ]
    whole = sum(parts)  # in no order: without one of them it is this less that one
    found: dict[_Key, int] = {}
    for element, keys in keyed:
        is_number = bool(keys) and keys[0][0] == _NUMBER
        if isinstance(element, Line) and len(parts) > (not is_number):
            found |= {key: hash((element.text, whole)) if is_number else whole - hash(key[0]) for key in keys}
    return _Contexts(whole, found)


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
        text = _NUMBER if _PAGE_NUMBER.fullmatch(text) else re.sub(r"\d+", _NUMBER, text)
    return (text, 2 * int(middle / _PLACE)), (text, 2 * int(middle / _PLACE + 0.5) + 1)
