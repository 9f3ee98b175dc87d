"""How much the pictures on a page unpack to, by what the file declares and by what their own data say.

MuPDF unpacks JPEG 2000 and JBIG2 to the size in the data's own header, whatever the PDF says of them. The caller holds MuPDF's
lock.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pymupdf

_MAX_UNPACKED_BYTES = 64 * 1024 * 1024
"""Of packed picture data that was packed once more."""
_REFERENCE = re.compile(r"(\d+) \d+ R")
_WIDE = "JPXDecode"
_BILEVEL = "JBIG2Decode"
_SIZE = re.compile(rb"(?=\xff\x4f\xff\x51.{4}(.{4})(.{4})(.{4})(.{4}).{16}(..))", re.DOTALL)
"""Start of a JPEG 2000 code stream (ISO/IEC 15444-1, A.5.1): far corner, near corner, number of components.

It takes up no data, so that what only looks like a start hides none that begins within it."""
_PALETTE = re.compile(rb"pclr..(.)", re.DOTALL)
"""A JPEG 2000 palette: how many components each value of the picture stands for."""
_PAGE_SEGMENT = 48
_REGION_SEGMENTS = frozenset({4, 6, 7, 20, 22, 23, 36, 38, 39, 40, 42, 43})
"""JBIG2 segments (ITU-T T.88, 7.3) whose data begin with a width and a height, as those of a page do."""
_STRIPED = 0xFFFFFFFF
"""A JBIG2 page that does not know its height grows with what is on it, and what is on it is bounded."""


def picture_pixels(page: pymupdf.Page) -> float:
    """Pixels of all pictures and masks on a page, JPEG 2000 counted once for each component; infinite where nobody can tell."""
    document = page.parent
    pixels = 0.0
    for image in page.get_images(full=True):
        pixels += max(image[2] * image[3], _by_data(document, image[0]))
        for mask in _masks(document, image[0]):
            pixels += max(_declared(document, mask), _by_data(document, mask))
    return pixels


def _masks(document: pymupdf.Document, xref: int) -> Iterator[int]:
    for key in ("SMask", "Mask"):
        kind, value = document.xref_get_key(xref, key)
        match = _REFERENCE.match(value) if kind == "xref" else None
        if match and document.xref_is_stream(int(match[1])):
            yield int(match[1])


def _declared(document: pymupdf.Document, xref: int) -> float:
    width, height = (_resolved(document, xref, key) for key in ("Width", "Height"))
    return int(width) * int(height) if width.isdecimal() and height.isdecimal() else 0.0


def _by_data(document: pymupdf.Document, xref: int) -> float:
    filters = _resolved(document, xref, "Filter")
    if _REFERENCE.search(filters):
        return math.inf
    if _WIDE not in filters and _BILEVEL not in filters:
        return 0.0
    data = _unwrapped(document.xref_stream_raw(xref), filters)
    if data is None:
        return math.inf
    return _wide_samples(data) if _WIDE in filters else _bilevel_pixels(data)


def _resolved(document: pymupdf.Document, xref: int, key: str) -> str:
    """A value as it is written, with what it refers to in place of references."""

    def referred(match: re.Match[str]) -> str:
        number = int(match[1])
        return str(document.xref_object(number, compressed=True)) if 0 < number < document.xref_length() else "null"

    return _REFERENCE.sub(referred, str(document.xref_get_key(xref, key)[1]))


def _unwrapped(data: bytes, filters: str) -> bytes | None:
    """The picture's own data; None where they are packed in a way that pictures never are."""
    outer = filters.strip("[] ").replace("/", " ").split()[:-1]
    if not outer:
        return data
    if outer != ["FlateDecode"]:
        return None
    inflate = zlib.decompressobj()
    try:
        unpacked = inflate.decompress(data, _MAX_UNPACKED_BYTES)
    except zlib.error:
        return None
    return None if inflate.unconsumed_tail else unpacked


def _wide_samples(data: bytes) -> float:
    palette = max((columns[0] for columns in _PALETTE.findall(data)), default=0)
    found = [
        (_number(right) - _number(left)) * (_number(bottom) - _number(top)) * (_number(components) + palette)
        for right, bottom, left, top, components in _SIZE.findall(data)
    ]
    return float(max(found, default=0))


def _bilevel_pixels(data: bytes) -> float:
    """The sum over all regions, and the page: each is held in memory."""
    pixels, at = 0.0, 0
    while at + 11 <= len(data):
        kind, at = data[at + 4], _after_references(data, at)
        length, start = _number(data[at : at + 4]), at + 4
        if kind & 0x3F == _PAGE_SEGMENT or kind & 0x3F in _REGION_SEGMENTS:
            width, height = _number(data[start : start + 4]), _number(data[start + 4 : start + 8])
            pixels += 0 if height == _STRIPED else width * height
        if length == _STRIPED:  # only the last region may leave its length open
            break
        at = start + length
    return pixels


def _after_references(data: bytes, at: int) -> int:
    """Where the length of a JBIG2 segment stands (T.88, 7.2): behind the segments that it refers to, and its page."""
    number, kind = _number(data[at : at + 4]), data[at + 4]
    count = data[at + 5] >> 5
    behind = at + 6
    if count == 7:
        count = _number(data[at + 5 : at + 9]) & 0x1FFFFFFF
        behind = at + 9 + (count + 8) // 8
    width = 1 if number <= 256 else 2 if number <= 65536 else 4
    return behind + count * width + (4 if kind & 0x40 else 1)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")
