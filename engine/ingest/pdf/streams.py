"""Compressed streams that would grow without bound when MuPDF unpacks them: the PDF's kind of ZIP bomb."""

from __future__ import annotations

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
_MAX_RATIO_OF_DEFLATE = 1032
_FEED_BYTES = 64 * 1024
_COMPRESSING = ("FlateDecode", "LZWDecode", "RunLengthDecode")


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
        size = _unpacked_size(document.xref_stream_raw(xref), source.limits.max_expansion_ratio) if "Flate" in filters else 0
        total += size if size > _SMALL_BYTES else 0
        if size > _MAX_STREAM_BYTES or total > source.limits.max_expanded_bytes:
            raise _bomb(source)


def _unpacked_size(packed: bytes, max_ratio: float) -> int:
    """How much a DEFLATE stream unpacks to; stops counting beyond the limits. Broken streams are left to MuPDF."""
    if len(packed) * _MAX_RATIO_OF_DEFLATE < _SMALL_BYTES:
        return 0
    size = 0
    inflate = zlib.decompressobj()
    waiting = packed
    try:
        while waiting and not inflate.eof and size <= _MAX_STREAM_BYTES:
            size += len(inflate.decompress(waiting, _FEED_BYTES))
            waiting = inflate.unconsumed_tail
    except zlib.error:
        return size
    return _MAX_STREAM_BYTES + 1 if size > max(_SMALL_BYTES, max_ratio * len(packed)) else size


def _bomb(source: Source) -> DocumentError:
    return DocumentError(
        f"{source.name} was refused: its pages would unpack to far more than their size (a compression bomb?).",
        hint="If the document is genuine, print it to a new PDF and add that.",
    )
