"""Pages that are pictures, and pages whose text is garbage: read by Tesseract where it is installed, reported where not."""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pymupdf
import pytest

from engine.domain import BlockKind
from engine.errors import CancelledError, DocumentError
from engine.ingest import open_document, place_of, read_document
from engine.ingest.legibility import is_garbled
from engine.ingest.ocr import OcrError, recognise
from engine.ingest.pdf import recognition

needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract-ocr is not installed")
TEXT = "The parcel arrives within 3 days. Returns are free of charge for 45 days after that."
MakeScan = Callable[..., Path]
FakeProgram = Callable[[str], None]


@pytest.fixture
def make_scan(tmp_path: Path) -> MakeScan:
    """Writes a PDF of text pages (str) and pictures of text (bytes)."""

    def make(*pages: str | bytes) -> Path:
        path = tmp_path / "scan.pdf"
        with pymupdf.open() as document:
            for text in pages:
                page = document.new_page()
                with pymupdf.open() as other:
                    drawn = page if isinstance(text, str) else other.new_page()
                    words = text if isinstance(text, str) else text.decode()
                    drawn.insert_textbox(pymupdf.Rect(72, 150, 520, 800), words, fontsize=12)
                    if isinstance(text, bytes):
                        drawn.insert_text((72, 100), "Delivery terms", fontsize=24)
                        page.insert_image(page.rect, pixmap=drawn.get_pixmap(dpi=150, colorspace=pymupdf.csGRAY))
            document.save(path)
        return path

    return make


@pytest.fixture
def no_tesseract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def fake_tesseract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProgram:
    """Puts a program of that name first on the path."""

    def install(script: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "tesseract").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "tesseract").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    return install


@needs_tesseract
class TestRecognition:
    def test_scanned_page(self, make_scan: MakeScan) -> None:
        document = read_document(make_scan(TEXT, TEXT.encode()))
        first, second = document.pages
        assert (first.source, second.source) == ("text", "ocr")
        assert "The parcel arrives within 3 days." in second.text
        assert document.warnings == ("Page 2 was read from a picture (OCR): check names and numbers.",)

    def test_a_scan_of_the_whole_document(self, make_scan: MakeScan) -> None:
        page = read_document(make_scan(TEXT.encode())).pages[0]
        assert page.text.split("\n")[0] == "Delivery terms"
        assert page.blocks[0].kind is BlockKind.HEADING
        assert page.blocks[1].heading_path == ("Delivery terms",)

    def test_quotes_have_their_place(self, make_scan: MakeScan) -> None:
        page = read_document(make_scan(TEXT.encode())).pages[0]
        place = place_of(page, "The parcel arrives within 3 days.")
        assert place is not None
        left, top, right, bottom = place.boxes[0]
        assert 65 < left < 80
        assert 140 < top < bottom < 180
        assert 230 < right < 265, "the sentence, without what follows in its line"

    def test_garbage_is_read_from_the_picture(self, tmp_path: Path) -> None:
        garbage = "".join(chr(0xE000 + ord(character)) if character.isalpha() else character for character in TEXT)
        with pymupdf.open() as document:
            page = document.new_page()
            page.insert_textbox(pymupdf.Rect(72, 100, 520, 300), TEXT, fontsize=12)
            picture = page.get_pixmap(dpi=200, colorspace=pymupdf.csGRAY)
            scan = document.new_page()
            scan.insert_image(scan.rect, pixmap=picture)
            writer = pymupdf.TextWriter(scan.rect)
            writer.append((72, 100), garbage, font=pymupdf.Font("cjk"))
            writer.write_text(scan, render_mode=3)
            document.delete_page(0)
            document.save(tmp_path / "a.pdf")
        page = read_document(tmp_path / "a.pdf").pages[0]
        assert page.source == "ocr"
        assert "Returns are free of charge" in page.text


class TestWithoutTesseract:
    def test_pictures_are_reported(self, make_scan: MakeScan, no_tesseract: None) -> None:
        document = read_document(make_scan(TEXT, TEXT.encode(), TEXT.encode()))
        assert [bool(page.text) for page in document.pages] == [True, False, False]
        assert document.warnings == (
            "Pages 2, 3 are pictures; install tesseract-ocr and add the document again to have them read.",
        )

    def test_nothing_but_pictures(self, make_scan: MakeScan, no_tesseract: None) -> None:
        with pytest.raises(DocumentError, match="its pages are pictures") as caught:
            read_document(make_scan(TEXT.encode()))
        assert "tesseract-ocr" in (caught.value.hint or "")

    def test_blank_pages_are_no_pictures(self, make_scan: MakeScan, no_tesseract: None) -> None:
        assert read_document(make_scan(TEXT, "")).warnings == ("No text was found on page 2.",)

    def test_garbage_is_reported(self, make_pdf: Callable[..., Path], no_tesseract: None) -> None:
        marks = [((72, 100 + 20 * n), "7KH SDUFHO DUULYHV ZLWKLQ GDBV UHWXUQV DUH IUHH RI FKDUJH", 11) for n in range(5)]
        document = read_document(make_pdf([[((72, 100), TEXT, 11)], marks]))
        assert document.warnings == (
            "The text of page 2 is garbled in the file; install tesseract-ocr and add the document again to have it read.",
        )


class TestMishaps:
    @pytest.mark.parametrize("script", ["exit 1", "echo '<html'", "kill -9 $$", "cat > /dev/null; echo"])
    def test_a_program_that_fails_is_reported(self, make_scan: MakeScan, fake_tesseract: FakeProgram, script: str) -> None:
        fake_tesseract(script)
        document = read_document(make_scan(TEXT, TEXT.encode()))
        assert document.pages[1].text == ""
        assert any("page 2" in warning.lower() for warning in document.warnings)

    def test_a_program_that_always_fails_is_given_up(
        self, make_scan: MakeScan, fake_tesseract: FakeProgram, tmp_path: Path
    ) -> None:
        fake_tesseract(f"echo page >> {tmp_path}/calls; exit 1")
        document = read_document(make_scan(TEXT, *[TEXT.encode()] * 20))
        assert len(document.pages) == 21
        assert (tmp_path / "calls").read_text().count("page") < 20
        assert document.warnings == (
            "Text recognition failed on pages 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 …; the text there is missing or garbled.",
        )

    def test_a_document_has_only_so_much_time(
        self, make_scan: MakeScan, fake_tesseract: FakeProgram, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_tesseract("exit 1")
        looks = itertools.count(step=recognition.BUDGET_S / 2.5)  # each look at the clock finds so much time gone
        monkeypatch.setattr(recognition, "monotonic", lambda: next(looks))
        document = read_document(make_scan(TEXT, *[TEXT.encode()] * 4))
        assert document.warnings == (
            "Text recognition failed on pages 2, 3; the text there is missing or garbled.",
            "Text recognition ran out of time (2 hours a document) before pages 4, 5; the text there is missing or garbled. "
            "Split the document and add its parts.",
        )

    def test_reading_can_be_stopped(self, make_scan: MakeScan, fake_tesseract: FakeProgram, tmp_path: Path) -> None:
        fake_tesseract(f"echo page >> {tmp_path}/calls; exec cat > /dev/null")

        def stop(number: int, of: int | None) -> None:
            assert of == 21
            if number == 3:
                raise CancelledError("the job was stopped")

        with pytest.raises(CancelledError):
            list(open_document(make_scan(TEXT, *[TEXT.encode()] * 20)).pages(on_page=stop))
        assert (tmp_path / "calls").read_text().count("page") < 10

    def test_a_picture_that_is_too_large_is_reported(
        self, make_scan: MakeScan, fake_tesseract: FakeProgram, tmp_path: Path
    ) -> None:
        fake_tesseract("exit 1")
        with pymupdf.open(make_scan(TEXT, TEXT.encode())) as document:
            xref = document[1].get_images()[0][0]
            document.xref_set_key(xref, "Width", "60000")
            document.xref_set_key(xref, "Height", "60000")
            document.save(tmp_path / "large.pdf")
        document = read_document(tmp_path / "large.pdf")
        assert "parcel" in document.pages[0].text
        assert document.warnings == ("Text recognition failed on page 2; the text there is missing or garbled.",)

    def test_a_program_that_hangs_is_stopped(self, fake_tesseract: FakeProgram) -> None:
        fake_tesseract("exec tail -f /dev/null")
        with pytest.raises(OcrError, match="longer than"):
            recognise(b"P5\n1 1\n255\n0", timeout_s=0.2)


@pytest.mark.parametrize(
    ("text", "garbled"),
    [
        (TEXT, False),
        ("", False),
        ("ÄÖÜ STRASSE GRÖSSE – „Größe“ «ÉTÉ» ÀÂ… ÑANDÚ, ÅR ÅLAND ÄGYPTEN" * 2, False),
        ("ISBN 978-3-16-148410-0", False),
        ("Die Straßenbahn fährt über die Brücke, weil Züge dort nicht halten können.", False),
        (
            "Strč prst skrz krk. Vlk zmrzl, zhltl hrst zrn. Čtvrť, smrt a krb jsou česká slova, která mají málo samohlásek.",
            False,
        ),
        ("納品は三日以内に行われます。返品は四十五日間無料です。お電話は九時から受け付けております。" * 2, False),
        ("การจัดส่งใช้เวลาสามวันและการคืนสินค้าไม่มีค่าใช้จ่ายภายในสี่สิบห้าวันหลังจากนั้น" * 2, False),
        ("Посылка придёт в течение трёх дней. Возврат бесплатный в течение сорока пяти дней.", False),
        ("Contents ........ 1\nDelivery ........ 4\nReturns ......... 9\nWarranty ........ 12", False),
        ("| 12 | 14.5 | 99 |\n" * 20, False),
        ("7KH SDUFHO DUULYHV ZLWKLQ GDBV UHWXUQV DUH IUHH RI FKDUJH " * 3, True),
        ("".join(chr(0xE000 + ord(c)) if c.isalpha() else c for c in TEXT), True),
        ("\ufffd\ufffd\ufffd \ufffd\ufffd\ufffd\ufffd " * 10, True),
        (TEXT.replace(" ", "") * 3, True),
        ("Die StraÃŸenbahn fÃ¤hrt Ã¼ber die BrÃ¼cke, weil ZÃ¼ge dort nicht halten kÃ¶nnen.", True),
        ("!\"#$ %&'( )*+, -./0 #$%& '()* +,-. $%&' ()*+ !#%' \"$&( )+-/ *,.0" * 3, True),
    ],
)
def test_garbled(text: str, garbled: bool) -> None:
    assert is_garbled(text) is garbled
