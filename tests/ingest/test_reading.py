"""What holds for documents of every format, and every way in which one can be refused."""

import hashlib
import os
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pymupdf
import pytest

from engine.config import Settings
from engine.domain import Page
from engine.errors import DocumentError
from engine.ingest import SUPPORTED_SUFFIXES, Limits, LoadedDocument, chunk_pages, read_document
from engine.ingest.loaders import LOADERS
from engine.ingest.media import SUFFIXES

LIMITS = Limits()


def check_page(page: Page) -> None:
    """Blocks are slices of the page's text, in order, without overlap, and with newlines between them."""
    position = 0
    for at, block in enumerate(page.blocks):
        assert block.start == position + (1 if at else 0)
        assert page.text[block.start : block.end].strip() == page.text[block.start : block.end] != ""
        position = block.end
    assert position == len(page.text)
    assert all(page.text[block.end] == "\n" for block in page.blocks[:-1])


class LoaderContract:
    """Every format keeps these."""

    suffix: str
    says = "Delivery takes 3 days."

    @pytest.fixture
    def path(self, files: dict[str, Path]) -> Path:
        return files[self.suffix]

    @pytest.fixture
    def document(self, path: Path) -> LoadedDocument:
        return read_document(path, limits=LIMITS)

    def test_text_is_there(self, document: LoadedDocument) -> None:
        assert any(self.says in page.text for page in document.pages)

    def test_pages_are_numbered_and_blocks_are_slices(self, document: LoadedDocument) -> None:
        assert [page.number for page in document.pages] == list(range(1, len(document.pages) + 1))
        for page in document.pages:
            check_page(page)

    def test_identity(self, document: LoadedDocument, path: Path) -> None:
        assert document.id == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (document.name, document.size) == (path.name, path.stat().st_size)
        assert document.media_type == SUFFIXES[path.suffix]

    def test_same_file_gives_same_chunks(self, path: Path) -> None:
        first, second = read_document(path), read_document(path, name=f"other.{self.suffix}")
        assert chunk_pages(first.id, first.pages, target_tokens=50) == chunk_pages(second.id, second.pages, target_tokens=50)

    def test_name_comes_from_the_caller(self, path: Path, tmp_path: Path) -> None:
        stored = tmp_path / "0123456789abcdef"
        stored.write_bytes(path.read_bytes())
        assert read_document(stored, name=f"Handbook.{self.suffix.upper()}").name == f"Handbook.{self.suffix.upper()}"

    def test_empty_file(self, path: Path) -> None:
        path.write_bytes(b"")
        with pytest.raises(DocumentError, match="is empty"):
            read_document(path)

    def test_too_large(self, path: Path) -> None:
        with pytest.raises(DocumentError, match="too large"):
            read_document(path, limits=replace(LIMITS, max_bytes=10))

    def test_too_much_text(self, path: Path) -> None:
        with pytest.raises(DocumentError, match="more than 10 characters"):
            read_document(path, limits=replace(LIMITS, max_characters=10))


class TestPdf(LoaderContract):
    suffix = "pdf"


class TestDocx(LoaderContract):
    suffix = "docx"


class TestPptx(LoaderContract):
    suffix = "pptx"


class TestXlsx(LoaderContract):
    suffix = "xlsx"


class TestMarkdown(LoaderContract):
    suffix = "md"


class TestHtml(LoaderContract):
    suffix = "html"


class TestText(LoaderContract):
    suffix = "txt"


class TestCsv(LoaderContract):
    suffix = "csv"


class TestEpub(LoaderContract):
    suffix = "epub"
    says = "The first chapter."


def test_every_suffix_has_a_loader() -> None:
    assert set(SUFFIXES.values()) == set(LOADERS)
    assert set(SUPPORTED_SUFFIXES) >= {".pdf", ".docx", ".pptx", ".xlsx", ".md", ".html", ".txt", ".csv", ".epub"}


def test_limits_follow_the_settings(settings: Settings) -> None:
    limits = Limits.from_settings(settings.model_copy(update={"max_document_mb": 2.5, "max_pages": 7}))
    assert (limits.max_bytes, limits.max_pages) == (2_500_000, 7)


class TestRefusals:
    """Each kind of bad file has its own message, and every message comes with a hint."""

    def refused(self, path: Path, match: str, *, name: str | None = None, limits: Limits = LIMITS) -> None:
        with pytest.raises(DocumentError, match=match) as caught:
            read_document(path, name=name, limits=limits)
        assert caught.value.hint
        assert str(path.parent) not in caught.value.message

    def test_missing(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "none.pdf", "cannot be read: No such file")

    def test_folder(self, tmp_path: Path) -> None:
        self.refused(tmp_path, "is not a file")

    def test_pipe_does_not_block(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.txt")
        self.refused(tmp_path / "pipe.txt", "is not a file")

    @pytest.mark.parametrize(
        ("held", "named", "match"),
        [
            ("pdf", "a.docx", r"is a PDF, which its ending '.docx' denies"),
            ("docx", "a.pdf", r"is a Word document, which its ending '.pdf' denies"),
            ("epub", "a.txt", r"is an EPUB book"),
            ("xlsx", "a.docx", r"is a workbook"),
            ("pptx", "a.pdf", r"is a presentation"),
            ("txt", "a.pdf", r"is not a PDF"),
            ("txt", "a.docx", r"is not a Word document"),
            ("md", "a.xyz", r"\.xyz files are not supported"),
        ],
    )
    def test_wrong_ending(self, files: dict[str, Path], held: str, named: str, match: str) -> None:
        self.refused(files[held], match, name=named)

    def test_no_ending_is_read_as_what_it_is(self, files: dict[str, Path]) -> None:
        assert read_document(files["pdf"], name="handbook").media_type == "application/pdf"
        assert read_document(files["txt"], name="handbook").media_type == "text/plain"

    @pytest.mark.parametrize(
        ("data", "match"),
        [
            (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "PNG image"),
            (b"{\\rtf1 hello}", "RTF"),
            (b"\x1f\x8b\x08\x00" + b"x" * 50, "gzip"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "old Office format"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "protected by a password"),
            (b"PK\x03\x04 cut off", "ZIP structure is broken"),
        ],
    )
    def test_foreign_formats(self, tmp_path: Path, data: bytes, match: str) -> None:
        path = tmp_path / "a.docx"
        path.write_bytes(data)
        self.refused(path, match)

    @pytest.mark.parametrize(("entry", "match"), [("xl/workbook.bin", "binary workbook"), ("a.txt", "ZIP archive")])
    def test_other_archives(self, tmp_path: Path, entry: str, match: str) -> None:
        with zipfile.ZipFile(tmp_path / "a.docx", "w") as archive:
            archive.writestr(entry, "x")
        self.refused(tmp_path / "a.docx", match)

    @pytest.mark.parametrize("data", [b"text with \0 in it", bytes(range(1, 9)) * 40, b"\x01" * 100])
    def test_binary_named_as_text(self, tmp_path: Path, data: bytes) -> None:
        path = tmp_path / "a.txt"
        path.write_bytes(data)
        self.refused(path, "does not hold text")

    @pytest.mark.parametrize("suffix", ["txt", "md", "html", "csv"])
    def test_white_space_alone(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"a.{suffix}"
        path.write_text(" \n\t\n")
        self.refused(path, "no pages with text|holds no text")

    def test_too_many_pages(self, files: dict[str, Path]) -> None:
        self.refused(files["epub"], "at most 1 are allowed", limits=replace(LIMITS, max_pages=1))

    def test_no_permission(self, files: dict[str, Path]) -> None:
        if os.geteuid() == 0:
            pytest.skip("root may read everything")
        files["txt"].chmod(0)
        self.refused(files["txt"], "Permission denied")


def test_pdfs_are_read_by_many_threads(sample_pdf: Path) -> None:
    expected = read_document(sample_pdf)
    results: list[LoadedDocument] = []
    threads = [threading.Thread(target=lambda: results.append(read_document(sample_pdf))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert results == [expected] * 4


def test_mupdf_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.7\n1 0 obj <</Type /Catalog /Pages 9 0 R>> endobj\n%%EOF")
    with pytest.raises(DocumentError):
        read_document(path)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
    assert pymupdf.TOOLS.mupdf_display_errors() is False
