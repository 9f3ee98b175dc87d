"""Documents are read page by page, and a long one takes no more memory than a short one."""

import gc
from pathlib import Path

import pymupdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain import Block, BlockKind, LineBox, Page
from engine.errors import DocumentError
from engine.ingest import LoadedDocument, open_document, page_spool, read_document
from engine.ingest.pdf.layout import PageLayout

NUMBERS = st.floats(-1e6, 1e6)
BOXES = st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
TEXTS = st.text(max_size=20)
LINES = st.lists(st.builds(LineBox, st.integers(0, 99), st.integers(0, 99), BOXES), max_size=3).map(tuple)
BLOCKS = st.builds(
    Block,
    st.sampled_from(BlockKind),
    st.integers(0, 99),
    st.integers(0, 99),
    st.lists(TEXTS, max_size=2).map(tuple),
    st.none() | BOXES,
    LINES,
)
PAGES = st.builds(
    Page,
    st.integers(1, 9),
    TEXTS,
    st.lists(BLOCKS, max_size=3).map(tuple),
    st.none() | NUMBERS,
    st.none() | NUMBERS,
    st.sampled_from(["text", "ocr"]),
)


@given(st.lists(PAGES, max_size=5))
def test_a_spool_gives_back_what_was_put_in(pages: list[Page]) -> None:
    with page_spool() as spool:
        for page in pages:
            spool.add(page)
        assert (list(spool), list(spool), len(spool)) == (pages, pages, len(pages))


def test_a_spool_may_be_read_while_it_is_read(sample_pdf: Path) -> None:
    pages = read_document(sample_pdf).pages
    with page_spool() as spool:
        for page in pages:
            spool.add(page)
        assert [(a, b) for a in spool for b in spool] == [(a, b) for a in pages for b in pages]


def test_pages_and_warnings_are_those_of_the_whole(files: dict[str, Path], sample_pdf: Path) -> None:
    for path in [*files.values(), sample_pdf]:
        opened = open_document(path)
        pages = tuple(opened.pages())
        read = read_document(path)
        assert LoadedDocument(opened.name, opened.media_type, opened.id, opened.size, pages, opened.warnings) == read


def test_what_is_no_document_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_text("no PDF")
    with pytest.raises(DocumentError, match="is not a PDF"):
        open_document(tmp_path / "a.pdf")


def alive() -> int:
    """How many pages and layouts are in memory."""
    return sum(isinstance(thing, Page | PageLayout) for thing in gc.get_objects())


def test_memory_does_not_grow_with_the_pages(tmp_path: Path) -> None:
    with pymupdf.open() as document:
        for number in range(30):
            document.new_page().insert_text((72, 100), f"Rule {number} says that parcels arrive within 3 days.")
        document.save(tmp_path / "a.pdf")
    before = alive()
    pages = open_document(tmp_path / "a.pdf").pages()
    assert next(pages).number == 1
    assert alive() - before <= 4
    for page in pages:
        if page.number == 20:
            assert alive() - before <= 4
