"""Layout of PDFs: order, tables, headers, headings, hyphens; and PDFs that cannot be read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pymupdf
import pytest

from engine.domain import Block, BlockKind, Page
from engine.errors import DocumentError
from engine.ingest import Limits, LoadedDocument, read_document
from engine.ingest.pdf.paragraphs import join_lines

MakePdf = Callable[..., Path]


def texts(page: Page, kind: BlockKind) -> list[str]:
    return [page.text[block.start : block.end] for block in page.blocks if block.kind is kind]


def block_of(page: Page, text: str) -> Block:
    at = page.text.index(text)
    return next(block for block in page.blocks if block.start <= at < block.end)


@pytest.fixture(scope="module")
def handbook(sample_pdf: Path) -> LoadedDocument:
    return read_document(sample_pdf)


class TestSample:
    def test_headings(self, handbook: LoadedDocument) -> None:
        found = [text for page in handbook.pages for text in texts(page, BlockKind.HEADING)]
        assert found == [
            "Customer Handbook", "Ordering", "Gift cards", "Privacy", "Delivery", "Returns and refunds", "Warranty", "Repairs",
            "Care", "Safety", "Models", "Opening hours", "Customer service", "Loyalty programme", "Recycling",
        ]  # fmt: skip

    def test_heading_path_goes_on_over_pages(self, handbook: LoadedDocument) -> None:
        assert block_of(handbook.pages[1], "You may return").heading_path == ("Customer Handbook", "Returns and refunds")

    def test_two_columns_are_read_one_after_the_other(self, handbook: LoadedDocument) -> None:
        text = handbook.pages[2].text
        order = [
            text.index(mark) for mark in ("5 years", "10 working days", "29 euros", "every 6 weeks", "0.3 litres", "230 volts")
        ]
        assert order == sorted(order)

    def test_a_sentence_goes_on_in_the_next_column(self, handbook: LoadedDocument) -> None:
        assert "Never put the kettle or its base into a dishwasher." in handbook.pages[2].text

    def test_table_rows(self, handbook: LoadedDocument) -> None:
        rows = texts(handbook.pages[1], BlockKind.TABLE_ROW)
        assert len(rows) == 4
        assert rows[1] == "Delivery: Express; Time: next working day; Price: 12.50 euros; Tracking: yes"

    def test_table_stands_between_the_paragraphs_around_it(self, handbook: LoadedDocument) -> None:
        text = handbook.pages[1].text
        assert text.index("The table shows") < text.index("Delivery: Standard") < text.index("Parcels are handed")

    def test_list_items(self, handbook: LoadedDocument) -> None:
        items = texts(handbook.pages[1], BlockKind.LIST_ITEM)
        assert len(items) == 4
        assert items[0] == "- The kettle must be clean, dry and in its original box."

    def test_running_header_and_page_numbers_are_gone(self, handbook: LoadedDocument) -> None:
        for page in handbook.pages:
            assert "Aurora Kettle Company · Customer Handbook" not in page.text
            assert "Page " not in page.text

    def test_positions_are_on_the_page_where_the_text_is(self, handbook: LoadedDocument, sample_pdf: Path) -> None:
        box = block_of(handbook.pages[2], "230 volts").bbox
        assert box is not None
        with pymupdf.open(sample_pdf) as document:
            assert "230 volts" in document[2].get_textbox(pymupdf.Rect(box))


class TestLayout:
    def test_repeated_text_in_the_middle_stays(self, make_pdf: MakePdf) -> None:
        pages = [
            [
                ((72, 40), "Confidential draft", 9),
                ((72, 400), "Call us.", 11),
                ((72, 500), f"Fact number {n}.", 11),
                ((290, 820), str(n), 9),
            ]
            for n in range(1, 6)
        ]
        document = read_document(make_pdf(pages))
        assert [page.text.splitlines() for page in document.pages] == [["Call us.", f"Fact number {n}."] for n in range(1, 6)]

    def test_header_of_a_single_page_stays(self, make_pdf: MakePdf) -> None:
        document = read_document(make_pdf([[((72, 40), "Notice", 11), ((72, 300), "The shop is closed.", 11)]]))
        assert "Notice" in document.pages[0].text

    def test_labels_are_read_with_their_values(self, make_pdf: MakePdf) -> None:
        rows = [("Monday", "9 to 5"), ("Tuesday", "10 to 6"), ("Friday", "9 to 3"), ("Sunday", "closed")]
        marks = [
            (place, text, 11)
            for n, (day, hours) in enumerate(rows)
            for place, text in (((72, 100 + 20 * n), day), ((300, 100 + 20 * n), hours))
        ]
        text = read_document(make_pdf([marks])).pages[0].text
        assert [f"{day} {hours}" for day, hours in rows] == text.splitlines()

    def test_hyphenated_words_are_joined(self, make_pdf: MakePdf) -> None:
        marks = [((72, 100), "The heating element is guaran-", 11), ((72, 114), "teed for eight years by the maker.", 11)]
        assert "is guaranteed for eight years" in read_document(make_pdf([marks])).pages[0].text

    def test_bold_lines_are_headings_below_larger_ones(self, tmp_path: Path) -> None:
        with pymupdf.open() as document:
            page = document.new_page()
            page.insert_text((72, 80), "Terms", fontsize=20)
            page.insert_text((72, 120), "Payment", fontsize=11, fontname="hebo")
            page.insert_text((72, 150), "You pay within thirty days of the invoice, by bank transfer.", fontsize=11)
            document.save(tmp_path / "a.pdf")
        found = read_document(tmp_path / "a.pdf").pages[0]
        assert texts(found, BlockKind.HEADING) == ["Terms", "Payment"]
        assert block_of(found, "You pay").heading_path == ("Terms", "Payment")

    def test_lines_of_a_table_of_contents_are_no_headings(self, tmp_path: Path) -> None:
        with pymupdf.open() as document:
            page = document.new_page()
            page.insert_text((72, 80), "Contents", fontsize=20)
            page.insert_text((72, 120), "1 Payment . . . . . . . . . . . 4", fontsize=11, fontname="hebo")
            page.insert_text((72, 150), "You pay within thirty days of the invoice, by bank transfer.", fontsize=11)
            document.save(tmp_path / "a.pdf")
        assert texts(read_document(tmp_path / "a.pdf").pages[0], BlockKind.HEADING) == ["Contents"]

    def test_bookmarks_name_headings(self, tmp_path: Path) -> None:
        with pymupdf.open() as document:
            page = document.new_page()
            page.insert_text((72, 80), "Scope", fontsize=11)
            page.insert_text((72, 120), "These terms hold for all orders of our customers.", fontsize=11)
            document.set_toc([[1, "Scope", 1]])
            document.save(tmp_path / "a.pdf")
        assert texts(read_document(tmp_path / "a.pdf").pages[0], BlockKind.HEADING) == ["Scope"]

    def test_numbers_of_pages_hold_when_some_have_no_text(self, make_pdf: MakePdf) -> None:
        document = read_document(make_pdf([[((72, 300), "First.", 11)], [], [((72, 300), "Third.", 11)]]))
        assert [(page.number, page.text) for page in document.pages] == [(1, "First."), (2, ""), (3, "Third.")]
        assert document.warnings == ("No text was found on page 2.",)

    def test_frame_around_text_is_no_table(self, tmp_path: Path) -> None:
        with pymupdf.open() as document:
            page = document.new_page()
            page.draw_rect(pymupdf.Rect(60, 80, 400, 140))
            page.insert_text((72, 110), "Please note our new opening hours.", fontsize=11)
            document.save(tmp_path / "a.pdf")
        page = read_document(tmp_path / "a.pdf").pages[0]
        assert texts(page, BlockKind.PARAGRAPH) == ["Please note our new opening hours."]


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        (["a guaran-", "tee"], "a guarantee"),
        (["the Aurora-", "Kettle"], "the Aurora-Kettle"),
        (["from 5 -", "10 days"], "from 5 - 10 days"),
        (["well-", "known"], "well-known"),
        (["one", "two"], "one two"),
        ([], ""),
    ],
)
def test_join_lines(lines: list[str], joined: str) -> None:
    assert join_lines(lines, frozenset({"well-known"})) == joined


class TestRefusals:
    def test_password(self, tmp_path: Path) -> None:
        with pymupdf.open() as document:
            document.new_page().insert_text((72, 72), "secret")
            document.save(tmp_path / "a.pdf", encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="user", owner_pw="owner")
        with pytest.raises(DocumentError, match="protected by a password"):
            read_document(tmp_path / "a.pdf")

    def test_owner_password_alone_does_not_hinder_reading(self, tmp_path: Path) -> None:
        with pymupdf.open() as document:
            document.new_page().insert_text((72, 72), "Open to all.")
            document.save(tmp_path / "a.pdf", encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="", owner_pw="owner")
        assert read_document(tmp_path / "a.pdf").pages[0].text == "Open to all."

    @pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
    def test_cut_off(self, sample_pdf: Path, tmp_path: Path, share: float) -> None:
        data = sample_pdf.read_bytes()
        (tmp_path / "a.pdf").write_bytes(data[: int(share * len(data))])
        with pytest.raises(DocumentError, match="damaged"):
            read_document(tmp_path / "a.pdf")

    def test_scan(self, tmp_path: Path) -> None:
        with pymupdf.open() as document:
            picture = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 20, 20))
            document.new_page().insert_image(pymupdf.Rect(0, 0, 500, 700), pixmap=picture)
            document.save(tmp_path / "a.pdf")
        with pytest.raises(DocumentError, match="no text layer") as caught:
            read_document(tmp_path / "a.pdf")
        assert "OCR" in (caught.value.hint or "")

    @pytest.mark.parametrize("repeats", [40_000, 400_000])
    def test_compression_bomb(self, tmp_path: Path, repeats: int) -> None:
        with pymupdf.open() as document:
            page = document.new_page()
            page.insert_text((72, 72), "Open.")
            show = b"(" + b"a" * 90 + b") Tj "
            document.update_stream(page.get_contents()[0], b"BT /helv 11 Tf " + show * repeats + b"ET")
            document.save(tmp_path / "a.pdf", deflate=True)
        with pytest.raises(DocumentError, match="compression bomb"):
            read_document(tmp_path / "a.pdf")

    def test_stream_that_is_compressed_twice(self, tmp_path: Path) -> None:
        with pymupdf.open() as document:
            page = document.new_page()
            page.insert_text((72, 72), "Open.")
            document.xref_set_key(page.get_contents()[0], "Filter", "[/FlateDecode /FlateDecode]")
            document.save(tmp_path / "a.pdf")
        with pytest.raises(DocumentError, match="compression bomb"):
            read_document(tmp_path / "a.pdf")

    def test_no_pages(self, tmp_path: Path) -> None:
        (tmp_path / "a.pdf").write_bytes(
            b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
            b"xref\n0 3\n0000000000 65535 f \n0000000009 00000 n \n0000000052 00000 n \ntrailer<</Size 3/Root 1 0 R>>\n"
            b"startxref\n98\n%%EOF"
        )
        with pytest.raises(DocumentError, match="no pages"):
            read_document(tmp_path / "a.pdf")

    def test_too_many_pages(self, sample_pdf: Path) -> None:
        with pytest.raises(DocumentError, match="has 4 pages; at most 3"):
            read_document(sample_pdf, limits=replace(Limits(), max_pages=3))
