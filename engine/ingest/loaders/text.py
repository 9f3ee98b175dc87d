"""Plain text: paragraphs between empty lines, list items, and the headings that people draw with `===` or CAPITALS."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from itertools import pairwise

from engine.domain import BlockKind, Page
from engine.ingest.decoding import decode
from engine.ingest.source import Source
from engine.ingest.structure import Piece, paginate
from engine.ingest.text import clean, list_item, split_marker

_WRAPPED_LINE = 45
"""A line at least this long was broken by an editor, and goes on in the next one; shorter ones (addresses) stay lines."""
_MAX_HEADING = 80
_BLOCK = 64 * 1024
_UNDERLINE = re.compile(r"(={3,}|-{3,})$")


def load_text(source: Source) -> Iterator[Page]:
    """Pages of a text file."""
    text = decode(source, source.read_bytes())
    source.check_raw_characters(len(text))
    return paginate(source, text_pieces(text))


def text_pieces(text: str) -> Iterator[Piece]:
    """Headings, paragraphs and list items of a plain text."""
    paragraph: list[str] = []
    for raw in itertools.chain(_lines(text), [""]):
        line = clean(raw)
        if line:
            paragraph.append(line)
        elif paragraph:
            yield from _paragraph_pieces(paragraph)
            paragraph = []


def _lines(text: str) -> Iterator[str]:
    """As `splitlines`, without a copy of the whole text."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + _BLOCK) + 1 or len(text)
        yield from text[start:end].splitlines()
        start = end


def _paragraph_pieces(lines: list[str]) -> Iterator[Piece]:
    if len(lines) > 1 and len(lines[0]) <= _MAX_HEADING and _UNDERLINE.match(lines[1]):
        yield Piece(BlockKind.HEADING, lines[0], level=1 if lines[1].startswith("=") else 2)
        lines = lines[2:]
    elif len(lines) == 1 and _is_capitals(lines[0]):
        yield Piece(BlockKind.HEADING, lines[0], level=1)
        return
    group: list[str] = []
    for line in lines:
        if split_marker(line)[0] and group:
            yield _block(group)
            group = []
        group.append(line)
    if group:
        yield _block(group)


def _block(lines: list[str]) -> Piece:
    marker, first = split_marker(lines[0])
    text = _unwrap([first, *lines[1:]])
    return Piece(BlockKind.LIST_ITEM, list_item(text, marker)) if marker else Piece(BlockKind.PARAGRAPH, text)


def _unwrap(lines: list[str]) -> str:
    text = [lines[0]]
    for previous, line in pairwise(lines):
        text += [" " if len(previous) >= _WRAPPED_LINE else "\n", line]
    return "".join(text)


def _is_capitals(line: str) -> bool:
    return len(line) <= _MAX_HEADING and line.isupper() and sum(map(str.isalpha, line)) > 3 and line[-1] not in ".!?,;"
