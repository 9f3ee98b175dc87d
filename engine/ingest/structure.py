"""From a stream of blocks to pages.

Loaders describe what they find as `Piece`s; this module turns them into `Page`s whose blocks are slices of the page's
text, keeps the path of headings, and cuts formats without pages into sections.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

from engine.domain import Block, BlockKind, BoundingBox, Json, LineBox, Page
from engine.ingest.source import Source
from engine.ingest.spool import Spool

MAX_SECTION_CHARACTERS = 20_000
"""A longer section becomes several pages, so that no page is slow to show or to search."""
_BATCH = 500
"""Pieces that go to the disk together."""


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


def paginate(source: Source, pieces: Iterable[Piece]) -> Iterator[Page]:
    """Pages of a format that has none: one for each top-level section, numbered from 1.

    The pieces, which have no places, wait on the disk until all are known; a page alone is in memory.

    Raises:
        DocumentError: they hold more text than allowed.
    """
    characters = 0
    levels = Counter[int]()
    found = filter(lambda piece: piece.text, pieces)
    with Spool[list[Piece]](_packed, _unpacked) as spool:
        while batch := list(itertools.islice(found, _BATCH)):
            for piece in batch:
                characters += len(piece.text) + 1
                source.check_characters(characters)
                levels[piece.level] += piece.kind is BlockKind.HEADING
            spool.add(batch)
        trail = HeadingTrail()
        for number, part in enumerate(_parts(itertools.chain.from_iterable(spool), _top_level(levels)), start=1):
            yield build_page(number, part, trail)


def _packed(pieces: list[Piece]) -> Json:
    return [[piece.kind.value, piece.text, piece.level] for piece in pieces]


def _unpacked(packed: Json) -> list[Piece]:
    return [Piece(BlockKind(kind), text, level) for kind, text, level in cast("list[tuple[str, str, int]]", packed)]


def _top_level(headings: Counter[int]) -> int:
    """The outermost level with more than one heading: a lone heading above the others is the document's title."""
    return min((level for level, count in headings.items() if count > 1), default=0)


def _parts(pieces: Iterable[Piece], top: int) -> Iterator[list[Piece]]:
    """Cut before each top-level heading, and where a page would be too long.

    A title with nothing below it goes with the first section.
    """
    part: list[Piece] = []
    size, has_body = 0, False
    for piece in pieces:
        is_heading = piece.kind is BlockKind.HEADING
        starts = is_heading and piece.level <= top and has_body
        if part and (starts or size + len(piece.text) > MAX_SECTION_CHARACTERS):
            yield part
            part, size = [], 0
        has_body = not is_heading or (has_body and not starts)
        part.append(piece)
        size += len(piece.text) + 1
    if part:
        yield part
