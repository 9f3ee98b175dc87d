"""Where a command prints: results on stdout as JSON or text, progress and notes on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TextIO

from engine.domain import Job, Json
from engine.errors import ErrorInfo

Record = Mapping[str, object]
"""A result: a JSON object, but for dates, paths and enumerations, which become strings."""


class ReaderGone(Exception):
    """The program that read our output has ended, such as `head`: there is nobody left to tell anything."""


@contextmanager
def clean_stdout() -> Iterator[TextIO]:
    """Give a stream to the real stdout; until the end, whatever else is printed there goes to stderr.

    Native code and child processes write to the file descriptor, libraries to `sys.stdout`; both are turned away. Nothing is
    done when `sys.stdout` was replaced already (a test that captures it).
    """
    before = sys.stdout
    captured = before is not sys.__stdout__
    if captured:
        yield before
        return
    before.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        with open(os.dup(ours), "w", encoding="utf-8", errors="backslashreplace") as stream:  # noqa: PTH123  (a descriptor)
            yield stream
    finally:
        sys.stdout = before
        os.dup2(ours, 1)
        os.close(ours)


class Output:
    """The two streams of a command."""

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self._stream = stream
        self.as_json = as_json
        self._line = ""
        self._beside = False

    def record(self, record: Record) -> None:
        """Print a result: in JSON mode one line, else its fields one below the other."""
        if self.as_json:
            self.text(json.dumps(record, ensure_ascii=False, default=plain) + "\n")
            return
        width = max((len(name) for name in record), default=0)
        for name, value in record.items():
            if value not in (None, "", [], {}):
                self.text(f"{name:<{width}}  {cell(value)}\n")

    def records(self, records: Sequence[Record], columns: Sequence[str], *, empty: str) -> None:
        """Print a list: in JSON mode a line for each, else a table of some columns; `empty` says that there is none."""
        if self.as_json:
            for record in records:
                self.record(record)
        elif not records:
            self.note(empty)
        elif self._stream.isatty():
            self._table(records, columns)
        else:
            self.text("\t".join(columns) + "\n")
            for record in records:
                self.text("\t".join(cell(record.get(column)) for column in columns) + "\n")

    def text(self, text: str) -> None:
        """Print a piece of text at once.

        Raises:
            ReaderGone: whoever read the output has closed it.
        """
        if text and self._beside:
            self._beside = False
            _say("\n\n")
        _write(self._stream, text)

    def aside(self, text: str) -> None:
        """Show on stderr, piece by piece, what comes before a result and is no part of it, such as a model's reasoning."""
        if text:
            self._beside = True
            _say(text)

    def note(self, text: str) -> None:
        """Tell the person something on stderr."""
        self._end_line()
        _say(f"{text}\n")

    def progress(self, job: Job) -> None:
        """Show on stderr how far a job is: one line that changes on a terminal, else a line for each new message."""
        eta = "" if job.eta_s is None else f", {job.eta_s:.0f} s left"
        line = f"{job.progress:4.0%}  {job.message}{eta}"
        if sys.stderr.isatty():
            _say(f"\r\x1b[K{line}")
            self._line = line
        elif job.message != self._line:
            _say(f"{line}\n")
            self._line = job.message

    def error(self, error: ErrorInfo | Mapping[str, Json]) -> None:
        """Say what went wrong: in JSON mode on stdout, else on stderr."""
        self._end_line()
        if self.as_json:
            self.record({"error": error})
            return
        _say(f"Error: {error['message']}\n")
        if error.get("hint"):
            _say(f"Hint: {error['hint']}\n")

    def end_progress(self) -> None:
        """Leave the line that shows progress."""
        self._end_line()

    def _end_line(self) -> None:
        if self._line and sys.stderr.isatty():
            _say("\n")
        self._line = ""

    def _table(self, records: Sequence[Record], columns: Sequence[str]) -> None:
        from rich.console import Console
        from rich.table import Table

        table = Table(*columns, box=None, pad_edge=False)
        for record in records:
            table.add_row(*(cell(record.get(column)) for column in columns))
        Console(file=self._stream, markup=False, highlight=False).print(table)


def _say(text: str) -> None:
    _write(sys.stderr, text)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError as exc:
        # What is still buffered would fail again when the stream is closed.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        raise ReaderGone from exc


def cell(value: object) -> str:
    """A value in one line of text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {cell(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(cell(item) for item in value)
    return " ".join(str(plain(value)).split())


def plain(value: object) -> str:
    """A value that JSON does not know, as text.

    Raises:
        TypeError: there is no sensible text for it.
    """
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path | Enum | str | int):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
