"""What MuPDF finds in a file, with its errors translated.

MuPDF may be used by one thread of a process at a time. The lock is taken for each page rather than for each document, so
that a long document does not keep a short one waiting.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypedDict

from engine.domain import BoundingBox
from engine.errors import DocumentError
from engine.ingest.pdf.alignment import aligned_tables
from engine.ingest.pdf.layout import Element, Line, PageLayout, Table
from engine.ingest.pdf.rendering import marked_picture, render
from engine.ingest.pdf.streams import check_streams
from engine.ingest.source import Source
from engine.ingest.tables import table_pieces
from engine.ingest.text import clean

if TYPE_CHECKING:
    import pymupdf

_LOCK = threading.Lock()
_MAX_TABLE_PATHS = 2000
"""A page with more drawn paths is a map or a chart; looking for tables in it could take minutes."""
_MAX_TABLE_CHARACTERS = 20_000
"""On a page with more text drawn tables are not looked for: MuPDF takes a second for so much of it, and four times as long for
twice as much. A dense page of a newspaper has 15,000."""
_MANY_SHAPES = 100
"""A page with no text and more drawn paths than this may have its letters drawn as shapes."""
_BOLD = 16
"""Bit of a span's flags (PyMuPDF: TEXT_FONT_BOLD)."""
_END_OF_FILE = b"%%EOF"
_TAIL_BYTES = 4096


_Drawn = tuple[str, BoundingBox]
"""What was drawn, and where."""
_Word = tuple[float, float, float, float, str, int, int, int]
"""Box, text, and the numbers of block, line and word."""


class _Span(TypedDict):
    text: str
    size: float
    flags: int


class _RawLine(TypedDict):
    spans: list[_Span]
    dir: tuple[float, float]
    bbox: BoundingBox


class PdfFile:
    """An open PDF. Safe to use from any thread."""

    def __init__(self, source: Source, *, checked: bool = False) -> None:
        """Open a file. With `checked` its streams are known to be no bombs.

        Raises:
            DocumentError: it is encrypted, damaged, cut off, has no pages or too many.
        """
        self._source = source
        with _translated(source):
            self._document = _open(source)
        try:
            self.page_count = self._check(streams=not checked)
        except DocumentError:
            self.close()
            raise

    def _check(self, *, streams: bool) -> int:
        source = self._source
        with _translated(source):
            if self._document.needs_pass:
                raise DocumentError(
                    f"{source.name} is protected by a password.", hint="Save a copy without a password and add that."
                )
            if not self._document.is_pdf:
                raise source.damaged("it is not a PDF inside")
            if self._document.is_repaired and _is_cut_off(source):
                raise source.damaged("its end is missing (a download that was cut off?)")
            if self._document.is_repaired:
                source.warnings.append("The file was damaged and has been repaired; parts of it may be missing.")
            count = int(self._document.page_count)
            source.check_page_count(count)
            if streams:
                check_streams(source, self._document)
        if count == 0:
            raise DocumentError(f"{source.name} has no pages.", hint="Check that the right file was chosen.")
        return count

    def outline(self) -> list[tuple[int, str, int]]:
        """The bookmarks: level from 1, title, page number from 1."""
        with _translated(self._source):
            return [(level, clean(title), page) for level, title, page, *_ in self._document.get_toc(simple=True)]

    def layout(self, number: int) -> PageLayout:
        """What is on a page, counted from 1."""
        with _translated(self._source):
            return _read_page(_upright(self._document[number - 1]), number)

    def scan(self, number: int, dpi: int) -> tuple[bytes, float]:
        """A page as a grey PNM picture for text recognition, and its pixels to a point.

        Raises:
            DocumentError: a picture on it is too large.
        """
        with _translated(self._source):
            page = _upright(self._document[number - 1])
            picture = render(self._source, page, dpi / 72, gray=True)
            return bytes(picture.tobytes("pnm")), picture.width / max(1.0, float(page.rect.width))

    def picture(self, number: int, boxes: Sequence[BoundingBox], *, width: int) -> bytes:
        """A page, counted from 1, as a PNG picture on which `boxes` are marked.

        Raises:
            DocumentError: there is no such page, or a picture on it is too large.
        """
        with _translated(self._source):
            if not 1 <= number <= self.page_count:
                raise DocumentError(f"{self._source.name} has no page {number}.", hint=f"It has {self.page_count:,} pages.")
            return marked_picture(self._source, self._document[number - 1], boxes, width)

    def close(self) -> None:
        """Give back the file."""
        with _LOCK:
            self._document.close()


@contextmanager
def _translated(source: Source) -> Iterator[None]:
    """Hold the lock, and turn what PyMuPDF raises into DocumentError."""
    import pymupdf

    with _LOCK:
        try:
            yield
        except DocumentError:
            raise
        except (pymupdf.mupdf.FzErrorBase, RuntimeError, ValueError, TypeError, LookupError, AttributeError) as exc:
            raise source.damaged("its pages cannot be read") from exc


def _open(source: Source) -> pymupdf.Document:
    import pymupdf

    pymupdf.TOOLS.mupdf_display_errors(False)
    pymupdf.TOOLS.mupdf_display_warnings(False)
    return pymupdf.open(str(source.path), filetype="pdf")


def _is_cut_off(source: Source) -> bool:
    with source.path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        return _END_OF_FILE not in file.read()


def _read_page(page: pymupdf.Page, number: int) -> PageLayout:
    lines = list(_lines(page))
    drawn: list[_Drawn] = page.get_bboxlog()
    characters = sum(len(line.text) for line in lines)
    tables = _tables(page) if 0 < characters <= _MAX_TABLE_CHARACTERS and _may_hold_tables(drawn) else []
    free = [line for line in lines if not any(_is_inside(line.bbox, table.bbox) for table in tables)]
    for table, cells in aligned_tables(free):
        tables.append(table)
        free = [line for line in free if id(line) not in cells]
    elements: list[Element] = [*free, *tables]
    width, height = float(page.rect.width), float(page.rect.height)
    return PageLayout(number, width, height, tuple(elements), _pictured(drawn, width, height))


def _pictured(drawn: Sequence[_Drawn], width: float, height: float) -> float:
    """The share of the page under pictures; 1 where so many shapes are drawn that they may be letters."""
    covered, shapes = 0.0, 0
    for kind, (left, top, right, bottom) in drawn:
        if kind.startswith("fill-im"):
            covered += max(0.0, min(right, width) - max(left, 0.0)) * max(0.0, min(bottom, height) - max(top, 0.0))
        shapes += kind.endswith("-path")
    return 1.0 if shapes > _MANY_SHAPES else min(1.0, covered / max(1.0, width * height))


def _upright(page: pymupdf.Page) -> pymupdf.Page:
    """The page as it is seen: MuPDF gives the places of text as they are before the page is turned. The file stays as it is."""
    if page.rotation:
        page.remove_rotation()
    return page


def _lines(page: pymupdf.Page) -> Iterator[Line]:
    """The page's lines that run in its main direction (not the stamp up the margin), each once."""
    import pymupdf

    flags = pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_MEDIABOX_CLIP
    blocks = page.get_text("dict", flags=flags)["blocks"]
    raw: list[tuple[int, _RawLine]] = [(at, line) for at, block in enumerate(blocks) for line in block.get("lines", ())]
    directions = Counter[tuple[int, int]]()
    for _, line in raw:
        directions[_direction(line)] += sum(len(span["text"]) for span in line["spans"])
    main = directions.most_common(1)[0][0] if directions else (1, 0)
    seen: set[tuple[str, int, int]] = set()
    for at, line in raw:
        read = _line(line, at)
        # Some programs draw bold text twice, a hair apart.
        place = (read.text, round(read.bbox[0] / 3), round(read.bbox[1] / 3))
        if read.text and _direction(line) == main and place not in seen:
            seen.add(place)
            yield read


def _direction(line: _RawLine) -> tuple[int, int]:
    return round(line["dir"][0]), round(line["dir"][1])


def _line(line: _RawLine, block: int) -> Line:
    spans = [span for span in line["spans"] if span["text"].strip()]
    longest = max(spans, key=lambda span: len(span["text"]), default=None)
    bold = bool(spans) and all(span["flags"] & _BOLD for span in spans)
    text = clean("".join(span["text"] for span in line["spans"]).replace("\u00ad", "-"))
    return Line(text, line["bbox"], round(longest["size"] * 2) / 2 if longest else 0.0, bold, block)


def _may_hold_tables(drawn: Sequence[_Drawn]) -> bool:
    """Whether lines or boxes are drawn, but not so many that they are a drawing."""
    paths = [box for kind, box in drawn if kind.endswith("-path")]
    return len(paths) <= _MAX_TABLE_PATHS and any(max(box[2] - box[0], box[3] - box[1]) > 30 for box in paths)


def _tables(page: pymupdf.Page) -> list[Table]:
    import pymupdf

    try:
        found = page.find_tables(use_layout=False).tables
        words: list[_Word] = page.get_text("words") if found else []
        return [table for raw in found if (table := _table(raw, words)) is not None]
    except (pymupdf.mupdf.FzErrorBase, RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        return []  # the words are still read, as lines


def _table(raw: pymupdf.table.Table, words: list[_Word]) -> Table | None:
    """A table, or None for a frame around text: that has one column or row."""
    cells = [[_cell_text(box, words) for box in row.cells] for row in raw.rows]
    filled = [(row, found) for row, found in zip(raw.rows, cells, strict=True) if any(found)]
    columns = {at for row in cells for at, cell in enumerate(row) if cell}
    if len(filled) < 2 or len(columns) < 2:
        return None
    kept = [[row[at] for at in sorted(columns)] for _, row in filled]
    texts = [piece.text for piece in table_pieces(kept)]
    boxes = [tuple(map(float, row.bbox)) for row, _ in filled[-len(texts) :]]
    left, top, right, bottom = map(float, raw.bbox)
    return Table((left, top, right, bottom), tuple(zip(texts, boxes, strict=True)))  # type: ignore[arg-type]


def _cell_text(box: BoundingBox | None, words: list[_Word]) -> str:
    """The words in a cell; `Table.extract` would lose the spaces between them. A cell merged into another is empty."""
    return clean(" ".join(word[4] for word in words if box is not None and _is_inside(word[:4], box)))


def _is_inside(inner: BoundingBox, outer: BoundingBox) -> bool:
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]
