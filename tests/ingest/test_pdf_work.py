"""How much work pages take that are made to take much."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pymupdf
import pytest

from engine.ingest import read_document
from engine.ingest.pdf import alignment
from engine.ingest.pdf.layout import Element, Line
from engine.ingest.pdf.order import reading_order
from engine.ingest.pdf.paragraphs import carry_over
from engine.ingest.pdf.style import DocumentStyle

STYLE = DocumentStyle(10.0, {}, 0, {}, frozenset())
ROWS = 400
READ_ON = "go on and on and on"


def line(text: str, left: float, row: int, width: float = 50) -> Line:
    return Line(text, (left, 12.0 * row, left + width, 12.0 * row + 10), 10.0, bold=False, block=0)


def test_a_line_without_a_break_is_not_searched_from_each_of_its_letters() -> None:
    above: list[Element] = [line("a" * 2_000_000, 0, 0)]
    below: list[Element] = [line("word after", 0, 0)]
    carry_over(above, below, STYLE, 1)
    assert below == [line("word after", 0, 0)]


def test_a_broken_word_is_found_at_the_end_of_a_long_line() -> None:
    above: list[Element] = [line("word " * 1000 + "guaran-", 0, 0)]
    below: list[Element] = [line("teed for years", 0, 0)]
    carry_over(above, below, STYLE, 1)
    assert isinstance(above[0], Line)
    assert above[0].text.endswith("word guaranteed")
    assert isinstance(below[0], Line)
    assert below[0].text == "for years"


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each search for a table has looked at."""
    counts: list[int] = []
    follow = alignment._follow

    def counting(rows: Sequence[list[Line]], start: int) -> list[dict[int, Line]]:
        run = follow(rows, start)
        counts.append(len(run) + 1)
        return run

    monkeypatch.setattr(alignment, "_follow", counting)
    return counts


@pytest.mark.parametrize(
    "case", ["running text", "filled columns", "ragged columns", "missing cells", "a short run at every other row"]
)
def test_rows_that_are_no_table_are_not_followed_from_each_of_them(followed: list[int], case: str) -> None:
    rows = []
    for row in range(ROWS):
        shift = 20.0 * (row % 3) if case == "ragged columns" else 0.0
        width = 90.0 if case == "filled columns" else 50.0
        text = READ_ON if case == "running text" else "Cell"
        columns = 2 if case == "missing cells" and row % 2 else 3
        rows += [line(text, 100.0 * column + shift * (column > 0), row, width) for column in range(columns)]
        if case == "a short run at every other row" and row % 2:
            rows.append(line("Cell", 300.0, row, width))
    assert not alignment.aligned_tables(rows)
    assert sum(followed) < 25 * ROWS


def test_a_table_below_rows_that_are_none_is_still_found() -> None:
    rows = [line(READ_ON, 100.0 * column, row, 90) for row in range(15) for column in range(3)]
    rows += [line(f"Cell {row}", 100.0 * column, row, 30) for row in range(15, 27) for column in range(3)]
    tables = alignment.aligned_tables(rows)
    assert len(tables) == 1


@pytest.mark.parametrize(("lines", "searched"), [(40, True), (400, False)])
def test_drawn_tables_are_not_looked_for_among_very_much_text(
    make_pdf: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, lines: int, searched: bool
) -> None:
    page = [((72.0, 60 + 700 * n / lines), "word " * 11 + f"end {n}", 1.5) for n in range(lines)]
    path = make_pdf([page])
    with pymupdf.open(path) as document:
        document[0].draw_rect(pymupdf.Rect(60, 40, 500, 780))
        document.saveIncr()
    searches: list[pymupdf.Page] = []
    find = pymupdf.Page.find_tables

    def finding(page: pymupdf.Page, **options: bool) -> object:
        searches.append(page)
        return find(page, **options)

    monkeypatch.setattr(pymupdf.Page, "find_tables", finding)
    assert read_document(path).pages[0].text.count("end") == lines
    assert bool(searches) is searched


def test_each_line_is_looked_at_a_few_times_where_all_look_like_headings() -> None:
    class Watched(Line):
        __slots__ = ()

        def __getattribute__(self, name: str) -> object:
            if name == "bbox":
                looks.append(1)
            return super().__getattribute__(name)

    looks: list[int] = []
    places = [(60.0, 0.0)] + [(0.0, 12.0 * row) for row in range(ROWS)]
    lines = [Watched("word", (left, top, left + 50, top + 10), 10.0, bold=False, block=0) for left, top in places]
    assert len(reading_order(lines, lambda _: True)) == len(lines)
    assert len(looks) < 40 * len(lines)
