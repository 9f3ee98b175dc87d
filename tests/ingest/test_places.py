"""Where quotes stand: offsets in the page's text, and the lines that are drawn for them."""

from pathlib import Path

import pymupdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain import Block, BlockKind, BoundingBox, LineBox, Page
from engine.ingest import LoadedDocument, place_of, read_document
from engine.ingest.pdf.layout import Line
from engine.ingest.pdf.paragraphs import page_pieces
from engine.ingest.pdf.style import DocumentStyle
from engine.ingest.structure import HeadingTrail, build_page


@pytest.fixture(scope="module")
def handbook(sample_pdf: Path) -> LoadedDocument:
    return read_document(sample_pdf)


def lines_of(page: Page, start: int, end: int) -> list[LineBox]:
    return [line for block in page.blocks for line in block.lines if line.start < end and start < line.end]


class TestLines:
    def test_lines_are_slices_of_their_block(self, handbook: LoadedDocument) -> None:
        for page in handbook.pages:
            for block in page.blocks:
                assert block.lines
                assert block.lines[0].start == block.start
                assert block.lines[-1].end == block.end
                assert all(above.end <= below.start for above, below in zip(block.lines, block.lines[1:], strict=False))
                between = "".join(page.text[a.end : b.start] for a, b in zip(block.lines, block.lines[1:], strict=False))
                assert not between.strip()

    def test_each_line_is_drawn_where_its_box_is(self, handbook: LoadedDocument, sample_pdf: Path) -> None:
        with pymupdf.open(sample_pdf) as document:
            for page in handbook.pages:
                for block in page.blocks:
                    if block.kind is BlockKind.TABLE_ROW:
                        continue
                    for line in block.lines:
                        drawn = document[page.number - 1].get_textbox(pymupdf.Rect(line.box)).replace("•", "-")
                        text = page.text[line.start : line.end]
                        assert " ".join(text.split()) in " ".join(drawn.split())

    def test_pages_have_their_size(self, handbook: LoadedDocument) -> None:
        assert {(round(page.width or 0), round(page.height or 0)) for page in handbook.pages} == {(595, 842)}

    def test_formats_without_positions_have_none(self, sample_docx: Path) -> None:
        page = read_document(sample_docx).pages[0]
        assert page.width is None
        assert all(not block.lines for block in page.blocks)

    def test_hyphenated_word_is_on_both_its_lines(self, make_pdf) -> None:
        marks = [((72, 100), "The heating element is guaran-", 11), ((72, 114), "teed for eight years by the maker.", 11)]
        page = read_document(make_pdf([marks])).pages[0]
        place = place_of(page, "guaranteed for eight")
        assert place is not None
        assert [round(box[1] / 14) for box in place.boxes] == [6, 7]

    def test_a_part_of_a_line_is_drawn_without_its_neighbours(self, make_pdf) -> None:
        text = "The shop opens at nine. Returns are free of charge. Nobody works on Sundays."
        path = make_pdf([[((72, 100), text, 11)]])
        place = place_of(read_document(path).pages[0], "Returns are free of charge.")
        assert place is not None
        with pymupdf.open(path) as document:
            ((left, _, right, _),) = place.boxes
            words = document[0].get_text("words")
            inside = " ".join(word[4] for word in words if left <= (word[0] + word[2]) / 2 <= right)
        assert inside == "Returns are free of charge."

    def test_a_part_of_a_line_from_right_to_left_is_drawn_with_the_line(self) -> None:
        text = "שלום לכם. להתראות."
        line = LineBox(0, len(text), (10, 10, 200, 20))
        page = Page(1, text, (Block(BlockKind.PARAGRAPH, 0, len(text), (), None, (line,)),))
        place = place_of(page, "להתראות.")
        assert place is not None
        assert place.boxes == (line.box,)

    def test_rotated_page(self, tmp_path: Path) -> None:
        with pymupdf.open() as document:
            page = document.new_page(width=400, height=600)
            page.set_rotation(90)
            for at, text in ((100, "Delivery takes 3 days."), (130, "Returns are free.")):
                page.insert_text(pymupdf.Point(50, at) * page.derotation_matrix, text, rotate=90)
            document.save(tmp_path / "a.pdf")
        found = read_document(tmp_path / "a.pdf").pages[0]
        assert (found.width, found.height) == (600, 400)
        assert found.text.split("\n")[0].startswith("Delivery takes 3 days.")
        place = place_of(found, "Returns are free.")
        assert place is not None
        left, top, right, bottom = place.boxes[0]
        assert 48 < left < 52
        assert top < 130 < bottom
        assert right < 200


class TestPlaceOf:
    PAGE = Page(1, "Call us. Pay now. Call us. Pay now.")

    @pytest.mark.parametrize(("near", "start"), [(0, 0), (5, 0), (17, 18), (18, 18), (30, 18)])
    def test_the_nearest_occurrence(self, near: int, start: int) -> None:
        place = place_of(self.PAGE, "Call us.", near=near)
        assert place is not None
        assert (place.start, place.end) == (start, start + 8)

    def test_the_nearest_occurrence_up_to_white_space(self) -> None:
        page = Page(1, "Pay  now. Call us. Pay  now.")
        place = place_of(page, "Pay now.", near=15)
        assert place is not None
        assert place.start == 19

    @pytest.mark.parametrize("quote", ["", "   ", "Nobody said this.", "call us"])
    def test_not_there(self, quote: str) -> None:
        assert place_of(self.PAGE, quote) is None

    def test_blocks_without_lines_give_their_box(self) -> None:
        page = Page(1, "One.\nTwo.", (Block(BlockKind.PARAGRAPH, 0, 4, (), (1, 2, 3, 4)), Block(BlockKind.PARAGRAPH, 5, 9)))
        place = place_of(page, "One. Two.")
        assert place is not None
        assert place.boxes == ((1, 2, 3, 4),)

    @pytest.mark.parametrize("near", [-5, 10_000])
    def test_near_may_be_outside_the_page(self, near: int) -> None:
        assert place_of(self.PAGE, "Call us.", near=near) is not None

    @given(st.data())
    def test_every_slice_of_a_real_page(self, handbook: LoadedDocument, data: st.DataObject) -> None:
        page = data.draw(st.sampled_from(handbook.pages))
        start = data.draw(st.integers(0, len(page.text) - 1))
        end = data.draw(st.integers(start + 1, len(page.text)))
        check_slice(page, start, end)

    @given(st.lists(st.text(st.sampled_from("abC-•1.) \u00ad"), min_size=1, max_size=12), min_size=1, max_size=8), st.data())
    def test_every_slice_of_any_lines(self, texts: list[str], data: st.DataObject) -> None:
        lines = [
            Line(" ".join(text.split()), (72, 20.0 * n, 300, 20.0 * n + 12), 11, False, data.draw(st.integers(0, 1)))
            for n, text in enumerate(texts)
            if text.split()
        ]
        style = DocumentStyle(11, {}, 0, {}, frozenset())
        page = build_page(1, page_pieces(lines, style, 1), HeadingTrail())
        if page.text.strip():
            start = data.draw(st.integers(0, len(page.text) - 1))
            check_slice(page, start, data.draw(st.integers(start + 1, len(page.text))))


def inside(box: BoundingBox, outer: BoundingBox) -> bool:
    return outer[0] <= box[0] < box[2] <= outer[2] and outer[1] == box[1] and box[3] == outer[3]


def check_slice(page: Page, start: int, end: int) -> None:
    """The slice is found at its own place, and every character of it that is seen is in a line with a box."""
    quote = page.text[start:end]
    place = place_of(page, quote, near=start + len(quote) - len(quote.lstrip()))
    if not quote.strip():
        assert place is None
        return
    assert place is not None
    assert page.text[place.start : place.end] == quote.strip()
    assert place.start == start + len(quote) - len(quote.lstrip())
    lines = lines_of(page, place.start, place.end)
    for line in lines:
        within = [box for box in place.boxes if inside(box, line.box)]
        assert line.box in within if place.start <= line.start and line.end <= place.end else within
    assert all(any(inside(box, line.box) for line in lines) for box in place.boxes)
    covered = {at for line in lines for at in range(line.start, line.end)}
    assert all(at in covered or page.text[at].isspace() for at in range(place.start, place.end))
