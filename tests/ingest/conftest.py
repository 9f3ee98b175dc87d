"""Documents made on the spot: real files of every format."""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import docx
import pymupdf
import pytest

from engine.config import PROJECT_ROOT

SAMPLES = PROJECT_ROOT / "data" / "samples"
MakePdf = Callable[[Sequence[Sequence[tuple[tuple[float, float], str, float]]]], Path]
MakeXlsx = Callable[..., Path]
MakePptx = Callable[..., Path]

CONTAINER = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>"""
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf"><manifest>
<item id="two" href="two.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/one%20.xhtml" media-type="application/xhtml+xml"/>
<item id="css" href="a.css" media-type="text/css"/></manifest>
<spine><itemref idref="one"/><itemref idref="two"/></spine></package>"""

OFFICE = "http://schemas.openxmlformats.org"
RELATIONSHIPS = f'xmlns:r="{OFFICE}/officeDocument/2006/relationships"'
SHEET = f'<worksheet xmlns="{OFFICE}/spreadsheetml/2006/main">{{}}</worksheet>'
SLIDE = (
    f'<p:sld xmlns:p="{OFFICE}/presentationml/2006/main" xmlns:a="{OFFICE}/drawingml/2006/main" {RELATIONSHIPS} {{}}>'
    "<p:cSld><p:spTree>{}</p:spTree></p:cSld></p:sld>"
)


def parts_list(targets: Mapping[str, tuple[str, str]]) -> str:
    """The relationships of a part: identifier to type and target."""
    listed = "".join(
        f'<Relationship Id="{key}" Type="{OFFICE}/officeDocument/2006/relationships/{kind}" Target="{target}"/>'
        for key, (kind, target) in targets.items()
    )
    return f'<Relationships xmlns="{OFFICE}/package/2006/relationships">{listed}</Relationships>'


def write_parts(path: Path, parts: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{OFFICE}/package/2006/content-types"/>')
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


@pytest.fixture
def make_xlsx(tmp_path: Path) -> MakeXlsx:
    """Writes a workbook from each sheet's XML: rows as `<row>…</row>`."""

    def make(
        sheets: Mapping[str, str],
        *,
        shared: Sequence[str] = (),
        styles: str = "",
        properties: str = "",
        hidden: Sequence[str] = (),
    ) -> Path:
        listed = "".join(
            f'<sheet name="{escape(name)}" sheetId="{n}" r:id="rId{n}" state="{"hidden" if name in hidden else "visible"}"/>'
            for n, name in enumerate(sheets, start=1)
        )
        targets = {f"rId{n}": ("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)}
        targets |= {"rIdS": ("sharedStrings", "sharedStrings.xml"), "rIdF": ("styles", "/xl/styles.xml")}
        main = f"{OFFICE}/spreadsheetml/2006/main"
        parts = {
            "_rels/.rels": parts_list({"rId1": ("officeDocument", "xl/workbook.xml")}),
            "xl/workbook.xml": f'<workbook xmlns="{main}" {RELATIONSHIPS}>{properties}<sheets>{listed}</sheets></workbook>',
            "xl/_rels/workbook.xml.rels": parts_list(targets),
            "xl/sharedStrings.xml": f'<sst xmlns="{main}">{"".join(f"<si>{text}</si>" for text in shared)}</sst>',
            "xl/styles.xml": f'<styleSheet xmlns="{main}">{styles}</styleSheet>',
        }
        rows = enumerate(sheets.values(), start=1)
        parts |= {f"xl/worksheets/sheet{n}.xml": SHEET.format(f"<sheetData>{text}</sheetData>") for n, text in rows}
        return write_parts(tmp_path / "made.xlsx", parts)

    return make


@pytest.fixture
def make_pptx(tmp_path: Path) -> MakePptx:
    """Writes a presentation from each slide's shapes; `notes` and `attributes` by the slide's number, from 1."""

    def make(slides: Sequence[str], *, notes: Mapping[int, str] = {}, attributes: Mapping[int, str] = {}) -> Path:
        numbers = range(1, len(slides) + 1)
        # Listed in an order that is not that of their names.
        names = {n: f"slides/slide{len(slides) + 1 - n}.xml" for n in numbers}
        listed = "".join(f'<p:sldId id="{255 + n}" r:id="rId{n}"/>' for n in numbers).join(("<p:sldIdLst>", "</p:sldIdLst>"))
        main = f'xmlns:p="{OFFICE}/presentationml/2006/main"'
        parts = {
            "_rels/.rels": parts_list({"rId1": ("officeDocument", "ppt/presentation.xml")}),
            "ppt/presentation.xml": f"<p:presentation {main} {RELATIONSHIPS}>{listed}</p:presentation>",
            "ppt/_rels/presentation.xml.rels": parts_list({f"rId{n}": ("slide", names[n]) for n in numbers}),
        }
        for n, shapes in enumerate(slides, start=1):
            parts[f"ppt/{names[n]}"] = SLIDE.format(attributes.get(n, ""), shapes)
        for n, shapes in notes.items():
            own = names[n].removeprefix("slides/")
            parts[f"ppt/slides/_rels/{own}.rels"] = parts_list({"rId1": ("notesSlide", f"../notesSlides/notes{n}.xml")})
            parts[f"ppt/notesSlides/notes{n}.xml"] = (
                SLIDE.format("", shapes).replace("p:sld ", "p:notes ").replace("/p:sld>", "/p:notes>")
            )
        return write_parts(tmp_path / "made.pptx", parts)

    return make


def shape(*paragraphs: str, kind: str | None = None) -> str:
    """A text box, or a placeholder of a kind; the paragraphs are XML."""
    placeholder = "" if kind is None else f'<p:ph type="{kind}"/>'
    text = "".join(
        paragraph if paragraph.startswith("<") else f"<a:p><a:r><a:t>{paragraph}</a:t></a:r></a:p>" for paragraph in paragraphs
    )
    return f"<p:sp><p:nvSpPr><p:nvPr>{placeholder}</p:nvPr></p:nvSpPr><p:txBody>{text}</p:txBody></p:sp>"


@pytest.fixture(scope="session")
def slide_shape() -> Callable[..., str]:
    return shape


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
def files(tmp_path: Path, epub: Path, make_pdf: MakePdf, make_xlsx: MakeXlsx, make_pptx: MakePptx) -> dict[str, Path]:
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
    rows = (("topic", "answer"), ("Delivery", "Delivery takes 3 days."))
    cells = ["".join(f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in row) for row in rows]
    found["xlsx"] = make_xlsx({"Questions": "".join(f"<row>{row}</row>" for row in cells)})
    found["pptx"] = make_pptx([shape("Delivery", kind="title") + shape("Delivery takes 3 days.", kind="body")])
    with zipfile.ZipFile(epub, "a") as archive:
        archive.writestr("unused.txt", "Delivery takes 3 days.")
    return found
