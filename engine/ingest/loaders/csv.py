"""Comma-, semicolon-, tab- or bar-separated tables: each row is one block."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator

from engine.domain import Page
from engine.ingest.decoding import decode
from engine.ingest.source import Source
from engine.ingest.structure import Piece, paginate
from engine.ingest.tables import names_columns, table_pieces

_DELIMITERS = ",;\t|"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_SNIFFED_ROWS = 50
_SNIFFED_CHARACTERS = 64 * 1024


def load_csv(source: Source) -> Iterator[Page]:
    """Pages of a table; each row reads `column: value; column: value`."""
    text = decode(source, source.read_bytes()).replace("\0", "")
    source.check_raw_characters(len(text))
    return paginate(source, _pieces(source, text, sniff_delimiter(text)))


def sniff_delimiter(text: str) -> str:
    """The delimiter that cuts most of the first rows into the same number of columns, and more than one; else a comma."""
    sample = text[:_SNIFFED_CHARACTERS]
    return max(_DELIMITERS, key=lambda delimiter: _regularity(sample, delimiter))


def _regularity(sample: str, delimiter: str) -> tuple[int, int]:
    """How many rows agree on a number of columns above one, and on how many."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    try:
        widths = Counter(len(row) for row in itertools.islice(reader, _SNIFFED_ROWS) if len(row) > 1)
    except csv.Error:
        return 0, 0
    return max(((count, width) for width, count in widths.items()), default=(0, 0))


def _pieces(source: Source, text: str, delimiter: str) -> Iterator[Piece]:
    lines = (match.group() for match in _LINE.finditer(text))
    rows = (row for row in csv.reader(lines, delimiter=delimiter) if any(cell.strip() for cell in row))
    try:
        first = next(rows, [])
        yield from table_pieces(itertools.chain([first], rows), has_header=names_columns(first))
    except csv.Error as exc:
        raise source.damaged(f"it is not a proper table ({exc})") from exc
