"""Workbooks (XLSX): each sheet is a section, each row a block.

Sheets are read as they stream by, since a small file may hold millions of cells. Formulas are not run: the value that the
program which saved the file has computed is taken.
"""

from __future__ import annotations

import itertools
import math
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.domain import BlockKind, Page
from engine.errors import DocumentError
from engine.ingest.archive import open_archive, refuse_document_types
from engine.ingest.number_formats import BUILT_IN, shown_number
from engine.ingest.source import Source
from engine.ingest.structure import Piece, paginate
from engine.ingest.tables import names_columns, table_pieces
from engine.ingest.text import clean, clean_lines
from engine.ingest.xml_parts import Relationship, local, parse_part, relationships, stream_part

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_WORKBOOK = "xl/workbook.xml"
_MAX_COLUMNS = 256
"""A row that a person reads has no more; the format allows 16,384, and one cell out there would make each row that long."""
_MAX_CELL = 32_767
"""Characters, by ECMA-376."""
_MAX_SHARED_TEXTS = 2_000_000
_INDEX_DIGITS = 9
"""More than enough for what a workbook can hold, and few enough to be turned into a number at once."""
_REFERENCE = re.compile(r"([A-Z]{1,3})\d*")
_UNNAMED = re.compile(r"(?:sheet|tabelle|feuil|hoja|foglio|blad|arkusz|planilha|лист)\s?\d+", re.IGNORECASE)
"""What programs call a sheet that nobody named."""


@dataclass(slots=True)
class _Book:
    """What a workbook's cells refer to: shared texts, and the format code of each style."""

    texts: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    from_1904: bool = False

    def shown(self, kind: str, style: str, value: str) -> str:
        """A cell's text, from its type, its style and what is stored."""
        if kind == "s":
            return _numbered(self.texts, value)
        if kind == "b":
            return "yes" if value.strip() == "1" else "no"
        if kind == "e":
            return ""
        if kind in ("", "n"):
            try:
                number = float(value)
            except ValueError:
                return value
            if math.isfinite(number):
                return shown_number(number, _numbered(self.codes, style), from_1904=self.from_1904)
        return value


def _numbered(items: Sequence[str], number: str) -> str:
    """The item of a number, counted from 0; empty where there is none."""
    digits = number.lstrip("0") or "0"
    known = number.isdecimal() and len(digits) <= _INDEX_DIGITS and int(digits) < len(items)
    return items[int(digits)] if known else ""


def load_xlsx(source: Source) -> Iterator[Page]:
    """Pages of a workbook: one or more for each sheet; each row reads `column: value; column: value`."""
    with open_archive(source) as archive:
        refuse_document_types(source, archive)
        yield from paginate(source, _pieces(source, archive))


def _pieces(source: Source, archive: zipfile.ZipFile) -> Iterator[Piece]:
    workbook = parse_part(source, archive, _WORKBOOK)
    parts = relationships(source, archive, _WORKBOOK)
    by_kind = {part.kind: part.target for part in parts.values()}
    properties = workbook.find("{*}workbookPr")
    book = _Book(
        _shared_texts(source, archive, by_kind.get("sharedStrings", "")),
        list(_format_codes(source, archive, by_kind.get("styles", ""))),
        properties is not None and properties.get("date1904", "") in ("1", "true"),
    )
    characters = 0
    for title, target in _sheets(source, workbook, parts):
        for piece in _sheet_pieces(title, _rows(source, archive, target, book)):
            characters += len(piece.text)
            source.check_characters(characters)
            yield piece


def _sheets(source: Source, workbook: Element, parts: Mapping[str, Relationship]) -> Iterator[tuple[str, str]]:
    """Title (empty where nobody gave one) and part, once, of each sheet that is shown; charts have no cells."""
    read: set[str] = set()
    sheets = workbook.findall("{*}sheets/{*}sheet")
    for sheet in sheets:
        name = clean(sheet.get("name", ""))
        part = parts.get(next((value for key, value in sheet.attrib.items() if local(key) == "id" and "}" in key), ""))
        if part is None:
            raise source.damaged(f"its sheet {name!r} is missing")
        if sheet.get("state", "visible") != "visible":
            source.warnings.append(f"The hidden sheet “{name}” was left out.")
        elif part.kind == "worksheet" and part.target not in read:
            read.add(part.target)
            yield ("" if len(sheets) == 1 and _UNNAMED.fullmatch(name) else name), part.target


def _sheet_pieces(title: str, rows: Iterator[list[str]]) -> Iterator[Piece]:
    """The sheet's name, what stands alone above the table, and the table."""
    filled = (row for row in rows if any(cell.strip() for cell in row))
    heading = [Piece(BlockKind.HEADING, title, level=1)] if title else []
    for row in filled:
        yield from heading
        heading = []
        cells = [cell for cell in row if cell.strip()]
        if len(cells) > 1:
            yield from table_pieces(itertools.chain([row], filled), has_header=names_columns(cells))
        else:
            yield Piece(BlockKind.PARAGRAPH, clean_lines(cells[0]))


def _rows(source: Source, archive: zipfile.ZipFile, part: str, book: _Book) -> Iterator[list[str]]:
    reader = _SheetReader(book)
    for _ in stream_part(source, archive, part, reader):
        yield from reader.rows
        reader.rows.clear()
    if reader.too_wide:
        source.warnings.append(f"Only the first {_MAX_COLUMNS} columns of a sheet were read.")


def _shared_texts(source: Source, archive: zipfile.ZipFile, part: str) -> list[str]:
    reader = _SharedReader()
    characters = 0
    if part in archive.namelist():
        for _ in stream_part(source, archive, part, reader):
            characters += reader.take_count()
            source.check_characters(characters)
            if len(reader.texts) > _MAX_SHARED_TEXTS:
                raise DocumentError(f"{source.name} holds too many texts.", hint="Split the workbook.")
    return reader.texts


def _format_codes(source: Source, archive: zipfile.ZipFile, part: str) -> Iterator[str]:
    """The format code of each cell style, in order."""
    if part not in archive.namelist():
        return
    styles = parse_part(source, archive, part)
    own = {item.get("numFmtId", ""): item.get("formatCode", "") for item in styles.iterfind("{*}numFmts/{*}numFmt")}
    known = {str(number): code for number, code in BUILT_IN.items()} | own
    for style in styles.iterfind("{*}cellXfs/{*}xf"):
        yield known.get(style.get("numFmtId", ""), "")


class _TextReader:
    """Collects the text of an element, up to the length that a cell may have."""

    def __init__(self) -> None:
        self._listening = False
        self._parts: list[str] = []
        self._room = _MAX_CELL

    def data(self, text: str) -> None:
        if self._listening and self._room > 0:
            self._parts.append(text[: self._room])
            self._room -= len(text)

    def _take(self) -> str:
        text = "".join(self._parts)
        self._parts, self._room = [], _MAX_CELL
        return text


class _SharedReader(_TextReader):
    """Hears the table of texts that cells share."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._in_reading_aid = False
        self._characters = 0

    def start(self, tag: str, _: dict[str, str]) -> None:
        name = local(tag)
        self._in_reading_aid = self._in_reading_aid or name == "rPh"
        self._listening = name == "t" and not self._in_reading_aid

    def end(self, tag: str) -> None:
        name = local(tag)
        self._listening = False
        if name == "rPh":
            self._in_reading_aid = False
        elif name == "si":
            self.texts.append(self._take())
            self._characters += len(self.texts[-1])

    def take_count(self) -> int:
        """How many characters have come since the last call."""
        count, self._characters = self._characters, 0
        return count


class _SheetReader(_TextReader):
    """Hears a sheet; complete rows wait in `rows`."""

    def __init__(self, book: _Book) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.too_wide = False
        self._book = book
        self._cells: dict[int, str] = {}
        self._column = -1
        self._kind = ""
        self._style = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = local(tag)
        self._listening = name in ("v", "t")
        if name == "row":
            self._cells, self._column = {}, -1
        elif name == "c":
            self._column = _column(attributes.get("r", ""), self._column + 1)
            self._kind, self._style = attributes.get("t", ""), attributes.get("s", "0")

    def end(self, tag: str) -> None:
        name = local(tag)
        self._listening = False
        if name == "c":
            self._end_cell(self._take())
        elif name == "row" and self._cells:
            self.rows.append([self._cells.get(at, "") for at in range(max(self._cells) + 1)])
            self._cells = {}

    def _end_cell(self, value: str) -> None:
        if not value:
            return
        if self._column < _MAX_COLUMNS:
            self._cells[self._column] = self._book.shown(self._kind, self._style, value)
        else:
            self.too_wide = True


def _column(reference: str, following: int) -> int:
    """The column of a cell, from 0; cells that do not say stand beside the one before."""
    match = _REFERENCE.match(reference)
    if match is None:
        return following
    column = 0
    for letter in match[1]:
        column = 26 * column + ord(letter) - ord("A") + 1
    return column - 1
