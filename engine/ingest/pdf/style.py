"""Which lines are headings, judged against the whole document."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from engine.ingest.pdf.layout import Line, PageLayout

LARGER = 1.12
"""Headings are at least so much larger than body text; smaller differences are within what fonts and scaling do."""
_MAX_HEADING = 150
_MAX_BOLD_HEADING = 80
_MAX_LEVEL = 6
_MAX_COMPOUNDS = 50_000
_LEADERS = re.compile(r"(?:[.·…_] ?){5}")
"""What leads to the page number in a table of contents, or waits to be filled in."""
_HYPHENATED = re.compile(r"\w+-\w+")


@dataclass(frozen=True, slots=True)
class DocumentStyle:
    """The looks of a document.

    `body_size` is the type size of most letters, `levels` gives each heading size its level, `bold_level` that of bold
    lines in body size (0: bold means nothing), `outline` that of bookmarked titles by page and folded text, and `compounds` are
    the words that the document writes with a hyphen inside a line.
    """

    body_size: float
    levels: dict[float, int]
    bold_level: int
    outline: dict[tuple[int, str], int]
    compounds: frozenset[str]

    def level(self, line: Line, page: int) -> int:
        """The heading level of a line; 0 when it is none."""
        if not any(map(str.isalnum, line.text)) or _LEADERS.search(line.text):
            return 0
        bookmarked = self.outline.get((page, line.text.casefold()))
        if bookmarked:
            return bookmarked
        if line.size in self.levels:
            return self.levels[line.size] if len(line.text) <= _MAX_HEADING else 0
        return self.bold_level if _is_bold_heading(line, self.body_size) else 0


def document_style(pages: Iterable[PageLayout], outline: Iterable[tuple[int, str, int]]) -> DocumentStyle:
    """Learn a document's style from all its pages, looked at once, and its bookmarks (level, title, page)."""
    letters = Counter[float]()
    bold = 0
    compounds: set[str] = set()
    for page in pages:
        for line in page.lines:
            letters[line.size] += len(line.text)
            bold += len(line.text) if line.bold else 0
            if len(compounds) < _MAX_COMPOUNDS:
                compounds.update(word.casefold() for word in _HYPHENATED.findall(line.text))
    body = most_frequent(letters)
    larger = sorted((size for size in letters if size >= body * LARGER), reverse=True)
    levels = {size: min(rank, _MAX_LEVEL) for rank, size in enumerate(larger, start=1)}
    bold_level = min(len(larger) + 1, _MAX_LEVEL) if bold * 2 < letters.total() else 0
    titles = {(page, title.casefold()): max(1, level) for level, title, page in outline}
    return DocumentStyle(body, levels, bold_level, titles, frozenset(compounds))


def most_frequent(letters: Counter[float]) -> float:
    """The type size of most letters, in points; 0 where there are none."""
    return max(letters.items(), key=lambda item: item[1], default=(0.0, 0))[0]


def _is_bold_heading(line: Line, body_size: float) -> bool:
    return line.bold and line.size >= body_size and len(line.text) <= _MAX_BOLD_HEADING and line.text[-1] not in ".,;:"
