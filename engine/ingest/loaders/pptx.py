"""Presentations (PPTX): each slide is a page, its title a heading, followed by what the speaker is to say."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from engine.domain import BlockKind, Page
from engine.ingest.archive import open_archive, refuse_document_types
from engine.ingest.source import Source
from engine.ingest.structure import HeadingTrail, Piece, build_page
from engine.ingest.tables import table_pieces
from engine.ingest.text import clean, clean_lines, list_item, numbered, split_marker
from engine.ingest.xml_parts import local, parse_part, relationships

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_PRESENTATION = "ppt/presentation.xml"
_TITLES = ("title", "ctrTitle")
_FURNITURE = ("sldNum", "dt", "ftr", "hdr", "sldImg")
"""Placeholders that say the same on every slide."""
_BODIES = ("body", "obj")
_READ_ALONG = ("diagramData", "notesSlide")
"""Kinds of parts that are read with a slide, once: many references to a large one could fill the memory."""
_MAX_REPEATED = 200
"""A longer text in a cell over several rows stands in the first of them alone: repeating it could fill the memory."""


def load_pptx(source: Source) -> Iterator[Page]:
    """The slides of a presentation, numbered as in the file; slides without text stay, empty, so that the numbers hold."""
    hidden: list[int] = []
    empty: list[int] = []
    read: set[str] = set()
    characters = 0
    with open_archive(source) as archive:
        refuse_document_types(source, archive)
        for number, part in enumerate(_slides(source, archive), start=1):
            slide = parse_part(source, archive, part)
            shown = slide.get("show", "1") not in ("0", "false")
            pieces = _slide_pieces(source, archive, part, slide, read) if shown else ()
            page = build_page(number, _counted(source, pieces, characters), HeadingTrail())
            characters += sum(block.end - block.start for block in page.blocks)
            if not page.text:
                (empty if shown else hidden).append(number)
            yield page
    if hidden:
        source.warnings.append(f"Hidden, and therefore left out: {numbered('slide', hidden)}.")
    if empty:
        source.warnings.append(f"No text was found on {numbered('slide', empty)}.")


def _slides(source: Source, archive: zipfile.ZipFile) -> Iterator[str]:
    """The slides' parts in the order in which they are shown, each once."""
    parts = relationships(source, archive, _PRESENTATION)
    targets: dict[str, None] = {}
    for slide in parse_part(source, archive, _PRESENTATION).iterfind("{*}sldIdLst/{*}sldId"):
        reference = next((value for key, value in slide.attrib.items() if local(key) == "id" and "}" in key), "")
        if reference not in parts:
            raise source.damaged("one of its slides is missing")
        targets[parts[reference].target] = None
    yield from targets


def _counted(source: Source, pieces: Iterable[Piece], characters: int) -> Iterator[Piece]:
    """Pieces, until the document with its characters so far holds more than it may."""
    for piece in pieces:
        characters += len(piece.text)
        source.check_characters(characters)
        yield piece


def _slide_pieces(source: Source, archive: zipfile.ZipFile, part: str, slide: Element, read: set[str]) -> Iterator[Piece]:
    """A slide's blocks, with those of its diagrams and notes. Adds the parts of these to `read`, and skips what is there."""
    shapes = list(_shapes(slide))
    for shape in sorted(shapes, key=lambda shape: _placeholder(shape) not in _TITLES):
        yield from _shape_pieces(shape)
    for related in relationships(source, archive, part).values():
        if related.kind not in _READ_ALONG or related.target in read or related.target not in archive.namelist():
            continue
        read.add(related.target)
        if related.kind == "diagramData":
            yield from _diagram_pieces(parse_part(source, archive, related.target))
        else:
            for shape in _shapes(parse_part(source, archive, related.target)):
                if _placeholder(shape) in _BODIES:
                    yield from (Piece(BlockKind.PARAGRAPH, text) for _, text in _paragraphs(shape))


def _shapes(slide: Element) -> Iterator[Element]:
    """Text boxes, placeholders and tables, out of their groups; of what is written twice for older programs the newer."""
    stack = [slide]
    while stack:
        node = stack.pop()
        if local(node.tag) in ("sp", "tbl"):
            yield node
        elif local(node.tag) != "Fallback":
            stack.extend(reversed(node))


def _placeholder(shape: Element) -> str:
    """The kind of a placeholder; empty for a text box or a table."""
    found = shape.find("{*}nvSpPr/{*}nvPr/{*}ph")
    return "" if found is None else found.get("type", "obj")


def _shape_pieces(shape: Element) -> Iterator[Piece]:
    kind = _placeholder(shape)
    if local(shape.tag) == "tbl":
        yield from table_pieces(_grid(shape))
    elif kind in _TITLES:
        yield Piece(BlockKind.HEADING, clean(" ".join(text for _, text in _paragraphs(shape))), level=1)
    elif kind not in _FURNITURE:
        yield from _text_pieces(list(_paragraphs(shape)), is_body=kind in _BODIES)


def _text_pieces(paragraphs: list[tuple[Element | None, str]], *, is_body: bool) -> Iterator[Piece]:
    """Paragraphs, or list items: what has a bullet or number, and several paragraphs in a slide's body."""
    number = 0
    for properties, text in paragraphs:
        counted = _has(properties, "buAutoNum")
        number = number + 1 if counted else 0
        marker, rest = split_marker(text)
        if counted:
            yield Piece(BlockKind.LIST_ITEM, list_item(rest, f"{number}."))
        elif marker or _has(properties, "buChar") or (is_body and len(paragraphs) > 1 and not _has(properties, "buNone")):
            yield Piece(BlockKind.LIST_ITEM, list_item(rest, marker or "-"))
        else:
            yield Piece(BlockKind.PARAGRAPH, text)


def _paragraphs(shape: Element) -> Iterator[tuple[Element | None, str]]:
    """Properties and text of each paragraph that has text."""
    for paragraph in shape.iterfind("{*}txBody/{*}p"):
        text = clean_lines(_text(paragraph))
        if text:
            yield paragraph.find("{*}pPr"), text


def _has(properties: Element | None, name: str) -> bool:
    return properties is not None and properties.find(f"{{*}}{name}") is not None


def _text(element: Element) -> str:
    parts: list[str] = []
    for node in element.iter():
        name = local(node.tag)
        if name == "t":
            parts.append(node.text or "")
        elif name in ("br", "p"):
            parts.append("\n")
    return "".join(parts)


def _diagram_pieces(diagram: Element) -> Iterator[Piece]:
    """The texts of a diagram (SmartArt)."""
    for point in diagram.iterfind("{*}ptLst/{*}pt"):
        text = clean(_text(point))
        if text:
            yield Piece(BlockKind.LIST_ITEM, list_item(split_marker(text)[1]))


def _grid(table: Element) -> Iterator[list[str]]:
    """Each row's texts, one for each column: wide cells are followed by empty ones, tall ones repeated."""
    above: list[str] = []
    for row in table.iterfind("{*}tr"):
        cells: list[str] = []
        for at, cell in enumerate(row.iterfind("{*}tc")):
            reaches_down = cell.get("vMerge") in ("1", "true") and at < len(above) and len(above[at]) <= _MAX_REPEATED
            cells.append(above[at] if reaches_down else clean(_text(cell)))
        yield cells
        above = cells
