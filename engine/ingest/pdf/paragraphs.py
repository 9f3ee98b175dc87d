"""Lines in reading order put together to headings, paragraphs and list items."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from engine.domain import BlockKind, LineBox
from engine.ingest.pdf.layout import Element, Line, Table, union
from engine.ingest.pdf.style import DocumentStyle
from engine.ingest.structure import Piece
from engine.ingest.text import list_item, split_marker

_BULLETS = frozenset("•●○◦▪■□▸►‣⁃∙·–—*-")
_SENTENCE_END = re.compile(r"[.!?:;…][\"'”’»)\]]*$")
_WORD_BREAK = re.compile(r"(\w+)[-‐]$")
_LONGEST_WORD = 100
"""Characters to look back for the beginning of a word that was broken."""
_NUMBERED = re.compile(r"[\d(]")
_MAX_BOLD_LINES = 2
"""More bold lines than this in a row are an emphasised paragraph, not a heading."""


def page_pieces(elements: Sequence[Element], style: DocumentStyle, page: int) -> Iterator[Piece]:
    """The blocks of a page whose elements are in reading order."""
    edges = _right_edges(elements)
    group: list[Line] = []
    for element in elements:
        if isinstance(element, Line) and group and _continues(group, element, style, page, edges):
            group.append(element)
            continue
        yield from _piece(group, style, page)
        group = []
        if isinstance(element, Table):
            for text, bbox in element.rows:
                yield Piece(BlockKind.TABLE_ROW, text, bbox=bbox, lines=(LineBox(0, len(text), bbox),))
        else:
            group = [element]
    yield from _piece(group, style, page)


def join_lines(lines: Sequence[str], compounds: frozenset[str] = frozenset()) -> str:
    """One text from the lines of a paragraph; words that were hyphenated at a line's end are put together again.

    The hyphen stays where the document writes the word with one elsewhere (`compounds`), or where no small letter follows.
    """
    return _join(lines, compounds)[0]


def _join(lines: Sequence[str], compounds: frozenset[str]) -> tuple[str, list[tuple[int, int]]]:
    """The text of a paragraph, and where each of its lines stands in it."""
    parts: list[str] = []
    length = 0
    tail = ""  # the end of what there is so far: a page may be one paragraph of a million characters
    starts: list[int] = []
    ends: list[int] = []
    for line in lines:
        broken = _broken_word(tail)
        rest = re.match(r"\w+", line)
        if broken is None or rest is None:
            between = " " if length else ""
            parts.append(between)
            length += len(between)
            tail += between
        elif rest.group()[0].islower() and f"{broken[1]}-{rest.group()}".casefold() not in compounds:
            parts[-1], tail = parts[-1][:-1], tail[:-1]
            length -= 1
            ends[-1] -= 1
        starts.append(length)
        parts.append(line)
        length += len(line)
        ends.append(length)
        tail = (tail + line[-_LONGEST_WORD:])[-_LONGEST_WORD:]
    return "".join(parts), list(zip(starts, ends, strict=True))


def _broken_word(text: str) -> re.Match[str] | None:
    """The word that a text breaks off in, at its end."""
    return _WORD_BREAK.search(text, max(0, len(text) - _LONGEST_WORD))


def carry_over(above: list[Element], below: list[Element], style: DocumentStyle, page: int) -> None:
    """Put a word that was broken at the end of a page together, on that page. Changes both lists of elements in reading order.

    Args:
        above: of a page.
        below: of the next one.
        style: the looks of the document.
        page: the number of the first of the two pages.
    """
    last, first = (above[-1], below[0]) if above and below else (None, None)
    if not isinstance(last, Line) or not isinstance(first, Line):
        return
    word, _, rest = first.text.partition(" ")
    if not _broken_word(last.text) or not word[0].islower() or style.level(last, page) or style.level(first, page + 1):
        return
    above[-1] = replace(last, text=join_lines([last.text, word], style.compounds))
    below[:1] = [replace(first, text=rest)] if rest else []


def _right_edges(elements: Sequence[Element]) -> dict[int, float]:
    edges: dict[int, float] = {}
    for element in elements:
        if isinstance(element, Line):
            edges[element.block] = max(edges.get(element.block, 0.0), element.bbox[2])
    return edges


def _continues(group: Sequence[Line], line: Line, style: DocumentStyle, page: int, edges: dict[int, float]) -> bool:
    """Whether a line goes on with the block that is being collected."""
    previous = group[-1]
    if style.level(previous, page) != style.level(line, page):
        return False
    if _same_row(previous, line):
        return True
    if style.level(line, page):
        return _is_close(previous, line) and previous.size == line.size
    if _starts_item(line) and not _is_mid_sentence(group, line):
        return False
    if previous.block != line.block:
        return _is_mid_sentence(group, line) and line.text[0].islower()
    short = previous.bbox[2] < edges[previous.block] - 2 * line.size
    if _starts_item(group[0]):
        return line.bbox[0] > group[0].bbox[0] + 2 or (not short and line.bbox[0] > group[0].bbox[0] - 2)
    indented = line.bbox[0] - previous.bbox[0] > 0.8 * line.size
    return not ((indented or short) and _SENTENCE_END.search(previous.text))


def _same_row(previous: Line, line: Line) -> bool:
    middle = (line.bbox[1] + line.bbox[3]) / 2
    return previous.bbox[1] < middle < previous.bbox[3] and line.bbox[0] >= previous.bbox[2] - 1


def _is_close(previous: Line, line: Line) -> bool:
    return 0 <= line.bbox[1] - previous.bbox[1] < 1.6 * previous.height


def _starts_item(line: Line) -> bool:
    return line.text in _BULLETS or bool(split_marker(line.text)[0])


def _is_mid_sentence(group: Sequence[Line], line: Line) -> bool:
    """Whether a sentence is still open, so that a number at the line's start is part of it and not of a list."""
    bullet = _starts_item(line) and not _NUMBERED.match(line.text)
    return not bullet and not _starts_item(group[0]) and not _SENTENCE_END.search(group[-1].text)


def _piece(group: Sequence[Line], style: DocumentStyle, page: int) -> Iterator[Piece]:
    if not group:
        return
    text, spans = _join([line.text for line in group], style.compounds)
    bbox = union([line.bbox for line in group])
    # They hold for list items too: the marker that is written is as long as the one that stood there.
    lines = tuple(LineBox(start, end, line.bbox) for (start, end), line in zip(spans, group, strict=True))
    level = style.level(group[0], page)
    marker, rest = split_marker(text)
    if level and not (level == style.bold_level and _count_rows(group) > _MAX_BOLD_LINES):
        yield Piece(BlockKind.HEADING, text, level, bbox, lines)
    elif marker:
        yield Piece(BlockKind.LIST_ITEM, list_item(rest, marker), bbox=bbox, lines=lines)
    else:
        yield Piece(BlockKind.PARAGRAPH, text, bbox=bbox, lines=lines)


def _count_rows(group: Sequence[Line]) -> int:
    return 1 + sum(not _same_row(above, below) for above, below in pairwise(group))
