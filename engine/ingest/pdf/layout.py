"""What is on a page, before anyone knows in which order to read it. All lengths are in PDF points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.domain import BoundingBox


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text. `block` numbers MuPDF's group of lines; `bold` means every letter is."""

    text: str
    bbox: BoundingBox
    size: float
    bold: bool
    block: int

    @property
    def height(self) -> float:
        """From the top of the tallest letters to the bottom of the deepest."""
        return self.bbox[3] - self.bbox[1]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: each row's text, and its place."""

    bbox: BoundingBox
    rows: tuple[tuple[str, BoundingBox], ...]


Element = Line | Table
NOMINAL_SIZE = 10.0
"""Type size in points of body text that was recognised from a picture."""


@dataclass(frozen=True, slots=True)
class PageLayout:
    """The elements of a page, in the order in which the file draws them.

    `pictured` is the share of the page that pictures cover. Type sizes of lines that were recognised (`source` is `ocr`) are
    known only against each other: most are in `NOMINAL_SIZE`.
    """

    number: int
    width: float
    height: float
    elements: tuple[Element, ...]
    pictured: float = 0.0
    source: Literal["text", "ocr"] = "text"

    @property
    def lines(self) -> tuple[Line, ...]:
        """The elements that are lines."""
        return tuple(element for element in self.elements if isinstance(element, Line))

    @property
    def text(self) -> str:
        """All of its text, in no particular order."""
        rows = [row for element in self.elements if isinstance(element, Table) for row, _ in element.rows]
        return "\n".join([line.text for line in self.lines] + rows)


def union(boxes: list[BoundingBox]) -> BoundingBox:
    """The smallest box around all of them."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)
