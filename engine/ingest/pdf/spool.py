"""Page layouts on the disk: a document is looked at several times, and all its pages would fill the memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from types import TracebackType

from engine.ingest.pdf.layout import Element, Line, PageLayout, Table

_IN_MEMORY_BYTES = 4 * 1024 * 1024


class LayoutSpool:
    """Layouts in the order in which they were added; may be read any number of times. The file goes at the end."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - closed by __exit__
        self._end = 0

    def __enter__(self) -> LayoutSpool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def add(self, layout: PageLayout) -> None:
        """Put a layout at the end."""
        self._file.seek(self._end)
        self._end += self._file.write(json.dumps(_packed(layout)).encode() + b"\n")

    def __iter__(self) -> Iterator[PageLayout]:
        position = 0
        while position < self._end:
            self._file.seek(position)
            data = self._file.readline()
            position += len(data)
            yield _unpacked(json.loads(data))


def _packed(layout: PageLayout) -> list[object]:
    elements = [
        [element.text, element.bbox, element.size, element.bold, element.block]
        if isinstance(element, Line)
        else [element.bbox, element.rows]
        for element in layout.elements
    ]
    return [layout.number, layout.width, layout.height, elements, layout.pictured, layout.source]


def _unpacked(packed: list) -> PageLayout:  # type: ignore[type-arg]
    number, width, height, elements, pictured, source = packed
    return PageLayout(number, width, height, tuple(map(_element, elements)), pictured, source)


def _element(packed: list) -> Element:  # type: ignore[type-arg]
    if len(packed) == 5:
        text, bbox, size, bold, block = packed
        return Line(text, tuple(bbox), size, bold, block)
    bbox, rows = packed
    return Table(tuple(bbox), tuple((text, tuple(box)) for text, box in rows))
