"""How a table row is written as text: the same for every format."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from engine.domain import BlockKind
from engine.ingest.structure import Piece
from engine.ingest.text import clean

_MAX_HEADER_CELL = 60


def row_text(header: Sequence[str] | None, cells: Sequence[str]) -> str:
    """A row that can be understood alone.

    With a header `column: value; column: value`, without one `label: value` for two columns and `a | b | c` otherwise. Empty
    cells are left out; what stands in a column without a name stands alone: `Storage; Basic: 10 GB; Pro: 1 TB`.
    """
    if header is None:
        filled = [cell for cell in cells if cell]
        return ": ".join(filled) if len(cells) == 2 and len(filled) == 2 else " | ".join(filled)
    names = [*header, *(f"column {n}" for n in range(len(header) + 1, len(cells) + 1))]
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(names, cells, strict=False) if cell)


def looks_like_header(row: Sequence[str]) -> bool:
    """Whether a table's first row names its columns: all cells filled, different, short and without digits.

    The first may be empty where several others are not, as in comparisons and timetables.
    """
    named = _named_columns(row)
    distinct = len({cell.lower() for cell in named}) == len(named)
    return len(row) > 1 and distinct and all(cell and len(cell) <= _MAX_HEADER_CELL and not _has_digit(cell) for cell in named)


def names_columns(row: Sequence[str]) -> bool:
    """Whether the first row of a file that is a table names its columns.

    There even names with digits (`price 2024`) are taken for names, as long as none is a mere number.
    """
    if looks_like_header(row):
        return True
    named = _named_columns(row)
    distinct = len({cell.strip().lower() for cell in named}) == len(named)
    return len(row) > 1 and distinct and all(any(map(str.isalpha, cell)) and len(cell) <= _MAX_HEADER_CELL for cell in named)


def table_pieces(rows: Iterable[Sequence[str]], *, has_header: bool | None = None) -> Iterator[Piece]:
    """One piece for each row of a table that holds text.

    Args:
        rows: the cells, row by row; they are cleaned here.
        has_header: whether the first row names the columns; None to judge by its look.
    """
    cleaned = (row for row in ([clean(cell) for cell in cells] for cells in rows) if any(row))
    start = list(itertools.islice(cleaned, 2))
    if not start:
        return
    first = _looks_like_header_of(start) if has_header is None else has_header
    header = start[0] if first and len(start) > 1 else None
    for row in itertools.chain(start[1:] if header else start, cleaned):
        text = row_text(header, row)
        if text:
            yield Piece(BlockKind.TABLE_ROW, text)


def _looks_like_header_of(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of the rows names the columns; where it begins with an empty cell, the next one must not."""
    return looks_like_header(rows[0]) and (bool(rows[0][0]) or any(row and row[0] for row in rows[1:]))


def _named_columns(row: Sequence[str]) -> Sequence[str]:
    """The cells of a first row that have to be names."""
    return row[1:] if len(row) > 2 and not row[0].strip() else row


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)
