"""Compressed streams that would grow without bound when MuPDF unpacks them: the PDF's kind of ZIP bomb."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

from engine.errors import DocumentError
from engine.ingest.source import Source

if TYPE_CHECKING:
    import pymupdf

_SMALL_BYTES = 1024 * 1024
"""A stream that unpacks to less than this does no harm, whatever its ratio."""
_MAX_STREAM_BYTES = 32 * 1024 * 1024
"""Page contents are seldom over 1 MB; MuPDF takes about a second and 30 MB of memory for each MB of them."""
_FEED_BYTES = 64 * 1024
_COMPRESSING = ("FlateDecode", "LZWDecode", "RunLengthDecode")
_INLINE = re.compile(
    rb"\bBI\b|/(?:W|Width|H|Height)(?:\s|%[^\r\n]{0,200}[\r\n])*"
    rb"(?P<large>[+]?0*[1-9]\d{4,}\b(?!\s+\d+\s+R\b)|%[^\r\n]{201})"
)
"""A picture inside of a page's contents (ISO 32000-1, 8.9.7), and a side of 10,000 pixels or more, or one behind a long remark.

Such pictures are meant to have 4 kB, and MuPDF sets memory aside for what they claim, even to read text. A number that is the
first half of a reference (`/W 12345 0 R`) is none: fonts have these."""
_ESCAPED = re.compile(rb"#([0-9a-fA-F]{2})")


def check_streams(source: Source, document: pymupdf.Document) -> None:
    """Look at every stream but pictures, which are never unpacked here. The caller holds MuPDF's lock.

    Raises:
        DocumentError: a stream is compressed twice, or would unpack to more than the limits allow.
    """
    total = 0
    for xref in range(1, document.xref_length()):
        if not document.xref_is_stream(xref) or document.xref_get_key(xref, "Subtype")[1] == "/Image":
            continue
        filters = str(document.xref_get_key(xref, "Filter")[1])
        if sum(filters.count(name) for name in _COMPRESSING) > 1:
            raise _bomb(source)
        raw = document.xref_stream_raw(xref)
        unpacked = _unpacked(raw, source.limits.max_expansion_ratio) if "Flate" in filters else raw
        size = len(unpacked) if "Flate" in filters else 0
        total += size if size > _SMALL_BYTES else 0
        if size > _MAX_STREAM_BYTES or total > source.limits.max_expanded_bytes or _has_large_picture(unpacked):
            raise _bomb(source)


def _unpacked(packed: bytes, max_ratio: float) -> bytes:
    """What a DEFLATE stream unpacks to; more than `_MAX_STREAM_BYTES` where it is a bomb. Broken streams are left to MuPDF."""
    parts: list[bytes] = []
    size = 0
    inflate = zlib.decompressobj()
    waiting = packed
    try:
        while waiting and not inflate.eof and size <= _MAX_STREAM_BYTES:
            parts.append(inflate.decompress(waiting, _FEED_BYTES))
            size += len(parts[-1])
            waiting = inflate.unconsumed_tail
    except zlib.error:
        return b"".join(parts)
    is_bomb = size > max(_SMALL_BYTES, max_ratio * len(packed))
    return bytes(_MAX_STREAM_BYTES + 1) if is_bomb else b"".join(parts)


def _has_large_picture(contents: bytes) -> bool:
    """Whether contents have a picture in them that claims to be very large."""
    if b"BI" not in contents:
        return False
    plain = _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), contents) if b"#" in contents else contents
    begun = False
    for match in _INLINE.finditer(plain):
        if begun and match["large"]:
            return True
        begun = begun or match["large"] is None
    return False


def _bomb(source: Source) -> DocumentError:
    return DocumentError(
        f"{source.name} was refused: its pages would unpack to far more than their size (a compression bomb?).",
        hint="If the document is genuine, print it to a new PDF and add that.",
    )
