"""From a stream of blocks to pages.

Loaders describe what they find as `Piece`s; this module turns them into `Page`s whose blocks are slices of the page's
text, keeps the path of headings, and cuts formats without pages into sections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from engine.domain import Block, BlockKind, BoundingBox, LineBox, Page

MAX_SECTION_CHARACTERS = 20_000
"""A longer section becomes several pages, so that no page is slow to show or to search."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A block that has no place in a page yet.

    `level` is 1 for the outermost headings, 0 for all else; the offsets of `lines` count from the start of `text`.
    """

    kind: BlockKind
    text: str
    level: int = 0
    bbox: BoundingBox | None = None
    lines: tuple[LineBox, ...] = ()


@dataclass(slots=True)
class HeadingTrail:
    """The headings above the current place."""

    _open: list[tuple[int, str]] = field(default_factory=list)

    def enter(self, piece: Piece) -> tuple[str, ...]:
        """The path above `piece`; a heading becomes part of the path of what follows."""
        if piece.kind is BlockKind.HEADING:
            self._open = [(level, title) for level, title in self._open if level < piece.level]
        path = tuple(title for _, title in self._open)
        if piece.kind is BlockKind.HEADING:
            self._open.append((piece.level, piece.text))
        return path


def build_page(number: int, pieces: Iterable[Piece], trail: HeadingTrail) -> Page:
    """A page whose text is the pieces' texts, one below the other."""
    blocks: list[Block] = []
    texts: list[str] = []
    position = 0
    for piece in pieces:
        if not piece.text:
            continue
        end = position + len(piece.text)
        lines = tuple(LineBox(position + line.start, position + line.end, line.box) for line in piece.lines)
        blocks.append(Block(piece.kind, position, end, trail.enter(piece), piece.bbox, lines))
        texts.append(piece.text)
        position = end + 1
    return Page(number, "\n".join(texts), tuple(blocks))


def paginate(pieces: Iterable[Piece]) -> Iterator[Page]:
    """Pages of a format that has none: one for each top-level section, numbered from 1."""
    found = [piece for piece in pieces if piece.text]
    trail = HeadingTrail()
    number = 0
    for section in _sections(found):
        for part in _bounded(section):
            number += 1
            yield build_page(number, part, trail)


def _sections(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Cut before each top-level heading; a title with nothing below it goes with the first section."""
    top = _top_level(pieces)
    section: list[Piece] = []
    for piece in pieces:
        starts = piece.kind is BlockKind.HEADING and piece.level <= top
        if starts and any(earlier.kind is not BlockKind.HEADING for earlier in section):
            yield section
            section = []
        section.append(piece)
    if section:
        yield section


def _top_level(pieces: Iterable[Piece]) -> int:
    """The outermost level with more than one heading: a lone heading above the others is the document's title."""
    counts = Counter(piece.level for piece in pieces if piece.kind is BlockKind.HEADING)
    return min((level for level, count in counts.items() if count > 1), default=0)


def _bounded(section: Iterable[Piece]) -> Iterator[list[Piece]]:
    part: list[Piece] = []
    size = 0
    for piece in section:
        if part and size + len(piece.text) > MAX_SECTION_CHARACTERS:
            yield part
            part, size = [], 0
        part.append(piece)
        size += len(piece.text) + 1
    if part:
        yield part
