"""What the formats other than PDF keep of a document's structure."""

import zipfile
from dataclasses import replace
from pathlib import Path

import docx
import pytest

from engine.domain import BlockKind
from engine.errors import DocumentError
from engine.ingest import Limits, LoadedDocument, read_document
from engine.ingest.loaders.csv import sniff_delimiter

H, P, L, T = BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.LIST_ITEM, BlockKind.TABLE_ROW


def write(tmp_path: Path, name: str, text: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def blocks(document: LoadedDocument) -> list[tuple[BlockKind, str]]:
    return [(block.kind, page.text[block.start : block.end]) for page in document.pages for block in page.blocks]


class TestMarkdown:
    def test_structure(self, tmp_path: Path) -> None:
        source = (
            "---\ntitle: hidden\n---\n# Terms\n\nSome **bold** and [linked](http://x) text\nin two lines.\n\n"
            "- one\n- two\n\n3. three\n\n| Plan | Price |\n|---|---|\n| Solo | 0 |\n\n```\nrun it\n```\n"
            "<b>raw</b> <!-- gone -->\n"
        )
        assert blocks(read_document(write(tmp_path, "a.md", source))) == [
            (H, "Terms"),
            (P, "Some bold and linked text in two lines."),
            (L, "- one"),
            (L, "- two"),
            (L, "3. three"),
            (T, "Plan: Solo; Price: 0"),
            (P, "run it"),
            (P, "raw"),
        ]

    def test_one_page_for_each_section(self, tmp_path: Path) -> None:
        document = read_document(write(tmp_path, "a.md", "# Title\n\n## A\n\na\n\n### A1\n\nb\n\n## B\n\nc\n"))
        assert [page.text for page in document.pages] == ["Title\nA\na\nA1\nb", "B\nc"]
        assert document.pages[0].blocks[-1].heading_path == ("Title", "A", "A1")
        assert document.pages[1].blocks[-1].heading_path == ("Title", "B")

    def test_long_lines_take_no_quadratic_time(self, tmp_path: Path) -> None:
        document = read_document(write(tmp_path, "a.md", "*a " * 100_000 + "[x" * 5_000))
        assert sum(len(page.text) for page in document.pages) > 200_000


class TestHtml:
    def test_structure(self, tmp_path: Path) -> None:
        source = (
            "<html><head><title>t</title><style>p{}</style></head><body><nav>menu</nav><script>x()</script><h2>Hours</h2>"
            "<div>Open <b>daily</b>\n from 9.<p>Street 1<br>Town</p></div>"
            "<ul><li><p>one</p></li><li>two<ul><li>inner</li></ul></li></ul>"
            "<ol><li>first</li><li>second</li></ol><table><tr><th>Day</th><th>Hours</th></tr><tr><td>Mon</td><td>9–5</td></tr></table>"
            "<p hidden>secret</p><p style='display: none'>secret</p><!-- note --><footer>foot</footer></body></html>"
        )
        assert blocks(read_document(write(tmp_path, "a.html", source))) == [
            (H, "Hours"),
            (P, "Open daily from 9."),
            (P, "Street 1\nTown"),
            (L, "- one"),
            (L, "- two"),
            (L, "- inner"),
            (L, "1. first"),
            (L, "2. second"),
            (T, "Day: Mon; Hours: 9–5"),
        ]

    def test_cells_over_several_rows_and_columns(self, tmp_path: Path) -> None:
        source = (
            "<table><tr><th>Day</th><th>From</th><th>To</th></tr><tr><td rowspan=2>Monday</td><td>9</td><td>12</td></tr>"
            "<tr><td>13</td><td>17</td></tr><tr><td>Sunday</td><td colspan='2'>closed</td></tr></table>"
        )
        assert [text for _, text in blocks(read_document(write(tmp_path, "a.html", source)))] == [
            "Day: Monday; From: 9; To: 12",
            "Day: Monday; From: 13; To: 17",
            "Day: Sunday; From: closed",
        ]

    def test_layout_tables_are_read_as_text(self, tmp_path: Path) -> None:
        source = "<table><tr><td><h1>News</h1><p>One.</p></td><td><ul><li>Two</li></ul></td></tr></table>"
        assert blocks(read_document(write(tmp_path, "a.html", source))) == [(H, "News"), (P, "One."), (L, "- Two")]

    def test_declared_encoding(self, tmp_path: Path) -> None:
        data = '<meta charset="iso-8859-2"><p>Łódź żółta</p>'.encode("iso-8859-2")
        assert read_document(write(tmp_path, "a.html", data)).pages[0].text == "Łódź żółta"

    @pytest.mark.parametrize("tag", ["div", "b", "ul><li", "table><tr><td"])
    def test_deep_nesting(self, tmp_path: Path, tag: str) -> None:
        source = "<p>Start.</p>" + f"<{tag}>" * 20_000 + "deep"
        assert read_document(write(tmp_path, "a.html", source)).pages[0].text.startswith("Start.")


class TestText:
    def test_structure(self, tmp_path: Path) -> None:
        source = (
            "Handbook\n========\n\nThis line was wrapped by an editor because it is\nlong.\n\nHARBOUR LANE\n\n"
            "Aurora\n12 Harbour Lane\n\n"
            "* one\n* two\n"
        )
        assert blocks(read_document(write(tmp_path, "a.txt", source))) == [
            (H, "Handbook"),
            (P, "This line was wrapped by an editor because it is long."),
            (H, "HARBOUR LANE"),
            (P, "Aurora\n12 Harbour Lane"),
            (L, "- one"),
            (L, "- two"),
        ]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
    def test_encodings(self, tmp_path: Path, encoding: str) -> None:
        text = "Das Café öffnet um acht Uhr. Für Gäste gibt es Frühstück, das täglich bis elf Uhr geöffnet ist."
        assert read_document(write(tmp_path, "a.txt", text.encode(encoding))).pages[0].text == text

    def test_invisible_characters_and_ligatures(self, tmp_path: Path) -> None:
        source = "The o\ufb03ce\u00a0is\u200b op\u00aden\u202e today\U000e0041."
        assert read_document(write(tmp_path, "a.txt", source)).pages[0].text == "The office is open today."

    def test_long_texts_become_several_pages(self, tmp_path: Path) -> None:
        document = read_document(write(tmp_path, "a.txt", "\n\n".join(f"Paragraph {n}. " + "word " * 200 for n in range(100))))
        assert len(document.pages) > 3
        assert max(len(page.text) for page in document.pages) <= 20_000


class TestCsv:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_rows(self, tmp_path: Path, delimiter: str) -> None:
        source = delimiter.join(("Item", "Price", "Note")) + "\n" + delimiter.join(("Lid", '"7, or 8; or\n9"', "")) + "\n\n"
        assert blocks(read_document(write(tmp_path, "a.csv", source))) == [(T, "Item: Lid; Price: 7, or 8; or 9")]

    def test_without_header(self, tmp_path: Path) -> None:
        document = read_document(write(tmp_path, "a.csv", "1,2,3\n4,5,6\n"))
        assert blocks(document) == [(T, "1 | 2 | 3"), (T, "4 | 5 | 6")]

    def test_rows_that_are_longer_than_the_header(self, tmp_path: Path) -> None:
        assert blocks(read_document(write(tmp_path, "a.csv", "a,b\nx,y,z\n"))) == [(T, "a: x; b: y; column 3: z")]

    def test_huge_cell(self, tmp_path: Path) -> None:
        with pytest.raises(DocumentError, match="not a proper table"):
            read_document(write(tmp_path, "a.csv", 'a,b\n"' + "x" * 200_000))

    def test_prose_with_commas_is_read(self, tmp_path: Path) -> None:
        assert sniff_delimiter("no delimiter here\nnor here") == ","


class TestDocx:
    def test_sample(self, sample_docx: Path) -> None:
        document = read_document(sample_docx)
        found = blocks(document)
        assert [text for kind, text in found if kind is H][:3] == ["Guest Information", "Arrival and departure", "Meals"]
        assert (T, "Room: Tower suite; Size: 52 square metres; Rate: 260 euros") in found
        assert (L, "- Bicycles can be rented at the reception desk for 14 euros a day.") in found
        assert document.pages[2].blocks[-1].heading_path == ("Guest Information", "Meals")

    def test_merged_cells(self, tmp_path: Path) -> None:
        document = docx.Document()
        table = document.add_table(4, 3)
        for row, texts in zip(
            table.rows, [["Day", "From", "To"], ["Monday", "9", "12"], ["", "13", "17"], ["Sunday", "closed", ""]], strict=True
        ):
            for cell, text in zip(row.cells, texts, strict=True):
                cell.text = text
        table.cell(1, 0).merge(table.cell(2, 0))
        table.cell(3, 1).merge(table.cell(3, 2))
        document.save(str(tmp_path / "a.docx"))
        assert [text for _, text in blocks(read_document(tmp_path / "a.docx"))] == [
            "Day: Monday; From: 9; To: 12",
            "Day: Monday; From: 13; To: 17",
            "Day: Sunday; From: closed",
        ]

    def test_table_in_a_cell_is_read_once(self, tmp_path: Path) -> None:
        document = docx.Document()
        table = document.add_table(1, 2)
        table.cell(0, 0).text = "outer"
        table.cell(0, 1).add_table(1, 1).cell(0, 0).text = "inner"
        document.save(str(tmp_path / "a.docx"))
        assert blocks(read_document(tmp_path / "a.docx")) == [(T, "outer: inner")]

    def test_text_under_review(self, tmp_path: Path) -> None:
        w = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
        document = docx.Document()
        kept = "<w:r><w:t>Open </w:t></w:r><w:ins><w:r><w:t>daily</w:t></w:r></w:ins>"
        xml = f"<w:p {w}>{kept}<w:del><w:r><w:delText>never</w:delText></w:r></w:del></w:p>"
        document.element.body.insert(0, docx.oxml.parse_xml(xml))
        document.save(str(tmp_path / "a.docx"))
        assert read_document(tmp_path / "a.docx").pages[0].text == "Open daily"


def copy_archive(source: Path, target: Path, extra: dict[str, bytes], *, without: str = "") -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name not in extra and name != without:
                new.writestr(name, old.read(name))
        for name, data in extra.items():
            new.writestr(name, data)
    return target


class TestArchives:
    """DOCX and EPUB are ZIP archives; the same attacks work on both."""

    @pytest.fixture(params=["docx", "epub"])
    def archive(self, request: pytest.FixtureRequest, files: dict[str, Path]) -> Path:
        return files[request.param]

    def test_bomb(self, archive: Path, tmp_path: Path) -> None:
        bomb = copy_archive(archive, tmp_path / f"bomb{archive.suffix}", {"word/media/zeros.bin": bytes(40_000_000)})
        assert bomb.stat().st_size < 200_000
        with pytest.raises(DocumentError, match="ZIP bomb"):
            read_document(bomb)

    def test_too_many_parts(self, archive: Path) -> None:
        with pytest.raises(DocumentError, match="ZIP bomb"):
            read_document(archive, limits=replace(Limits(), max_archive_entries=2))

    def test_too_much_when_unpacked(self, archive: Path) -> None:
        with pytest.raises(DocumentError, match="ZIP bomb"):
            read_document(archive, limits=replace(Limits(), max_expanded_bytes=500))

    @pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
    def test_cut_off(self, archive: Path, share: float) -> None:
        archive.write_bytes(archive.read_bytes()[: int(share * archive.stat().st_size)])
        with pytest.raises(DocumentError, match="damaged"):
            read_document(archive)

    def test_password(self, archive: Path) -> None:
        data = bytearray(archive.read_bytes())
        at = data.index(b"PK\x01\x02")
        data[at + 8] |= 1
        archive.write_bytes(data)
        with pytest.raises(DocumentError, match="password"):
            read_document(archive)

    def test_broken_part(self, archive: Path, tmp_path: Path) -> None:
        name = "word/document.xml" if archive.suffix == ".docx" else "OEBPS/book.opf"
        with pytest.raises(DocumentError, match="damaged"):
            read_document(copy_archive(archive, tmp_path / f"b{archive.suffix}", {name: b"<w:document><unclosed>"}))

    def test_entities_are_refused(self, archive: Path, tmp_path: Path) -> None:
        name = "word/document.xml" if archive.suffix == ".docx" else "OEBPS/book.opf"
        evil = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'
        with pytest.raises(DocumentError, match="declares XML entities"):
            read_document(copy_archive(archive, tmp_path / f"e{archive.suffix}", {name: evil}))


class TestEpub:
    def test_reading_order(self, epub: Path) -> None:
        document = read_document(epub)
        assert [page.text for page in document.pages] == ["One\nThe first chapter.", "Two\nThe second chapter."]

    def test_missing_chapter(self, epub: Path, tmp_path: Path) -> None:
        document = read_document(copy_archive(epub, tmp_path / "b.epub", {}, without="OEBPS/two.xhtml"))
        assert len(document.pages) == 1
        assert document.warnings == ("Some chapters that the book lists are missing from it.",)

    def test_copy_protection(self, epub: Path, tmp_path: Path) -> None:
        locks = b'<encryption><EncryptedData><CipherReference URI="OEBPS/two.xhtml"/></EncryptedData></encryption>'
        with pytest.raises(DocumentError, match="copy protection"):
            read_document(copy_archive(epub, tmp_path / "b.epub", {"META-INF/encryption.xml": locks}))


class TestEncodings:
    TEXTS = (
        "The shop opens at nine.\nTea costs 4 €.",
        "Магазин открывается в девять.\nЧай стоит 4 €.",
        "店は九時に開きます。\nお茶は四ユーロです。",
    )

    @pytest.mark.parametrize("text", TEXTS)
    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-16", "utf-32", "utf-8-sig"])
    def test_unicode_with_and_without_a_mark(self, tmp_path: Path, text: str, encoding: str) -> None:
        document = read_document(write(tmp_path, "a.txt", text.encode(encoding)))
        assert "".join(document.pages[0].text.split()) == "".join(text.split())

    @pytest.mark.parametrize(
        ("encoding", "text"),
        [
            ("cp1252", "Prix: un café crème coûte 4 € à la brasserie de l’hôtel, déjà réservée."),
            ("cp1252", "Die Straßenbahn fährt über die Brücke – für 4 €."),
            ("cp1252", "El niño llegó mañana. ¿Cuánto cuesta? La señal está aquí."),
            ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy. Dnes je otevřeno od devíti hodin."),
            ("cp1251", "Магазин открывается в девять часов утра. Чай стоит четыре рубля."),
            ("cp1254", "Mağaza saat dokuzda açılır. Çayın fiyatı dört lira. Şehir dışı kargo ücretlidir."),
        ],
    )
    def test_one_byte_encodings(self, tmp_path: Path, encoding: str, text: str) -> None:
        document = read_document(write(tmp_path, "a.txt", text.encode(encoding)))
        assert document.pages[0].text == text
        assert "encoding was guessed" in document.warnings[0]

    @pytest.mark.parametrize(
        "data", [b"\0" * 400, bytes(range(256)) * 4, b"PNG\0\x01\x02\x03\0" * 50, b"\0a" * 3 + b"\0\0" * 90]
    )
    def test_what_is_no_text_stays_refused(self, tmp_path: Path, data: bytes) -> None:
        with pytest.raises(DocumentError, match="does not hold text"):
            read_document(write(tmp_path, "a.txt", data))

    def test_text_in_a_wrong_encoding_is_reported(self, tmp_path: Path) -> None:
        text = "Die Straße ist für Züge gesperrt. Können Sie später kommen? Über die Brücke fährt die Tram.\n\n" * 3
        document = read_document(write(tmp_path, "a.txt", text.encode().decode("cp1252", errors="replace")))
        assert document.warnings == ("The text of page 1 looks garbled (Ã¤ for ä): save the original as UTF-8 and add that.",)

    def test_sound_text_is_not_reported(self, tmp_path: Path) -> None:
        assert (
            read_document(write(tmp_path, "a.txt", "Die Straße ist für Züge gesperrt. Ägypten, Århus, Ñandú.")).warnings == ()
        )
