"""Memory is bounded while a document of a format without pages is read: what is too much is refused before it is all there."""

import gc
import itertools
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain import BlockKind
from engine.errors import DocumentError
from engine.ingest import Limits, open_document, read_document
from engine.ingest.loaders import text as text_loader
from engine.ingest.media import TEXT
from engine.ingest.source import Source
from engine.ingest.structure import Piece, paginate

LIMITS = Limits(max_characters=10_000)
WORDS = "Parcels arrive within three days of the order."


def source(limits: Limits = LIMITS) -> Source:
    return Source(Path("a.txt"), "a.txt", TEXT, limits)


def test_blocks_without_end_are_refused() -> None:
    with pytest.raises(DocumentError, match="more than 10,000 characters"):
        list(paginate(source(), itertools.repeat(Piece(BlockKind.PARAGRAPH, WORDS))))


def test_short_blocks_count_with_their_line_ends() -> None:
    with pytest.raises(DocumentError, match="more than 10,000 characters"):
        list(paginate(source(), (Piece(BlockKind.PARAGRAPH, "a") for _ in range(6_000))))


def test_blocks_are_not_all_in_memory(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"{WORDS}\n\n" * 5_000)

    def alive() -> int:
        gc.collect()
        return sum(isinstance(thing, Piece) for thing in gc.get_objects())

    pages = open_document(tmp_path / "a.txt").pages()
    next(pages)
    assert alive() < 2_000
    assert sum(len(page.blocks) for page in pages) > 4_000


KINDS = st.sampled_from([(BlockKind.HEADING, 1), (BlockKind.HEADING, 2), (BlockKind.PARAGRAPH, 0), (BlockKind.LIST_ITEM, 0)])


@given(st.lists(st.tuples(KINDS, st.text("ab ", min_size=1, max_size=5)), max_size=30))
def test_every_block_comes_out_once_and_in_order(found: list[tuple[tuple[BlockKind, int], str]]) -> None:
    pieces = [Piece(kind, text, level) for (kind, level), text in found]
    pages = list(paginate(source(), iter(pieces)))
    blocks = [(block.kind, page.text[block.start : block.end]) for page in pages for block in page.blocks]
    assert blocks == [(piece.kind, piece.text) for piece in pieces]
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))


@given(st.text("ab\n\r\x0b\u2028 ", max_size=60))
def test_lines_are_those_of_the_whole(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_loader, "_BLOCK", 4)
        assert list(text_loader._lines(text)) == text.splitlines()


def written(folder: Path, suffix: str) -> Path:
    """A document of 200 paragraphs, list items or rows."""
    path = folder / f"a.{suffix}"
    texts = {
        "html": "<p>Ab</p>" * 200,
        "md": "- Ab\n" * 200,
        "txt": "Ab\n\n" * 200,
        "csv": "name,price\n" + "Ab,1\n" * 200,
    }
    if suffix == "docx":
        document = docx.Document()
        for _ in range(200):
            document.add_paragraph("Ab")
        document.save(str(path))
    elif suffix == "epub":
        chapter = f"<html><body>{texts['html']}</body></html>"
        package = (
            '<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="a" href="a.xhtml" '
            'media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>'
        )
        container = (
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="a.opf"/></rootfiles></container>'
        )
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in (("META-INF/container.xml", container), ("a.opf", package), ("a.xhtml", chapter)):
                archive.writestr(name, text)
    else:
        path.write_text(texts[suffix])
    return path


@pytest.mark.parametrize("suffix", ["html", "md", "docx", "epub"])
def test_trees_are_bounded(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, suffix)
    assert read_document(path).pages[0].text.count("Ab") == 200
    with pytest.raises(DocumentError, match="too many parts") as caught:
        read_document(path, limits=replace(Limits(), max_elements=100))
    assert caught.value.hint


def test_tags_of_html_in_markdown_count(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("<div>" + "<b>Ab</b>" * 200 + "</div>\n")
    with pytest.raises(DocumentError, match="too many parts"):
        read_document(tmp_path / "a.md", limits=replace(Limits(), max_elements=100))


@pytest.mark.parametrize("suffix", ["txt", "csv", "md"])
def test_files_that_are_mostly_white_space_are_bounded(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_text("Ab, c" + " " * 15_000 + "\n")
    assert "Ab" in read_document(path, limits=LIMITS).pages[0].text
    path.write_text("Ab, c" + " " * 25_000 + "\n")
    with pytest.raises(DocumentError, match="more than 10,000 characters"):
        read_document(path, limits=LIMITS)


def test_rows_are_read_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    def counted(pieces: Iterator[Piece]) -> Iterator[Piece]:
        nonlocal made
        for piece in pieces:
            made += 1
            yield piece

    from engine.ingest.loaders import csv as csv_loader

    table_pieces = csv_loader.table_pieces
    monkeypatch.setattr(csv_loader, "table_pieces", lambda rows, **options: counted(table_pieces(rows, **options)))
    (tmp_path / "a.csv").write_text("name of the product,price of it\n" + "Ab,1\n" * 3_000)
    with pytest.raises(DocumentError, match="more than 10,000 characters"):
        read_document(tmp_path / "a.csv", limits=LIMITS)
    assert made < 1_000


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_line_ends_of_tables(tmp_path: Path, end: str) -> None:
    (tmp_path / "a.csv").write_bytes(f'name,note{end}Ab,"one{end}two"{end}{end}Cd,three{end}'.encode())
    assert read_document(tmp_path / "a.csv").pages[0].text.splitlines() == ["name: Ab; note: one two", "name: Cd; note: three"]
