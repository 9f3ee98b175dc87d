"""The local record of traces: one JSON line for each span, in a file for each day.

Lives here: the shape of a line, writing lines. Reading them back is `engine.observability.traces`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from engine.domain import Json
from engine.observability.span import Span, usage_counts

FILE_PATTERN = "traces-*.jsonl"


class TraceRow(TypedDict):
    """A line of the file. `input`, `output`, `attributes` and `usage` are JSON; times are ISO 8601 in UTC."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start: str
    end: str
    input: Json
    output: Json
    attributes: Json
    usage: Json
    model: str | None
    error: Json


def row_of_span(span: Span) -> TraceRow:
    """The line for a span that ended."""
    end = span.end or span.start
    return TraceRow(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id,
        name=span.name,
        start=_timestamp(span.start),
        end=_timestamp(end),
        input=span.input,
        output=span.output,
        attributes=dict(span.attributes),
        usage=dict(counts) if (counts := usage_counts(span.usage)) else None,
        model=span.model,
        error=dict(span.error) if span.error else None,
    )


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class TraceFile:
    """Appends lines. Any number of threads and processes may do so at once: each line is one write to the end of the file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, row: TraceRow | Mapping[str, Json]) -> None:
        """Write one line.

        Raises:
            OSError: the disk refused.
        """
        line = json.dumps(row, ensure_ascii=True, separators=(",", ":")) + "\n"
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"traces-{datetime.now(UTC):%Y%m%d}.jsonl"
        # The record holds what people asked and were told: readable by its owner only.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line.encode("ascii"))
        finally:
            os.close(descriptor)
