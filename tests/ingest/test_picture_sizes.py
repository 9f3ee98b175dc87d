"""Pictures that unpack to more than the PDF says."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pymupdf
import pytest
from PIL import Image

from engine.errors import DocumentError
from engine.ingest import page_picture, read_document
from engine.ingest.ocr import find_tesseract

Make = Callable[..., Path]
TOO_LARGE = "A picture on page 1 of a.pdf is too large to be drawn."


def jpeg2000(side: int | None = None, components: int = 1) -> bytes:
    """A real picture of 32 by 32; with `side` its own header claims to be so large."""
    data = io.BytesIO()
    Image.new("L", (32, 32), 90).save(data, "JPEG2000")
    found = data.getvalue()
    if side is not None:
        at = found.index(b"\xff\x4f\xff\x51") + 8
        found = found[:at] + struct.pack(">II", side, side) + found[at + 8 :]
        found = found[: at + 32] + struct.pack(">H", components) + found[at + 34 :]
    return found


def hidden(data: bytes) -> bytes:
    """A picture of JPEG 2000 behind a box that ends in what looks like the start of a small one, which reaches into it."""
    lure = bytes(16) + b"\xff\x4f\xff\x51" + bytes(12)
    at = data.index(b"jp2c") - 4
    return data[:at] + struct.pack(">I", 8 + len(lure)) + b"uuid" + lure + data[at:]


def jbig2(side: int, *, kind: int = 48, before: bytes = b"") -> bytes:
    """A JBIG2 segment that claims to be so large, behind another."""
    claim = struct.pack(">II", side, side) + bytes(11)
    return before + struct.pack(">IBBBI", 1, kind, 0, 1, len(claim)) + claim


DICTIONARY = struct.pack(">IBBBBBI", 0, 0, 0b01000000, 3, 4, 1, 5) + bytes(5)
"""A segment that refers to two others."""
MANY_REFERENCES = struct.pack(">IBI", 300, 0, (7 << 29) | 9) + bytes(2) + bytes(2 * 9) + b"\1" + struct.pack(">I", 5) + bytes(5)
"""A segment that refers to nine others, in the long form."""


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a PDF with a picture that is declared to be 20 by 20, from its data and filter."""

    def write(data: bytes, filters: str, *, as_mask: bool = False) -> Path:
        with pymupdf.open() as document:
            page = document.new_page()
            page.insert_text((72, 750), "Delivery takes 3 days.")
            pixmap = pymupdf.Pixmap(pymupdf.csGRAY, pymupdf.IRect(0, 0, 20, 20))
            xref = target = page.insert_image(pymupdf.Rect(0, 0, 500, 700), pixmap=pixmap)
            if as_mask:
                target = document.get_new_xref()
                document.update_object(target, "<</Type/XObject/Subtype/Image/ColorSpace/DeviceGray/BitsPerComponent 8>>")
                document.xref_set_key(xref, "SMask", f"{target} 0 R")
            document.update_stream(target, data, compress=False)
            for key, value in (("Filter", filters), ("Width", "20"), ("Height", "20"), ("DecodeParms", "null")):
                document.xref_set_key(target, key, value)
            document.save(tmp_path / "a.pdf")
        return tmp_path / "a.pdf"

    return write


def test_a_sound_picture_is_drawn(make: Make) -> None:
    path = make(jpeg2000(), "/JPXDecode")
    picture = pymupdf.Pixmap(page_picture(path, 1, []))
    assert picture.pixel(picture.width // 3, picture.height // 3)[0] < 120


def test_a_sound_picture_that_was_packed_twice_is_drawn(make: Make) -> None:
    path = make(zlib.compress(jpeg2000()), "[/FlateDecode /JPXDecode]")
    assert page_picture(path, 1, [])


@pytest.mark.parametrize("as_mask", [False, True], ids=["picture", "mask"])
@pytest.mark.parametrize(
    ("data", "filters"),
    [
        (jpeg2000(60_000), "/JPXDecode"),
        (hidden(jpeg2000(60_000)), "/JPXDecode"),
        (jpeg2000(4_000, components=40), "/JPXDecode"),
        (jpeg2000(4_000) + b"pclr\0\2\x40", "/JPXDecode"),
        (zlib.compress(jpeg2000(60_000)), "[/FlateDecode /JPXDecode]"),
        (zlib.compress(bytes(65 * 1024 * 1024)), "[/FlateDecode /JPXDecode]"),
        (b"no deflate", "[/FlateDecode /JPXDecode]"),
        (jpeg2000().hex().encode(), "[/ASCIIHexDecode /JPXDecode]"),
        (jbig2(60_000), "/JBIG2Decode"),
        (jbig2(60_000, kind=38), "/JBIG2Decode"),
        (jbig2(60_000, before=DICTIONARY), "/JBIG2Decode"),
        (jbig2(60_000, before=MANY_REFERENCES), "/JBIG2Decode"),
        (jbig2(12_000, before=jbig2(12_000)), "/JBIG2Decode"),
    ],
    ids=[
        "large",
        "behind a lure",
        "many components",
        "palette",
        "packed twice",
        "bomb",
        "not packed",
        "odd packing",
        "page",
        "region",
        "behind another",
        "behind many references",
        "two regions",
    ],
)
def test_pictures_that_are_larger_than_they_are_said_to_be_are_not_drawn(
    make: Make, data: bytes, filters: str, as_mask: bool
) -> None:
    path = make(data, filters, as_mask=as_mask)
    with pytest.raises(DocumentError) as caught:
        page_picture(path, 1, [])
    assert caught.value.message == TOO_LARGE


def test_a_mask_that_is_declared_too_large_is_not_drawn(make: Make) -> None:
    path = make(bytes(400), "null", as_mask=True)
    with pymupdf.open(path) as document:
        mask = int(document.xref_get_key(document[0].get_images()[0][0], "SMask")[1].split()[0])
        document.xref_set_key(mask, "Width", "60000")
        document.xref_set_key(mask, "Height", "60000")
        document.saveIncr()
    with pytest.raises(DocumentError) as caught:
        page_picture(path, 1, [])
    assert caught.value.message == TOO_LARGE


def test_a_filter_that_is_named_elsewhere_is_found(make: Make) -> None:
    path = make(jpeg2000(60_000), "/JPXDecode")
    with pymupdf.open(path) as document:
        elsewhere = document.get_new_xref()
        document.update_object(elsewhere, "[/JPXDecode]")
        document.xref_set_key(document[0].get_images()[0][0], "Filter", f"{elsewhere} 0 R")
        document.saveIncr()
    with pytest.raises(DocumentError) as caught:
        page_picture(path, 1, [])
    assert caught.value.message == TOO_LARGE


@pytest.mark.parametrize("cut", [1, 9, 12, 20])
def test_cut_off_data_do_no_harm(make: Make, cut: int) -> None:
    assert page_picture(make(jbig2(50)[:cut], "/JBIG2Decode"), 1, [])
    assert page_picture(make(jpeg2000()[:cut], "/JPXDecode"), 1, [])


@pytest.mark.skipif(find_tesseract() is None, reason="needs tesseract-ocr")
def test_reading_goes_on_without_it(make: Make) -> None:
    document = read_document(make(jpeg2000(60_000), "/JPXDecode"))
    assert document.pages[0].text == "Delivery takes 3 days."


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize(
    "claim",
    [
        b"/W 60000 /H 600",
        b"/Width 60\n/Height +060000",
        b"/#57 60000 /H 60",
        b"/W %wide\r60000 /H 60",
        b"/W %" + b"w" * 900 + b"\n60000",
    ],
    ids=["wide", "high", "escaped", "comment", "long comment"],
)
def test_a_picture_inside_of_the_contents_that_claims_to_be_large_is_refused(
    tmp_path: Path, claim: bytes, deflate: bool
) -> None:
    path = contents(tmp_path / "a.pdf", b"BI " + claim + b" /BPC 8 /CS /G ID aaaa EI", deflate=deflate)
    for read in (read_document, lambda path: page_picture(path, 1, [])):
        with pytest.raises(DocumentError, match="compression bomb"):
            read(path)


def test_a_small_picture_inside_of_the_contents_is_read_past(tmp_path: Path) -> None:
    path = contents(tmp_path / "a.pdf", b"BI /W 4 /H 1 /BPC 8 /CS /G ID aaaa EI", deflate=True)
    assert read_document(path).pages[0].text == "Delivery takes 3 days."


def test_words_and_references_that_look_like_such_a_picture_are_no_reason_to_refuse(tmp_path: Path) -> None:
    path = contents(tmp_path / "a.pdf", b"% BI tools /W 12345 0 R", deflate=True)
    assert read_document(path).pages[0].text == "Delivery takes 3 days."


def contents(path: Path, more: bytes, *, deflate: bool) -> Path:
    """Writes a PDF of one page with a line of text, and more after it."""
    with pymupdf.open() as document:
        page = document.new_page()
        page.insert_text((72, 300), "Delivery takes 3 days.")
        xref = page.get_contents()[0]
        document.update_stream(xref, document.xref_stream(xref) + b"\nq 90 0 0 90 50 50 cm " + more + b" Q\n", compress=False)
        document.save(path, deflate=deflate)
    return path
