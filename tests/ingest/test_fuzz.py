"""Whatever the bytes: a document, or DocumentError. Never another exception, never a crash."""

import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import DocumentError
from engine.ingest import SUPPORTED_SUFFIXES, Limits, chunk_pages, read_document

LIMITS = Limits(max_bytes=2_000_000, max_expanded_bytes=20_000_000, max_pages=200)
STARTS = [
    b"",
    b"%PDF-1.7\n",
    b"PK\x03\x04",
    b"<html>",
    b"---\n",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"a;b\n",
    b"{\\rtf",
    b"| a |\n|---|\n",
]
MARKUP = [
    b"<w:p>",
    b"</w:p>",
    b"<w:tbl><w:tr><w:tc>",
    b"<!DOCTYPE x>",
    b"&amp;",
    b"&#0;",
    b'val="99"',
    b"<p>",
    b"-->",
    b"endobj",
    b"stream",
]
FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_or_refuse(data: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        path.write_bytes(data)
        try:
            document = read_document(path, name=name, limits=LIMITS)
        except DocumentError:
            return
        assert chunk_pages(document.id, document.pages, target_tokens=100)


@given(st.sampled_from(STARTS), st.binary(max_size=600), st.sampled_from(SUPPORTED_SUFFIXES))
@FUZZ
def test_random_bytes(start: bytes, rest: bytes, suffix: str) -> None:
    read_or_refuse(start + rest, f"a{suffix}")


@given(
    st.text(st.sampled_from("<>/!-[]()#*_`|\"'=&;a1 \n\t,:bdhlioptru"), max_size=400),
    st.sampled_from([".md", ".html", ".txt", ".csv"]),
)
@FUZZ
def test_random_markup(text: str, suffix: str) -> None:
    read_or_refuse(text.encode(), f"a{suffix}")


@pytest.mark.parametrize("suffix", ["pdf", "docx", "pptx", "xlsx", "epub", "html", "md", "csv", "txt"])
def test_mutated_documents(
    suffix: str, files: dict[str, Path], sample_pdf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # pages that were garbled would be recognised, which takes long
    original = sample_pdf.read_bytes() if suffix == "pdf" else files[suffix].read_bytes()

    @given(st.data())
    @settings(max_examples=40, deadline=None)
    def read_mutated(data: st.DataObject) -> None:
        read_or_refuse(mutate(original, data), f"a.{suffix}")

    read_mutated()


@pytest.mark.parametrize(
    ("suffix", "part"),
    [
        ("docx", "word/document.xml"),
        ("docx", "word/styles.xml"),
        ("docx", "_rels/.rels"),
        ("docx", "[Content_Types].xml"),
        ("pptx", "ppt/presentation.xml"),
        ("pptx", "ppt/slides/slide1.xml"),
        ("xlsx", "xl/workbook.xml"),
        ("xlsx", "xl/_rels/workbook.xml.rels"),
        ("xlsx", "xl/worksheets/sheet1.xml"),
        ("epub", "META-INF/container.xml"),
        ("epub", "OEBPS/book.opf"),
        ("epub", "OEBPS/two.xhtml"),
    ],
)
def test_mutated_parts_of_archives(suffix: str, part: str, files: dict[str, Path]) -> None:
    """Inside of a sound archive, where no checksum tells."""

    @given(st.data())
    @settings(max_examples=30, deadline=None)
    def read_mutated(data: st.DataObject) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(files[suffix]) as old, zipfile.ZipFile(buffer, "w") as new:
            for name in old.namelist():
                new.writestr(name, mutate(old.read(name), data) if name == part else old.read(name))
        read_or_refuse(buffer.getvalue(), f"a.{suffix}")

    read_mutated()


def mutate(original: bytes, data: st.DataObject) -> bytes:
    """Overwrite, remove or insert up to 30 bytes at up to 8 places."""
    mutated = bytearray(original)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(mutated)))
        mutated[at : at + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=30) | st.sampled_from(MARKUP))
    return bytes(mutated)
