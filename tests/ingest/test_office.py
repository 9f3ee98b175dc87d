"""What workbooks and presentations keep of their structure, and which of them are refused."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.domain import BlockKind
from engine.errors import DocumentError
from engine.ingest import Limits, LoadedDocument, read_document
from engine.ingest.loaders import pptx
from engine.ingest.number_formats import shown_number
from engine.ingest.structure import Piece

H, P, L, T = BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.LIST_ITEM, BlockKind.TABLE_ROW
Make = Callable[..., Path]
Shape = Callable[..., str]


def blocks(document: LoadedDocument) -> list[tuple[BlockKind, str]]:
    return [(block.kind, page.text[block.start : block.end]) for page in document.pages for block in page.blocks]


def text_cell(text: str, place: str = "") -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def row(*cells: str) -> str:
    return "<row>" + "".join(cell if cell.startswith("<") else text_cell(cell) for cell in cells) + "</row>"


def with_changes(path: Path, new_path: Path, changes: dict[str, tuple[str, str]]) -> Path:
    """A copy of an archive in which a text of some parts is replaced by another."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(new_path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).decode().replace(*changes.get(name, ("", ""))))
    return new_path


class TestXlsx:
    def test_rows_name_their_columns(self, make_xlsx: Make) -> None:
        path = make_xlsx({"Prices": row("Plan", "Price", "Users") + row("Solo", "<c><v>4.5</v></c>", "<c><v>1</v></c>")})
        assert blocks(read_document(path)) == [(H, "Prices"), (T, "Plan: Solo; Price: 4.5; Users: 1")]

    def test_a_page_for_each_sheet(self, make_xlsx: Make) -> None:
        sheets = {
            "Prices": row("Plan", "Price") + row("Solo", "free"),
            "Empty": "",
            "Hours": row("Day", "Open") + row("Mo", "9"),
        }
        document = read_document(make_xlsx(sheets))
        assert [page.text for page in document.pages] == ["Prices\nPlan: Solo; Price: free", "Hours\nDay: Mo; Open: 9"]
        assert document.pages[1].blocks[1].heading_path == ("Hours",)

    def test_the_name_that_nobody_gave_is_no_heading(self, make_xlsx: Make) -> None:
        path = make_xlsx({"Sheet1": row("Plan", "Price") + row("Solo", "free")})
        assert blocks(read_document(path)) == [(T, "Plan: Solo; Price: free")]

    def test_titles_above_the_table(self, make_xlsx: Make) -> None:
        sheet = row("Prices of 2025") + row("", "") + row("Plan", "Price") + row("Solo", "free")
        assert blocks(read_document(make_xlsx({"Sheet1": sheet}))) == [(P, "Prices of 2025"), (T, "Plan: Solo; Price: free")]

    def test_one_column_is_text(self, make_xlsx: Make) -> None:
        path = make_xlsx({"Sheet1": row("We deliver in 3 days.") + row("Returns are free.")})
        assert blocks(read_document(path)) == [(P, "We deliver in 3 days."), (P, "Returns are free.")]

    def test_cells_stand_in_their_columns(self, make_xlsx: Make) -> None:
        sheet = row("Plan", "Price", "Note") + f"<row r='2'>{text_cell('Solo', 'A2')}{text_cell('cheap', 'C2')}</row>"
        assert blocks(read_document(make_xlsx({"Sheet1": sheet}))) == [(T, "Plan: Solo; Note: cheap")]

    def test_kinds_of_cells(self, make_xlsx: Make) -> None:
        cells = [
            '<c t="s"><v>0</v></c>',
            '<c t="s"><v>1</v></c>',
            '<c t="b"><v>1</v></c>',
            '<c t="str"><f>A1&amp;"x"</f><v>made</v></c>',
            '<c t="e"><v>#DIV/0!</v></c>',
            "<c><f>1+1</f><v>2</v></c>",
            '<c t="d"><v>2025-03-01</v></c>',
            '<c t="s"><v>99</v></c>',
        ]
        shared = ["<t>plain</t>", "<r><t>rich </t></r><r><t>text</t></r><rPh><t>sound</t></rPh>"]
        path = make_xlsx({"Sheet1": row(*"ABCDEFGH") + row(*cells)}, shared=shared)
        assert blocks(read_document(path)) == [(T, "A: plain; B: rich text; C: yes; D: made; F: 2; G: 2025-03-01")]

    def test_numbers_look_as_they_do_on_the_screen(self, make_xlsx: Make) -> None:
        styles = (
            '<numFmts><numFmt numFmtId="164" formatCode="#,##0.00\\ &quot;€&quot;"/></numFmts>'
            '<cellStyleXfs><xf numFmtId="9"/></cellStyleXfs>'
            '<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="14"/><xf numFmtId="9"/></cellXfs>'
        )
        values = (("1", "4.9"), ("2", "45717"), ("3", "0.25"), ("0", "0.30000000000000004"), ("99", "7"))
        cells = [f'<c s="{style}"><v>{value}</v></c>' for style, value in values]
        path = make_xlsx({"Sheet1": row(*"ABCDE") + row(*cells)}, styles=styles)
        assert blocks(read_document(path)) == [(T, "A: 4.90 €; B: 2025-03-01; C: 25%; D: 0.3; E: 7")]

    def test_numbers_of_texts_and_styles_may_have_zeros_in_front_or_lead_nowhere(self, make_xlsx: Make) -> None:
        styles = '<cellXfs><xf numFmtId="0"/><xf numFmtId="9"/></cellXfs>'
        cells = [
            '<c t="s"><v>0000000009</v></c>',
            '<c t="s"><v>00000000001</v></c>',
            f'<c t="s"><v>{"9" * 5000}</v></c>',
            '<c s="0000000009"><v>7</v></c>',
            '<c s="0000000001"><v>0.5</v></c>',
        ]
        path = make_xlsx({"Sheet1": row(*"ABCDE") + row(*cells)}, shared=["<t>one</t>", "<t>two</t>"], styles=styles)
        assert blocks(read_document(path)) == [(T, "B: two; D: 7; E: 50%")]

    def test_numbers_without_an_end_stay_as_they_are_written(self, make_xlsx: Make) -> None:
        cells = ["<c><v>1e400</v></c>", "<c><v>-1E400</v></c>", "<c><v>NaN</v></c>"]
        path = make_xlsx({"Sheet1": row(*"ABC") + row(*cells)})
        assert blocks(read_document(path)) == [(T, "A: 1e400; B: -1E400; C: NaN")]

    def test_dates_counted_from_1904(self, make_xlsx: Make) -> None:
        styles = '<cellXfs><xf numFmtId="14"/></cellXfs>'
        sheet = row("Day", "Note") + row('<c s="0"><v>44255</v></c>', "open")
        path = make_xlsx({"Sheet1": sheet}, styles=styles, properties='<workbookPr date1904="1"/>')
        assert blocks(read_document(path)) == [(T, "Day: 2025-03-01; Note: open")]

    def test_hidden_sheets_are_left_out_and_named(self, make_xlsx: Make) -> None:
        sheets = {"Prices": row("Plan", "Price") + row("Solo", "free"), "Lists": row("secret", "list") + row("a", "b")}
        document = read_document(make_xlsx(sheets, hidden=["Lists"]))
        assert "secret" not in document.pages[0].text
        assert document.warnings == ("The hidden sheet “Lists” was left out.",)

    def test_far_columns_do_not_fill_the_memory(self, make_xlsx: Make) -> None:
        sheet = row("Plan", "Price") + "".join(
            f"<row>{text_cell('far', f'XFD{n}')}{text_cell('Solo', f'A{n}')}</row>" for n in range(200)
        )
        document = read_document(make_xlsx({"Sheet1": sheet}))
        assert "far" not in document.pages[0].text
        assert "columns" in document.warnings[0]

    def test_one_text_many_times_is_bounded(self, make_xlsx: Make) -> None:
        sheet = row(*["<c t='s'><v>0</v></c>"] * 5) * 1000
        path = make_xlsx({"Sheet1": sheet}, shared=[f"<t>{'word ' * 5000}</t>"])
        with pytest.raises(DocumentError, match="more than 1,000,000 characters"):
            read_document(path, limits=replace(Limits(), max_characters=1_000_000))

    def test_a_sheet_that_is_listed_twice_is_read_once(self, make_xlsx: Make, tmp_path: Path) -> None:
        path = make_xlsx({"One": row("a", "b") + row("c", "d"), "Two": row("e", "f") + row("g", "h")})
        twice = with_changes(path, tmp_path / "b.xlsx", {"xl/_rels/workbook.xml.rels": ("sheet2.xml", "sheet1.xml")})
        assert blocks(read_document(twice)) == [(H, "One"), (T, "a: c; b: d")]

    @pytest.mark.parametrize("missing", ["xl/workbook.xml", "xl/worksheets/sheet1.xml"])
    def test_missing_parts(self, make_xlsx: Make, tmp_path: Path, missing: str) -> None:
        with zipfile.ZipFile(make_xlsx({"One": row("a", "b")})) as old, zipfile.ZipFile(tmp_path / "b.xlsx", "w") as new:
            for name in old.namelist():
                if name != missing:
                    new.writestr(name, old.read(name))
        with pytest.raises(DocumentError, match="missing"):
            read_document(tmp_path / "b.xlsx")


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (4.9, "General", "4.9"),
        (3.0, "General", "3"),
        (1e21, "General", "1e+21"),
        (1234.5, "0.00", "1234.50"),
        (1234567.891, "#,##0.00", "1,234,567.89"),
        (4.9, "[$€-407]\\ #,##0.00;[Red]-0", "€ 4.90"),
        (-4.9, '#,##0.00\\ "EUR"', "-4.90 EUR"),
        (4.9, '_-* #,##0.00\\ "€"_-;\\-* #,##0.00', "4.90 €"),
        (5.0, "0.##", "5"),
        (5.25, "0.##", "5.25"),
        (0.125, "0.0%", "12.5%"),
        (2_500_000, '0.0,,"M"', "2.5M"),
        (12345, "0.00E+00", "12345"),
        (0.5, "# ?/?", "0.5"),
        (45717, "dd/mm/yyyy", "2025-03-01"),
        (45717.5, "yyyy-mm-dd hh:mm", "2025-03-01 12:00"),
        (45717, "mmm yyyy", "2025-03"),
        (0.375, "h:mm AM/PM", "09:00"),
        (1.5, "[h]:mm", "36:00"),
        (1, "yyyy-mm-dd", "1900-01-01"),
        (1e12, "yyyy-mm-dd", "1000000000000"),
        (-3, "yyyy-mm-dd", "-3"),
        (2.5, "0", "3"),
        (-2.5, "0", "-3"),
        (0.285, "0%", "29%"),
        (1.005, "0.00", "1.01"),
        (1_500_000, "0,,", "2"),
        (1e308, "#,##0.00", "100" + ",000" * 102 + ".00"),
        (1e308, "0.0%", "1" + "0" * 310 + ".0%"),
        (5e-324, "0.00%", "0.00%"),
        (7, '"No. "0', "No. 7"),
        (7, '"text"', "7"),
        (7, "", "7"),
    ],
)
def test_shown_number(value: float, code: str, shown: str) -> None:
    assert shown_number(value, code) == shown


TABLE = "<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tblPr {}/>{}</a:tbl></a:graphicData></a:graphic></p:graphicFrame>"


def table(*rows: tuple[str, ...], properties: str = "") -> str:
    cell = "<a:tc><a:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></a:txBody></a:tc>"
    return TABLE.format(properties, "".join(f"<a:tr>{''.join(map(cell.format, row))}</a:tr>" for row in rows))


class TestPptx:
    def test_structure(self, make_pptx: Make, slide_shape: Shape) -> None:
        slide = (
            slide_shape("Smaller text boxes come as they are.")
            + slide_shape("Delivery", kind="title")
            + slide_shape("It takes 3 days.", "It is free.", kind="body")
            + slide_shape("12", kind="sldNum")
            + table(("Plan", "Price"), ("Solo", "free"))
        )
        assert blocks(read_document(make_pptx([slide]))) == [
            (H, "Delivery"),
            (P, "Smaller text boxes come as they are."),
            (L, "- It takes 3 days."),
            (L, "- It is free."),
            (T, "Plan: Solo; Price: free"),
        ]

    def test_a_page_for_each_slide_in_the_order_of_the_show(self, make_pptx: Make, slide_shape: Shape) -> None:
        slides = [slide_shape(f"Title {n}", kind="ctrTitle") + slide_shape(f"Text {n}.") for n in range(1, 4)]
        document = read_document(make_pptx([*slides, slide_shape("Untitled.")]))
        assert [page.text for page in document.pages] == [
            "Title 1\nText 1.",
            "Title 2\nText 2.",
            "Title 3\nText 3.",
            "Untitled.",
        ]
        assert document.pages[1].blocks[1].heading_path == ("Title 2",)
        assert document.pages[3].blocks[0].heading_path == ()

    def test_numbers_of_slides_hold_when_some_have_no_text(self, make_pptx: Make, slide_shape: Shape) -> None:
        document = read_document(make_pptx([slide_shape("One."), "", slide_shape("Three.")]))
        assert [(page.number, page.text) for page in document.pages] == [(1, "One."), (2, ""), (3, "Three.")]
        assert document.warnings == ("No text was found on slide 2.",)

    def test_notes_come_after_the_slide(self, make_pptx: Make, slide_shape: Shape) -> None:
        notes = (
            slide_shape("picture", kind="sldImg")
            + slide_shape("Say that it is free.", kind="body")
            + slide_shape("1", kind="sldNum")
        )
        document = read_document(make_pptx([slide_shape("Delivery", kind="title")], notes={1: notes}))
        assert blocks(document) == [(H, "Delivery"), (P, "Say that it is free.")]

    def test_hidden_slides_are_left_out_and_counted(self, make_pptx: Make, slide_shape: Shape) -> None:
        document = read_document(make_pptx([slide_shape("Old."), slide_shape("New.")], attributes={1: 'show="0"'}))
        assert [page.text for page in document.pages] == ["", "New."]
        assert document.warnings == ("Hidden, and therefore left out: slide 1.",)

    def test_numbered_lists_and_breaks(self, make_pptx: Make, slide_shape: Shape) -> None:
        numbered = "<a:p><a:pPr><a:buAutoNum/></a:pPr><a:r><a:t>{}</a:t></a:r></a:p>"
        broken = "<a:p><a:r><a:t>two</a:t></a:r><a:br/><a:r><a:t>lines</a:t></a:r></a:p>"
        slide = slide_shape(numbered.format("First"), numbered.format("Then")) + slide_shape(broken)
        assert blocks(read_document(make_pptx([slide]))) == [(L, "1. First"), (L, "2. Then"), (P, "two\nlines")]

    def test_groups_and_fallbacks(self, make_pptx: Make, slide_shape: Shape) -> None:
        compatibility = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
        slide = (
            f"<p:grpSp><p:grpSp>{slide_shape('Deep.')}</p:grpSp></p:grpSp><mc:AlternateContent {compatibility}>"
            f"<mc:Choice>{slide_shape('New.')}</mc:Choice><mc:Fallback>{slide_shape('Old.')}</mc:Fallback></mc:AlternateContent>"
        )
        assert blocks(read_document(make_pptx([slide]))) == [(P, "Deep."), (P, "New.")]

    def test_cells_that_are_merged(self, make_pptx: Make) -> None:
        rows = (
            "<a:tr><a:tc gridSpan='2'><a:txBody><a:p><a:r><a:t>wide</a:t></a:r></a:p></a:txBody></a:tc><a:tc hMerge='1'/>"
            "<a:tc rowSpan='2'><a:txBody><a:p><a:r><a:t>tall 1</a:t></a:r></a:p></a:txBody></a:tc></a:tr>"
            "<a:tr><a:tc><a:txBody><a:p><a:r><a:t>a</a:t></a:r></a:p></a:txBody></a:tc>"
            "<a:tc><a:txBody><a:p><a:r><a:t>b</a:t></a:r></a:p></a:txBody></a:tc><a:tc vMerge='1'/></a:tr>"
        )
        assert blocks(read_document(make_pptx([TABLE.format("", rows)]))) == [(T, "wide | tall 1"), (T, "a | b | tall 1")]

    def test_missing_slide(self, make_pptx: Make, tmp_path: Path, slide_shape: Shape) -> None:
        with zipfile.ZipFile(make_pptx([slide_shape("One.")])) as old, zipfile.ZipFile(tmp_path / "b.pptx", "w") as new:
            for name in old.namelist():
                if "slide1" not in name:
                    new.writestr(name, old.read(name))
        with pytest.raises(DocumentError, match="missing"):
            read_document(tmp_path / "b.pptx")


class TestPptxReferences:
    RELATIONS = "ppt/slides/_rels/slide{}.xml.rels"

    def diagrams(self, path: Path, listed: dict[str, int], diagram: str) -> Path:
        """Give slides (by the names of their files) relationships to one diagram, so many to each."""
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            for slide, count in listed.items():
                relation = '<Relationship Id="{}" Type="x/diagramData" Target="../diagrams/data1.xml"/>'
                inside = "".join(relation.format(f"d{n}") for n in range(count))
                archive.writestr(self.RELATIONS.format(slide), f'<Relationships xmlns="x">{inside}</Relationships>')
            archive.writestr("ppt/diagrams/data1.xml", diagram)
        return path

    def points(self, *texts: str) -> str:
        found = "".join(f"<pt><t><p><r><t>{text}</t></r></p></t></pt>" for text in texts)
        return f"<dataModel><ptLst>{found}</ptLst></dataModel>"

    def test_a_diagram_is_read_once_however_often_it_is_referred_to(self, make_pptx: Make, slide_shape: Shape) -> None:
        path = self.diagrams(
            make_pptx([slide_shape("One."), slide_shape("Two.")]), {"1": 3, "2": 3}, self.points("Order", "Pay")
        )
        assert blocks(read_document(path)) == [(P, "One."), (L, "- Order"), (L, "- Pay"), (P, "Two.")]

    def test_characters_are_counted_while_a_slide_is_read(
        self, make_pptx: Make, slide_shape: Shape, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[str] = []

        def piece(kind: BlockKind, text: str) -> Piece:
            made.append(text)
            return Piece(kind, text)

        monkeypatch.setattr(pptx, "Piece", piece)
        path = self.diagrams(make_pptx([slide_shape("One.")]), {"1": 1}, self.points(*["word " * 100] * 1000))
        with pytest.raises(DocumentError, match="more than 5,000 characters"):
            read_document(path, limits=replace(Limits(), max_characters=5_000))
        assert len(made) < 20

    def test_characters_of_all_slides_count(self, make_pptx: Make, slide_shape: Shape) -> None:
        path = make_pptx([slide_shape("word " * 100)] * 20)
        with pytest.raises(DocumentError, match="more than 5,000 characters"):
            read_document(path, limits=replace(Limits(), max_characters=5_000))

    def test_a_slide_that_is_listed_twice_is_read_once(self, make_pptx: Make, tmp_path: Path, slide_shape: Shape) -> None:
        path = make_pptx([slide_shape("One."), slide_shape("Two.")])
        twice = with_changes(path, tmp_path / "b.pptx", {"ppt/_rels/presentation.xml.rels": ("slide1.xml", "slide2.xml")})
        assert [page.text for page in read_document(twice).pages] == ["One."]


def add_inside(part: bytes, markup: bytes) -> bytes:
    """Into the first row of a sheet, or the first shape of a slide."""
    return part.replace(b"</row>", markup + b"</row>", 1).replace(b"</p:sp>", markup + b"</p:sp>", 1)


@pytest.mark.parametrize("suffix", ["xlsx", "pptx"])
class TestHostile:
    def rewritten(self, files: dict[str, Path], suffix: str, change: Callable[[bytes], bytes]) -> Path:
        path = files[suffix].with_name(f"changed.{suffix}")
        with zipfile.ZipFile(files[suffix]) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                new.writestr(name, change(old.read(name)) if "1.xml" in name else old.read(name))
        return path

    def test_entities(self, files: dict[str, Path], suffix: str) -> None:
        path = self.rewritten(files, suffix, lambda data: b'<!DOCTYPE x [<!ENTITY a "b">]>' + data)
        with pytest.raises(DocumentError, match="XML entities"):
            read_document(path)

    def test_bomb(self, files: dict[str, Path], suffix: str) -> None:
        path = self.rewritten(files, suffix, lambda data: data + b" " * 30_000_000)
        with pytest.raises(DocumentError, match="ZIP bomb"):
            read_document(path)

    def test_large_part(self, files: dict[str, Path], suffix: str) -> None:
        """A part that is large but not a bomb is read in pieces, or refused: not unpacked into a tree in memory."""
        import random

        numbers = random.Random(1)
        noise = "".join(f"<c{numbers.randrange(10**9)}/>" for _ in range(200_000)).encode()
        path = self.rewritten(
            files, suffix, lambda data: data.replace(b"</row>", noise + b"</row>").replace(b"</p:sp>", noise + b"</p:sp>")
        )
        assert "Delivery takes 3 days." in "".join(page.text for page in read_document(path).pages)

    def test_deep_nesting(self, files: dict[str, Path], suffix: str) -> None:
        deep = b"<x>" * 20_000 + b"</x>" * 20_000
        path = self.rewritten(
            files, suffix, lambda data: data.replace(b"</row>", deep + b"</row>").replace(b"</p:sp>", deep + b"</p:sp>")
        )
        assert "Delivery takes 3 days." in "".join(page.text for page in read_document(path).pages)
