"""Page layouts on the disk: a document is looked at several times, and all its pages would fill the memory."""

from __future__ import annotations

from typing import cast

from engine.domain import BoundingBox, Json
from engine.ingest.pdf.layout import Element, Line, PageLayout, Table
from engine.ingest.spool import Spool


def layout_spool() -> Spool[PageLayout]:
    """A spool of layouts."""
    return Spool(_packed, _unpacked)


def _packed(layout: PageLayout) -> Json:
    elements: list[Json] = [
        [element.text, list(element.bbox), element.size, element.bold, element.block]
        if isinstance(element, Line)
        else [list(element.bbox), [[text, list(box)] for text, box in element.rows]]
        for element in layout.elements
    ]
    return [layout.number, layout.width, layout.height, elements, layout.pictured, layout.source]


def _unpacked(packed: Json) -> PageLayout:
    number, width, height, elements, pictured, source = cast("tuple[int, float, float, list[list[Json]], float, str]", packed)
    read = tuple(map(_element, elements))
    return PageLayout(number, width, height, read, pictured, "ocr" if source == "ocr" else "text")


def _element(packed: list[Json]) -> Element:
    if len(packed) == 2:
        bbox, rows = cast("tuple[list[float], list[tuple[str, list[float]]]]", packed)
        return Table(_box(bbox), tuple((text, _box(box)) for text, box in rows))
    text, line, size, bold, block = cast("tuple[str, list[float], float, bool, int]", packed)
    return Line(text, _box(line), size, bold, block)


def _box(values: list[float]) -> BoundingBox:
    left, top, right, bottom = values
    return left, top, right, bottom
