"""Reading order: a page is cut into bands, bands that share a gutter are columns.

A recursive XY cut (Nagy and Seth, 1984) that tries columns first, so that paragraphs of two columns which happen to end at
the same height are not read across.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median

from engine.ingest.pdf.layout import Element, Line

_MIN_GUTTER = 8.0
_MIN_COLUMN_LINES = 3
_MIN_COLUMN_WIDTH = 0.25
"""Columns of text take at least this share of the width; narrower ones are labels, read together with what stands beside."""
_CORE = 0.25
"""Share cut off a line's top and bottom: the boxes of neighbouring lines overlap."""

Band = list[Element]
Interval = tuple[float, float]


def reading_order(elements: Sequence[Element], is_heading: Callable[[Element], bool]) -> list[Element]:
    """The elements in the order in which a person reads them.

    Args:
        elements: of one page, or of a column of it.
        is_heading: a heading with nothing beside it ends the columns above it, unless only the first column goes on below.
    """
    ordered: list[Element] = []
    for group in _groups(_bands(elements), is_heading):
        together = [element for band in group for element in band]
        gutter = _gutter(together)
        if gutter is None or not _are_columns(together, gutter):
            ordered += together
            continue
        for side in _sides(together, gutter):
            ordered += reading_order(side, is_heading)
    return ordered


def _bands(elements: Sequence[Element]) -> list[Band]:
    """Cut along every horizontal line that crosses no element; within a band from left to right."""
    bands: list[Band] = []
    bottom = float("-inf")
    for element in sorted(elements, key=_top):
        if bands and _top(element) < bottom:
            bands[-1].append(element)
        else:
            bands.append([element])
        bottom = max(bottom, _bottom(element))
    return [sorted(band, key=lambda element: (element.bbox[0], element.bbox[1])) for band in bands]


def _groups(bands: Sequence[Band], is_heading: Callable[[Element], bool]) -> list[list[Band]]:
    """Neighbouring bands that have a gutter in common, or that have none."""
    groups: list[list[Band]] = []
    covered: list[Interval] = []
    reach = _reach(bands)
    for at, band in enumerate(bands):
        own = _cover(band)
        joint = _merge(covered + own)
        new_part = all(map(is_heading, band)) and _leaves_column(covered, reach[at + 1])
        if groups and _goes_on(covered, own, joint) and not new_part:
            groups[-1].append(band)
            covered = joint
        else:
            groups.append([band])
            covered = own
    return groups


def _goes_on(covered: Sequence[Interval], own: Sequence[Interval], joint: Sequence[Interval]) -> bool:
    """Whether a band belongs to the group above: no gutter on either side is lost by it."""
    return len(joint) > 1 or (len(covered) == 1 and len(own) == 1)


def _reach(bands: Sequence[Band]) -> list[float]:
    """How far to the right each band or one below it goes; nowhere below the last."""
    reach = [float("-inf")]
    for band in reversed(bands):
        reach.append(max(reach[-1], *(element.bbox[2] for element in band)))
    return reach[::-1]


def _leaves_column(covered: Sequence[Interval], reach: float) -> bool:
    """Whether what follows reaches beyond the first of the columns above it: a long first column does not."""
    return len(covered) > 1 and reach > covered[1][0]


def _cover(elements: Sequence[Element]) -> list[Interval]:
    return _merge([(element.bbox[0], element.bbox[2]) for element in elements])


def _merge(intervals: Sequence[Interval]) -> list[Interval]:
    """The parts of the width that are covered, with gaps of at least a gutter between them."""
    merged: list[Interval] = []
    for left, right in sorted(intervals):
        if merged and left < merged[-1][1] + _MIN_GUTTER:
            merged[-1] = (merged[-1][0], max(merged[-1][1], right))
        else:
            merged.append((left, right))
    return merged


def _gutter(elements: Sequence[Element]) -> float | None:
    """The middle of the widest gap that runs down between all elements."""
    cover = _cover(elements)
    gaps = [(right[0] - left[1], (left[1] + right[0]) / 2) for left, right in pairwise(cover)]
    return max(gaps)[1] if gaps else None


def _sides(elements: Sequence[Element], gutter: float) -> tuple[list[Element], list[Element]]:
    left = [element for element in elements if element.bbox[2] <= gutter]
    return left, [element for element in elements if element.bbox[2] > gutter]


def _are_columns(elements: Sequence[Element], gutter: float) -> bool:
    cover = _cover(elements)
    width = cover[-1][1] - cover[0][0]
    return all(_is_column(side, width) for side in _sides(elements, gutter))


def _is_column(elements: Sequence[Element], width: float) -> bool:
    if any(not isinstance(element, Line) for element in elements):
        return True
    widths = [element.bbox[2] - element.bbox[0] for element in elements]
    return len(elements) >= _MIN_COLUMN_LINES and median(widths) >= _MIN_COLUMN_WIDTH * width


def _top(element: Element) -> float:
    return element.bbox[1] + _CORE * (element.bbox[3] - element.bbox[1])


def _bottom(element: Element) -> float:
    return element.bbox[3] - _CORE * (element.bbox[3] - element.bbox[1])
