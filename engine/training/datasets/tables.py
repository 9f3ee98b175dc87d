"""The rows of data-set files: JSON Lines, one JSON list, and tables as spreadsheets save them.

The files are hostile input: their size is bounded, and every complaint names its line.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.domain import Json
from engine.errors import InputError

MAX_FILE_BYTES = 64 * 1024 * 1024

TABLE_SUFFIXES = (".csv", ".tsv")
_DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r"sep=(.)\s*")
"""What Excel writes as the first line where the delimiter is not the one of the country."""
_OBJECTS_HINT = "Each line is one JSON object, or the file is one list of them."

Rows = Iterator[tuple[int, Mapping[str, Json]]]
"""Rows with their numbers, from 1: of lines, or of items of a JSON list."""


@dataclass(frozen=True, slots=True)
class Table:
    """The header of a table, stripped, and its rows as they come."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[int, dict[str, str]]]


def is_table(path: Path) -> bool:
    """Whether a file is a table, by its name."""
    return path.suffix.lower() in TABLE_SUFFIXES


def read_text(path: Path) -> str:
    """A whole text file in UTF-8, or in UTF-16 with a byte-order mark, as spreadsheets write "Unicode text".

    Raises:
        InputError: the file is missing, too large, or in another encoding.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise InputError(f"{path.name} has {size} bytes; {MAX_FILE_BYTES} are allowed.", hint="Split it.")
        data = path.read_bytes()
        is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as exc:
        hint = 'Save it as UTF-8; in Excel that is "CSV UTF-8".'
        raise InputError(f"{path.name} is not UTF-8 text (byte {exc.start}).", hint=hint) from exc
    except OSError as exc:
        raise InputError(f"{path.name} cannot be read: {exc.strerror}.", hint="Check the path.") from exc


def json_rows(text: str) -> Rows:
    """The objects of JSON Lines, or of one JSON list.

    Raises:
        InputError: something is not JSON, or no object.
    """
    if row_noun(text) == "item":
        yield from _objects(enumerate(_json_list(text), start=1), "item")
        return
    lines = ((line, content) for line, content in enumerate(text.split("\n"), start=1) if content.strip())
    yield from _objects(((line, _json(content, f"line {line}")) for line, content in lines), "line")


def row_noun(text: str) -> Literal["item", "line"]:
    """What `json_rows` counts: the items of a list, or lines."""
    return "item" if text.lstrip().startswith("[") else "line"


def read_table(text: str, recognised: Callable[[Sequence[str]], int]) -> Table:
    """A table whose first row is its header.

    Args:
        text: the file.
        recognised: how many of the columns of a header mean something. Of the usual delimiters that is taken which makes most
            columns known, and of those that which makes most columns.

    Raises:
        InputError: a line makes no sense; rows are only read as they are taken.
    """
    stated = _SEPARATOR_LINE.fullmatch(text[:16].split("\n", 1)[0].strip("\r"))
    skipped = 1 if stated else 0
    choices = stated[1] if stated else _DELIMITERS
    headers = {delimiter: _header(text, delimiter, skipped) for delimiter in choices}
    best = max(headers, key=lambda delimiter: (recognised(headers[delimiter]), len(headers[delimiter])))
    return Table(headers[best], _table_rows(text, best, headers[best]))


def _objects(values: Iterator[tuple[int, Json]], unit: str) -> Rows:
    for number, value in values:
        if not isinstance(value, dict):
            raise InputError(f"{unit} {number} is not a JSON object.", hint=_OBJECTS_HINT)
        yield number, value


def _json_list(text: str) -> list[Json]:
    value = _json(text, None)
    return value if isinstance(value, list) else [value]


def _json(text: str, where: str | None) -> Json:
    """A value from its text; a complaint says where it is, or finds the line itself."""
    try:
        value: Json = json.loads(text)
    except (ValueError, RecursionError) as exc:
        line = exc.lineno if isinstance(exc, json.JSONDecodeError) else 1
        raise InputError(f"{where or f'line {line}'} is not JSON: {str(exc)[:200]}", hint=_OBJECTS_HINT) from exc
    return value


def _header(text: str, delimiter: str, skipped: int) -> tuple[str, ...]:
    """The first record that is not empty; nothing where there is none or it makes no sense."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for number, record in enumerate(reader):
            if number >= skipped and any(cell.strip() for cell in record):
                return tuple(cell.strip() for cell in record)
    except csv.Error:
        pass
    return ()


def _table_rows(text: str, delimiter: str, header: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The records after the header, empty ones left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    is_past_header = False
    try:
        for record in reader:
            if not is_past_header:
                is_past_header = tuple(cell.strip() for cell in record) == header
            elif any(cell.strip() for cell in record):
                yield reader.line_num, _row(record, header, reader.line_num)
    except csv.Error as exc:
        raise InputError(
            f"line {reader.line_num} is not CSV: {exc}", hint="Quote fields that hold line breaks, quotes or the delimiter."
        ) from exc


def _row(record: Sequence[str], header: Sequence[str], line: int) -> dict[str, str]:
    if any(cell.strip() for cell in record[len(header) :]):
        raise InputError(
            f"line {line} has {len(record)} fields, the header {len(header)}.", hint="Quote fields that hold the delimiter."
        )
    cells = [*record, *[""] * (len(header) - len(record))]
    return dict(reversed(list(zip(header, cells, strict=False))))  # of two columns of one name, the first
