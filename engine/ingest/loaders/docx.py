"""Word documents (DOCX).

The body's XML is walked here rather than through python-docx's paragraphs, which leave out inserted text under review and
content controls; python-docx finds the parts and resolves the styles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.domain import BlockKind, Page
from engine.ingest.archive import ARCHIVE_ERRORS, count_tags, open_archive, refuse_document_types
from engine.ingest.source import Source
from engine.ingest.structure import Piece, paginate
from engine.ingest.tables import table_pieces
from engine.ingest.text import clean, clean_lines, list_item, split_marker

if TYPE_CHECKING:
    from docx.oxml.xmlchemy import BaseOxmlElement

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_SKIPPED = {_FALLBACK, f"{_W}del", f"{_W}moveFrom", f"{_W}pPr", f"{_W}rPr"}
_INLINE = {f"{_W}tab": " ", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_HEADING_STYLE = re.compile(r"heading (\d)$")
_BODY_TEXT_LEVEL = 9
"""Outline level that Word writes for text that is no heading."""
_TITLE_LEVEL = 1
"""The document's title stands above its headings, whose levels begin with the next one."""

_CHEAPER = 6
"""Tags that take as much memory here as one of HTML does."""
_MAX_SPAN = 100
_MAX_REPEATED = 200
"""A longer text in a cell over several rows stands in the first of them alone: repeating it could fill the memory."""


@dataclass(frozen=True, slots=True)
class _Style:
    level: int = 0
    is_list: bool = False


def load_docx(source: Source) -> Iterator[Page]:
    """Pages of a Word document: one for each top-level section."""
    with open_archive(source) as archive:
        refuse_document_types(source, archive)
        source.check_elements(count_tags(source, archive) // _CHEAPER)
    return paginate(source, _pieces(source))


def _pieces(source: Source) -> Iterator[Piece]:
    from docx import Document
    from docx.opc.exceptions import OpcError
    from lxml.etree import LxmlError  # type: ignore[import-untyped]

    try:
        document = Document(str(source.path))
        styles = {style.style_id: _read_style(style.element, style.name) for style in document.styles}
        body: BaseOxmlElement = document.element.body
    except (OpcError, LxmlError, AttributeError, TypeError, *ARCHIVE_ERRORS) as exc:
        raise source.damaged("its parts do not make up a Word document") from exc
    if body is None:
        raise source.damaged("it has no body")
    return _block_pieces(body, styles)


def _read_style(element: BaseOxmlElement, name: str | None) -> _Style:
    title = (name or "").lower()
    match = _HEADING_STYLE.match(title)
    outline = element.find(f"{_W}pPr/{_W}outlineLvl")
    if match:
        level = _TITLE_LEVEL + int(match[1])
    elif title == "title":
        level = _TITLE_LEVEL
    else:
        level = _outline_level(outline)
    return _Style(level, title.startswith("list") or element.find(f"{_W}pPr/{_W}numPr") is not None)


def _outline_level(outline: BaseOxmlElement | None) -> int:
    """Heading level from an outline level, which counts from 0; 0 where there is none."""
    value = outline.get(f"{_W}val", "") if outline is not None else ""
    return _TITLE_LEVEL + 1 + int(value) if value.isdigit() and int(value) < _BODY_TEXT_LEVEL else 0


def _block_pieces(root: BaseOxmlElement, styles: dict[str, _Style]) -> Iterator[Piece]:
    stack = [root]
    while stack:
        element = stack.pop()
        if element.tag == f"{_W}p":
            yield from _paragraph(element, styles)
        elif element.tag == f"{_W}tbl":
            yield from table_pieces(list(_grid(element)), has_header=_has_header(element))
        elif element.tag not in _SKIPPED:
            stack.extend(reversed(element))


def _paragraph(element: BaseOxmlElement, styles: dict[str, _Style]) -> Iterator[Piece]:
    text = clean_lines(_text(element))
    if not text:
        return
    reference = element.find(f"{_W}pPr/{_W}pStyle")
    style = styles.get(reference.get(f"{_W}val", ""), _Style()) if reference is not None else _Style()
    level = _outline_level(element.find(f"{_W}pPr/{_W}outlineLvl")) or style.level
    if level:
        yield Piece(BlockKind.HEADING, clean(text), level)
    elif style.is_list or element.find(f"{_W}pPr/{_W}numPr") is not None:
        yield Piece(BlockKind.LIST_ITEM, list_item(split_marker(text)[1]))
    else:
        yield Piece(BlockKind.PARAGRAPH, text)


def _text(element: BaseOxmlElement) -> str:
    parts: list[str] = []
    stack = [element]
    while stack:
        node = stack.pop()
        if node.tag == f"{_W}t":
            parts.append(node.text or "")
        elif node.tag in _INLINE:
            parts.append(_INLINE[node.tag])
        elif node.tag not in _SKIPPED:
            if node.tag == f"{_W}p" and parts:
                parts.append("\n")
            stack.extend(reversed(node))
    return "".join(parts)


def _grid(table: BaseOxmlElement) -> Iterator[list[str]]:
    """Each row's texts, one for each column: wide cells are followed by empty ones, tall ones repeated."""
    above: list[str] = []
    for row in _own(table, "tr", "tbl"):
        cells: list[str] = []
        for cell in _own(row, "tc", "tr"):
            column = len(cells)
            reaches_down = _is_continued(cell) and column < len(above) and len(above[column]) <= _MAX_REPEATED
            cells += [above[column] if reaches_down else _text(cell), *[""] * (_columns(cell) - 1)]
        yield cells
        above = cells


def _own(parent: BaseOxmlElement, tag: str, parent_tag: str) -> list[BaseOxmlElement]:
    """Rows or cells of this table and not of one inside it; content controls may stand between them and their parent."""
    return [child for child in parent.iter(f"{_W}{tag}") if next(child.iterancestors(f"{_W}{parent_tag}")) is parent]


def _is_continued(cell: BaseOxmlElement) -> bool:
    merge = cell.find(f"{_W}tcPr/{_W}vMerge")
    return merge is not None and merge.get(f"{_W}val", "continue") == "continue"


def _columns(cell: BaseOxmlElement) -> int:
    span = cell.find(f"{_W}tcPr/{_W}gridSpan")
    value = span.get(f"{_W}val", "1") if span is not None else "1"
    return min(max(int(value), 1), _MAX_SPAN) if value.isdecimal() and len(value) < 6 else 1


def _has_header(table: BaseOxmlElement) -> bool | None:
    """True where Word was told to repeat the first row on each page; else its look decides."""
    first = next(table.iterchildren(f"{_W}tr"), None)
    return True if first is not None and first.find(f"{_W}trPr/{_W}tblHeader") is not None else None
