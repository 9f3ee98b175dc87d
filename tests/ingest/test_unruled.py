"""Tables without drawn lines, and words that go on over a page's end."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pymupdf
import pytest

from engine.domain import BlockKind, Page
from engine.ingest import place_of, read_document

MakePdf = Callable[..., Path]
ROWS = (
    ("Delivery", "Time", "Price"),
    ("Standard", "3 to 5 working days", "4.90"),
    ("Express", "next working day", "12.50"),
    ("Pick-up point", "2 to 4 working days", "2.90"),
)
AT = (72.0, 222.0, 372.0)


def marks(rows: Sequence[Sequence[str]], *, top: float = 150, step: float = 16) -> list[tuple[tuple[float, float], str, float]]:
    return [((AT[at], top + step * n), cell, 10) for n, row in enumerate(rows) for at, cell in enumerate(row) if cell]


def rows_of(page: Page) -> list[str]:
    return [page.text[block.start : block.end] for block in page.blocks if block.kind is BlockKind.TABLE_ROW]


class TestAligned:
    def test_rows_with_a_header(self, make_pdf: MakePdf) -> None:
        text = [((72, 100), "The table shows how long each kind of delivery takes and what it costs.", 10)]
        page = read_document(make_pdf([text + marks(ROWS)])).pages[0]
        assert rows_of(page) == [
            "Delivery: Standard; Time: 3 to 5 working days; Price: 4.90",
            "Delivery: Express; Time: next working day; Price: 12.50",
            "Delivery: Pick-up point; Time: 2 to 4 working days; Price: 2.90",
        ]

    def test_rows_have_their_place(self, make_pdf: MakePdf) -> None:
        page = read_document(make_pdf([marks(ROWS)])).pages[0]
        place = place_of(page, "Time: next working day")
        assert place is not None
        ((left, top, right, bottom),) = place.boxes
        assert 70 < left < 74
        assert top < 180 < bottom < 190
        assert 390 < right < 420

    def test_empty_cells(self, make_pdf: MakePdf) -> None:
        page = read_document(make_pdf([marks([*ROWS, ("Island", "", "19.00")])])).pages[0]
        assert rows_of(page)[-1] == "Delivery: Island; Price: 19.00"

    def test_a_row_that_goes_on_in_the_next_line_is_not_guessed_at(self, make_pdf: MakePdf) -> None:
        page = read_document(make_pdf([marks([*ROWS, ("", "and Saturdays", "")], step=12)])).pages[0]
        assert rows_of(page) == []

    @pytest.mark.parametrize("columns", [2, 3])
    def test_columns_of_text_are_no_table(self, make_pdf: MakePdf, columns: int) -> None:
        words = re.findall(r"\w+", "Parcels are handed over to neighbours only when you allow it in your account here")
        width = 220 if columns == 2 else 140
        page = []
        for column in range(columns):
            for line in range(12):
                text = " ".join(words[(line + column + at) % len(words)] for at in range(7 if columns == 2 else 4))
                page.append(((72 + width * column, 100 + 12 * line), text, 10 if columns == 2 else 9))
        assert rows_of(read_document(make_pdf([page])).pages[0]) == []

    def test_three_filled_columns_of_text_are_no_table(self, tmp_path: Path) -> None:
        text = "Parcels are handed over to a neighbour only when you allow it. The carrier tries it 2 times. " * 4
        with pymupdf.open() as document:
            page = document.new_page()
            for column in range(3):
                page.insert_textbox(pymupdf.Rect(60 + 160 * column, 100, 205 + 160 * column, 700), text, fontsize=9)
            document.save(tmp_path / "a.pdf")
        assert rows_of(read_document(tmp_path / "a.pdf").pages[0]) == []

    def test_two_rows_are_no_table(self, make_pdf: MakePdf) -> None:
        assert rows_of(read_document(make_pdf([marks(ROWS[:2])])).pages[0]) == []

    def test_the_sample_has_none(self, sample_pdf: Path) -> None:
        assert [len(rows_of(page)) for page in read_document(sample_pdf).pages] == [0, 4, 0, 0]


class TestOverPages:
    def pages(self, make_pdf: MakePdf, last: str, first: str) -> list[str]:
        filler = "Parcels that arrive damaged are replaced when a photograph is sent."
        one = [((72, 300), filler, 10), ((72, 312), last, 10)]
        two = [((72, 300), first, 10), ((72, 312), filler, 10)]
        return [page.text for page in read_document(make_pdf([one, two])).pages]

    def test_a_broken_word_is_joined_on_the_first_page(self, make_pdf: MakePdf) -> None:
        first, second = self.pages(make_pdf, "The heating element is guaran-", "teed, for eight years.")
        assert first.endswith("The heating element is guaranteed,")
        assert second.startswith("for eight years.")

    def test_a_word_alone_on_its_line(self, make_pdf: MakePdf) -> None:
        first, second = self.pages(make_pdf, "The heating element is guaran-", "teed.")
        assert first.endswith("is guaranteed.")
        assert second.startswith("Parcels")

    @pytest.mark.parametrize(("last", "first"), [("We sell tea-", "Kettles and more."), ("The end.", "now it begins.")])
    def test_nothing_else_moves(self, make_pdf: MakePdf, last: str, first: str) -> None:
        one, two = self.pages(make_pdf, last, first)
        assert one.endswith(last)
        assert two.startswith(first)
