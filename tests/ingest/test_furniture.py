"""What repeats in the margins goes, as long as it is not all that the pages say."""

from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.ingest import chunk_pages, read_document
from engine.ingest.pdf.furniture import find_furniture
from engine.ingest.pdf.layout import Line, PageLayout

MakePdf = Callable[..., Path]
TOP, BELOW, MIDDLE, BOTTOM = 60, 78, 400, 815
HEIGHT = 842.0


def mark(text: str, height: float = TOP) -> tuple[tuple[float, float], str, float]:
    return (72, height), text, 11


def lines(path: Path) -> list[list[str]]:
    return [page.text.splitlines() for page in read_document(path).pages]


class TestIdenticalPages:
    def test_of_one_line(self, make_pdf: MakePdf) -> None:
        for count in (2, 3, 5):
            assert lines(make_pdf([[mark("Delivery takes 3 days.")]] * count)) == [["Delivery takes 3 days."]] * count

    def test_of_several_lines(self, make_pdf: MakePdf) -> None:
        page = [mark("Delivery takes 3 days."), mark("Returns are free.", MIDDLE), mark("Call us.", BOTTOM)]
        found = lines(make_pdf([page] * 4))
        assert found == [["Delivery takes 3 days.", "Returns are free.", "Call us."]] * 4

    def test_all_in_the_margins(self, make_pdf: MakePdf) -> None:
        page = [mark("Delivery takes 3 days."), mark("Call us.", BOTTOM)]
        assert lines(make_pdf([page] * 4)) == [["Delivery takes 3 days.", "Call us."]] * 4

    def test_but_for_the_page_number(self, make_pdf: MakePdf) -> None:
        pages = [[mark("Delivery takes 3 days."), mark(f"Page {n}", BOTTOM)] for n in range(1, 5)]
        assert lines(make_pdf(pages)) == [["Delivery takes 3 days."]] * 4

    def test_beside_others_with_the_same_header(self, make_pdf: MakePdf) -> None:
        same = [mark("Handbook"), mark("Returns are free.", MIDDLE)]
        others = [[mark("Handbook"), mark(f"Rule {word}.", MIDDLE)] for word in ("one", "two", "three")]
        found = lines(make_pdf([same] * 30 + others))
        assert found == [["Returns are free."]] * 30 + [["Rule one."], ["Rule two."], ["Rule three."]]

    def test_chunks_hold_the_text(self, make_pdf: MakePdf) -> None:
        document = read_document(make_pdf([[mark("Delivery takes 3 days.")]] * 3))
        chunks = chunk_pages(document.id, document.pages, target_tokens=50)
        assert [(chunk.page, chunk.text) for chunk in chunks] == [(n, "Delivery takes 3 days.") for n in (1, 2, 3)]


class TestPagesThatAreAlikeButForNumbers:
    def test_one_line_each(self, make_pdf: MakePdf) -> None:
        pages = [[mark(f"Rule {n}: parcels arrive within {n} days.")] for n in range(1, 6)]
        assert lines(make_pdf(pages)) == [[f"Rule {n}: parcels arrive within {n} days."] for n in range(1, 6)]

    def test_a_number_each(self, make_pdf: MakePdf) -> None:
        assert lines(make_pdf([[mark(str(n))] for n in range(1, 5)])) == [["1"], ["2"], ["3"], ["4"]]


class TestShortPages:
    def test_a_page_with_nothing_but_the_header_is_blank(self, make_pdf: MakePdf) -> None:
        pages = [
            [mark("Handbook"), mark(f"Rule {word}.", MIDDLE), mark(str(n), BOTTOM)] for n, word in enumerate("abc", start=1)
        ]
        blank = [mark("Handbook"), mark("4", BOTTOM)]
        assert lines(make_pdf([*pages, blank])) == [["Rule a."], ["Rule b."], ["Rule c."], []]

    def test_numbers_that_begin_again_with_each_part_go(self, make_pdf: MakePdf) -> None:
        rules = [f"Rule {word}." for word in "abcdefghij"]
        pages = [[mark(rule, MIDDLE), mark(f"Page {1 + n % 2} of 2", BOTTOM)] for n, rule in enumerate(rules * 3)]
        assert lines(make_pdf(pages)) == [[rule] for rule in rules * 3]

    def test_footers_below_a_title_alone_go(self, make_pdf: MakePdf) -> None:
        pages = [[mark(title), mark("Confidential", BOTTOM)] for title in ("Delivery", "Returns", "Warranty")]
        assert lines(make_pdf(pages)) == [["Delivery"], ["Returns"], ["Warranty"]]


def layout(texts: Sequence[tuple[str, float]]) -> PageLayout:
    elements = tuple(Line(text, (72, top, 200, top + 10), 10.0, bold=False, block=0) for text, top in texts)
    return PageLayout(1, 595.0, HEIGHT, elements)


LINES = st.tuples(
    st.sampled_from(["Handbook", "Page 1", "7", "Rule 3.", "Returns"]), st.sampled_from([20.0, 60.0, 400.0, 810.0])
)


@given(st.lists(LINES, min_size=1, max_size=4), st.integers(1, 6))
def test_copies_of_a_page_lose_nothing(texts: list[tuple[str, float]], copies: int) -> None:
    page = layout(texts)
    assert find_furniture(lambda: [page] * copies, 10.0).removed_from(page) == page


@given(st.lists(st.lists(LINES, max_size=4), min_size=1, max_size=6))
def test_a_document_with_text_keeps_some(texts: list[list[tuple[str, float]]]) -> None:
    pages = [layout(page) for page in texts]
    furniture = find_furniture(lambda: pages, 10.0)
    kept = [furniture.removed_from(page).text for page in pages]
    assert any(kept) == any(page.text for page in pages)
