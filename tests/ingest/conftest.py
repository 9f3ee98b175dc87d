"""Documents made on the spot: real files of every format."""

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import docx
import pymupdf
import pytest

from engine.config import PROJECT_ROOT

SAMPLES = PROJECT_ROOT / "data" / "samples"
MakePdf = Callable[[Sequence[Sequence[tuple[tuple[float, float], str, float]]]], Path]

CONTAINER = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>"""
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf"><manifest>
<item id="two" href="two.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/one%20.xhtml" media-type="application/xhtml+xml"/>
<item id="css" href="a.css" media-type="text/css"/></manifest>
<spine><itemref idref="one"/><itemref idref="two"/></spine></package>"""


@pytest.fixture(scope="session")
def sample_pdf() -> Path:
    return SAMPLES / "aurora-kettle-handbook.pdf"


@pytest.fixture(scope="session")
def sample_docx() -> Path:
    return SAMPLES / "silver-heron-guests.docx"


@pytest.fixture
def make_pdf(tmp_path: Path) -> MakePdf:
    """Writes a PDF from pages of ((x, y), text, size)."""

    def make(pages: Sequence[Sequence[tuple[tuple[float, float], str, float]]]) -> Path:
        path = tmp_path / "made.pdf"
        with pymupdf.open() as document:
            for marks in pages:
                page = document.new_page()
                for place, text, size in marks:
                    page.insert_text(place, text, fontsize=size)
            document.save(path)
        return path

    return make


@pytest.fixture
def epub(tmp_path: Path) -> Path:
    """A book of two chapters, whose reading order is not that of its manifest."""
    path = tmp_path / "book.epub"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("OEBPS/book.opf", PACKAGE)
        archive.writestr(
            "OEBPS/text/one .xhtml", "<!DOCTYPE html><html><body><h1>One</h1><p>The first chapter.</p></body></html>"
        )
        archive.writestr("OEBPS/two.xhtml", "<html><body><h1>Two</h1><p>The second chapter.</p></body></html>")
    return path


@pytest.fixture
def files(tmp_path: Path, epub: Path, make_pdf: MakePdf) -> dict[str, Path]:
    """A small document of each format; each says `Delivery takes 3 days.` below a heading, where the format has any."""
    texts = {
        "md": "# Delivery\n\nDelivery takes 3 days.\n",
        "html": "<html><body><h1>Delivery</h1><p>Delivery takes 3 days.</p></body></html>",
        "txt": "DELIVERY\n\nDelivery takes 3 days.\n",
        "csv": "topic,answer\nDelivery,Delivery takes 3 days.\n",
    }
    found = {"epub": epub}
    for suffix, text in texts.items():
        found[suffix] = tmp_path / f"made.{suffix}"
        found[suffix].write_text(text, encoding="utf-8")
    found["pdf"] = make_pdf([[((72, 100), "Delivery", 20), ((72, 140), "Delivery takes 3 days.", 11)]])
    document = docx.Document()
    document.add_heading("Delivery", 1)
    document.add_paragraph("Delivery takes 3 days.")
    found["docx"] = tmp_path / "made.docx"
    document.save(str(found["docx"]))
    with zipfile.ZipFile(epub, "a") as archive:
        archive.writestr("unused.txt", "Delivery takes 3 days.")
    return found
