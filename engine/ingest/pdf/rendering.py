"""Pictures of pages. The caller holds MuPDF's lock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.domain import BoundingBox
from engine.errors import DocumentError
from engine.ingest.pdf.picture_sizes import picture_pixels
from engine.ingest.source import Source

if TYPE_CHECKING:
    import pymupdf

_MAX_PIXELS = 12_000_000
"""Of a picture: a page in A4 at 300 dots per inch has 8.7 million. Pages may claim to be a mile wide."""
_MAX_IMAGE_PIXELS = 200_000_000
"""Of all images on a page, which MuPDF unpacks to draw it: a sheet in A0 scanned at 300 dots per inch has 140 million."""
_ROUNDING = 0.999
_MARGIN = 1.0
"""Points that a mark reaches beyond its box."""
_MARKER_INK = (1.0, 0.9, 0.35)
"""Shares of red, green and blue that pass through the mark: letters stay black, white paper becomes yellow."""


def render(source: Source, page: pymupdf.Page, zoom: float, *, gray: bool = False) -> pymupdf.Pixmap:
    """Draw a page, `zoom` pixels to a point; fewer where the picture would be too large.

    Raises:
        DocumentError: the images on the page would unpack to too much.
    """
    import pymupdf

    if picture_pixels(page) > _MAX_IMAGE_PIXELS:
        raise DocumentError(
            f"A picture on page {page.number + 1} of {source.name} is too large to be drawn.",
            hint="Print the document to a new PDF with a lower resolution and add that.",
        )
    most = _ROUNDING * math.sqrt(_MAX_PIXELS / max(1.0, page.rect.width * page.rect.height))
    scale = min(zoom, most)
    colours = pymupdf.csGRAY if gray else pymupdf.csRGB
    return page.get_pixmap(matrix=pymupdf.Matrix(scale, scale), colorspace=colours, alpha=False)


def marked_picture(source: Source, page: pymupdf.Page, boxes: Sequence[BoundingBox], width: int) -> bytes:
    """A page as a PNG picture of about `width` pixels, with `boxes` marked as with a marker pen.

    Raises:
        DocumentError: the images on the page would unpack to too much.
    """
    import numpy as np
    import pymupdf

    picture = render(source, page, max(1, width) / max(1.0, page.rect.width))
    if not boxes:
        return bytes(picture.tobytes("png"))
    pixels = np.frombuffer(picture.samples, dtype=np.uint8).reshape(picture.height, picture.width, 3).copy()
    marked = np.zeros(pixels.shape[:2], dtype=bool)
    scale = picture.width / page.rect.width, picture.height / page.rect.height
    for box in boxes:
        if all(map(math.isfinite, box)):
            left, top, right, bottom = _in_pixels(box, scale)
            marked[top:bottom, left:right] = True
    pixels[marked] = (pixels[marked] * np.array(_MARKER_INK)).astype(np.uint8)
    return bytes(pymupdf.Pixmap(pymupdf.csRGB, picture.width, picture.height, pixels.tobytes(), False).tobytes("png"))


def _in_pixels(box: BoundingBox, scale: tuple[float, float]) -> tuple[int, int, int, int]:
    left, top = (max(0, math.floor((value - _MARGIN) * factor)) for value, factor in zip(box[:2], scale, strict=True))
    right, bottom = (max(0, math.ceil((value + _MARGIN) * factor)) for value, factor in zip(box[2:], scale, strict=True))
    return left, top, right, bottom
