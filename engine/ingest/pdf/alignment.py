"""Tables without drawn lines: rows whose cells stand below each other.

Only what is clear is taken for a table. Two columns are left alone: labels and their values read well as lines, and two
columns of text look the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from engine.domain import BoundingBox
from engine.ingest.pdf.layout import Line, Table, union
from engine.ingest.tables import table_pieces

_MIN_COLUMNS = 3
_MIN_ROWS = 3
_MIN_FULL = 2 / 3
"""Share of the rows that must have all cells."""
_MIN_GAP = 6.0
"""Points between columns; a space is about 3."""
_ALIGNED = 3.0
"""Points by which the edges of a column's cells may differ."""
_MAX_FILL = 0.75
"""Share of its column that a cell takes at the median; lines of text take nearly all of it."""
_MAX_RUNNING = 1 / 3
"""Share of neighbours in a column of which the lower one goes on with a sentence of the upper one."""
_SENTENCE_WORDS = 3
_MAX_STEP = 2.5
"""Heights of a line from one row to the next."""
_NEXT_LINE = 1.6
"""Heights of a line within which a line without a first cell may belong to the row above."""

_MAX_STARTS = 20
"""Rows from which a table is looked for where those that stand below each other are none, so that long pages take no time."""

_Row = list[Line]
_Cells = dict[int, Line]


@dataclass(slots=True)
class _Columns:
    """The columns of a table that is being followed down the page: the width that the cells of each have taken so far."""

    spans: list[tuple[float, float]]

    def place(self, row: _Row) -> _Cells | None:
        """Each cell's column; None where a cell stands in none, in two, or in one that is taken."""
        cells: _Cells = {}
        for line in row:
            near = [at for at, (left, right) in enumerate(self.spans) if line.bbox[0] < right and left < line.bbox[2]]
            if len(near) != 1 or near[0] in cells:
                return None
            cells[near[0]] = line
        widened = list(self.spans)
        for at, line in cells.items():
            widened[at] = min(widened[at][0], line.bbox[0]), max(widened[at][1], line.bbox[2])
        if any(right[0] - left[1] < _MIN_GAP for left, right in pairwise(widened)):
            return None
        self.spans = widened
        return cells


def aligned_tables(lines: Sequence[Line]) -> list[tuple[Table, frozenset[int]]]:
    """The tables, from top to bottom, each with the identities (`id`) of the lines that are its cells."""
    rows = _rows(lines)
    found: list[tuple[Table, frozenset[int]]] = []
    at = reach = starts = 0
    while at < len(rows):
        run = _follow(rows, at)
        table = _table(run)
        if table is not None and not _goes_on(rows, at + len(run), run):
            found.append((table, frozenset(id(line) for cells in run for line in cells.values())))
            at += len(run)
        else:
            starts = 1 if at >= reach else starts + 1
            reach = max(reach, at + len(run))
            at = at + 1 if starts < _MAX_STARTS else max(reach, at + 1)
    return found


def _rows(lines: Sequence[Line]) -> list[_Row]:
    """Lines at the same height, from top to bottom and from left to right."""
    rows: list[_Row] = []
    for line in sorted(lines, key=lambda line: (line.bbox[1] + line.bbox[3], line.bbox[0])):
        middle = (line.bbox[1] + line.bbox[3]) / 2
        if rows and abs(middle - (rows[-1][0].bbox[1] + rows[-1][0].bbox[3]) / 2) < 0.3 * line.height:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.bbox[0]) for row in rows]


def _follow(rows: Sequence[_Row], start: int) -> list[_Cells]:
    """The rows from one on whose cells stand in the columns of the first."""
    first = rows[start]
    if len(first) < _MIN_COLUMNS:
        return []
    columns = _Columns([(line.bbox[0], line.bbox[2]) for line in first])
    run: list[_Cells] = []
    for at in range(start, len(rows)):
        if run and _step(rows[at - 1], rows[at]) > _MAX_STEP:
            break
        cells = columns.place(rows[at])
        if cells is None or 0 not in cells or len(cells) < 2:
            break
        run.append(cells)
    return run


def _step(above: _Row, below: _Row) -> float:
    return (below[0].bbox[1] - above[0].bbox[1]) / max(1.0, above[0].height)


def _goes_on(rows: Sequence[_Row], following: int, run: Sequence[_Cells]) -> bool:
    """Whether the line below may be the rest of the last row, so that it is not clear what belongs together."""
    if following >= len(rows):
        return False
    last, below = list(run[-1].values()), rows[following]
    return _step(last, below) < _NEXT_LINE and below[0].bbox[0] > last[0].bbox[2]


def _table(run: Sequence[_Cells]) -> Table | None:
    if len(run) < _MIN_ROWS:
        return None
    count = len(run[0])
    columns = [[cells[at] for cells in run if at in cells] for at in range(count)]
    full = sum(len(cells) == count for cells in run)
    if full < _MIN_FULL * len(run) or not all(map(_is_aligned, columns)):
        return None
    if _fill(columns) > _MAX_FILL or _running(columns) > _MAX_RUNNING:
        return None
    texts = [
        piece.text for piece in table_pieces([[cells[at].text if at in cells else "" for at in range(count)] for cells in run])
    ]
    boxes: list[BoundingBox] = [union([line.bbox for line in cells.values()]) for cells in run]
    return Table(union(boxes), tuple(zip(texts, boxes[-len(texts) :], strict=True)))


def _is_aligned(column: Sequence[Line]) -> bool:
    """At the left, at the right (numbers), or in the middle."""
    edges = (
        [box[0] for box in _boxes(column)],
        [box[2] for box in _boxes(column)],
        [(box[0] + box[2]) / 2 for box in _boxes(column)],
    )
    return any(max(values) - min(values) <= _ALIGNED for values in edges)


def _running(columns: Sequence[Sequence[Line]]) -> float:
    """The share of neighbouring cells that read on: columns of text."""
    pairs = [pair for column in columns for pair in pairwise(column)]
    running = sum(
        min(len(above.text.split()), len(below.text.split())) >= _SENTENCE_WORDS
        and above.text[-1] not in ".!?:"
        and below.text[0].islower()
        for above, below in pairs
    )
    return running / len(pairs)


def _boxes(column: Sequence[Line]) -> list[BoundingBox]:
    return [line.bbox for line in column]


def _fill(columns: Sequence[Sequence[Line]]) -> float:
    """How much of its column a cell takes; the last column, whose end nobody knows, is left out."""
    lefts = [min(line.bbox[0] for line in column) for column in columns]
    return median(
        (line.bbox[2] - line.bbox[0]) / (lefts[at + 1] - lefts[at]) for at, column in enumerate(columns[:-1]) for line in column
    )
