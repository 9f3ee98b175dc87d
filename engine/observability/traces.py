"""Reads the local record of traces back, with DuckDB over its JSON lines.

Lives here: what the Monitor page shows of traces. Writing them is `engine.observability.tracing`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import duckdb

from engine.domain import Json
from engine.errors import NotFoundError, StorageError
from engine.observability.trace_file import FILE_PATTERN

_COLUMNS = {
    "trace_id": "VARCHAR",
    "span_id": "VARCHAR",
    "parent_id": "VARCHAR",
    "name": "VARCHAR",
    "start": "TIMESTAMP",
    "end": "TIMESTAMP",
    "input": "JSON",
    "output": "JSON",
    "attributes": "JSON",
    "usage": "JSON",
    "model": "VARCHAR",
    "error": "JSON",
}
_SPANS = """
    SELECT *, epoch("end" - start) AS seconds,
           coalesce(CAST(usage ->> 'prompt_tokens' AS BIGINT), 0) AS tokens_in,
           coalesce(CAST(usage ->> 'completion_tokens' AS BIGINT), 0) AS tokens_out,
           error IS NOT NULL AND CAST(error AS VARCHAR) <> 'null' AS failed
    FROM read_json($files, format = 'newline_delimited', columns = $columns, ignore_errors = true)
    WHERE trace_id IS NOT NULL AND span_id IS NOT NULL AND start IS NOT NULL AND "end" IS NOT NULL
"""
_RECENT = """
    SELECT trace_id, any_value(name) FILTER (parent_id IS NULL), min(start), max(seconds) FILTER (parent_id IS NULL),
           count(*), count(*) FILTER (failed), sum(tokens_in), sum(tokens_out),
           any_value(error ->> 'message') FILTER (parent_id IS NULL AND failed)
    FROM spans GROUP BY trace_id HAVING count(*) FILTER (parent_id IS NULL) > 0
    ORDER BY min(start) DESC, trace_id DESC LIMIT $limit
"""
_ONE = """
    SELECT trace_id, span_id, parent_id, name, start, seconds, input, output, attributes, tokens_in, tokens_out, model,
           error ->> 'exception_type', error ->> 'message'
    FROM spans WHERE trace_id = $trace_id ORDER BY start, span_id
"""
_SUMMARY = """
    SELECT name, count(*), count(*) FILTER (failed), quantile_cont(seconds, 0.5), quantile_cont(seconds, 0.95),
           sum(tokens_in), sum(tokens_out)
    FROM spans GROUP BY name ORDER BY sum(seconds) DESC
"""

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace in one line: its outermost span's name, time and error, and sums over all its spans."""

    trace_id: str
    name: str
    start: datetime
    seconds: float
    span_count: int
    error_count: int
    prompt_tokens: int
    completion_tokens: int
    error: str | None


@dataclass(frozen=True, slots=True)
class RecordedSpan:
    """A step of a trace as it was recorded. `error` is like `DocumentError: the file is empty`."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start: datetime
    seconds: float
    input: Json
    output: Json
    attributes: Json
    prompt_tokens: int
    completion_tokens: int
    model: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class StepSummary:
    """All spans of one name: how many, how many failed, median and 95th percentile of seconds, tokens."""

    name: str
    count: int
    errors: int
    p50_s: float
    p95_s: float
    prompt_tokens: int
    completion_tokens: int


class TraceLog:
    """The traces in an events folder, of the newest `days` days that have any. Other processes may be writing to it."""

    def __init__(self, events_dir: Path, days: int = 7) -> None:
        self._folder = events_dir
        self._days = days

    def recent(self, limit: int = 50) -> list[Trace]:
        """The newest traces that have ended, newest first.

        Raises:
            StorageError: the record cannot be read.
        """
        return [_trace(row) for row in self._query(_RECENT, {"limit": limit})]

    def spans(self, trace_id: str) -> list[RecordedSpan]:
        """The spans of a trace, in the order in which they began.

        Raises:
            NotFoundError: there is no such trace.
            StorageError: the record cannot be read.
        """
        rows = self._query(_ONE, {"trace_id": trace_id})
        if not rows:
            raise NotFoundError(f"There is no trace {trace_id}.", hint="Traces older than the record's last days are not read.")
        return [_span(row) for row in rows]

    def summary(self) -> list[StepSummary]:
        """Counts, errors, durations and tokens by span name, the one with the most time first.

        Raises:
            StorageError: the record cannot be read.
        """
        return [_summary(row) for row in self._query(_SUMMARY, {})]

    def _query(self, query: str, arguments: dict[str, str | int]) -> Sequence[Row]:
        files = sorted((str(path) for path in self._folder.glob(FILE_PATTERN)), reverse=True)[: self._days]
        if not files:
            return []
        text = f"WITH spans AS ({_SPANS}) {query}"
        try:
            with duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}) as db:
                db.execute(text, {"files": files, "columns": _COLUMNS, **arguments})
                return db.fetchall()
        except duckdb.Error as exc:
            raise StorageError(
                f"The record of traces cannot be read: {exc}", hint=f"Look at the files in {self._folder}."
            ) from exc


def _trace(row: Row) -> Trace:
    trace_id, name, start, seconds, spans, errors, tokens_in, tokens_out, error = row
    return Trace(
        trace_id=str(trace_id),
        name=str(name),
        start=_utc(start),
        seconds=_number(seconds),
        span_count=int(_number(spans)),
        error_count=int(_number(errors)),
        prompt_tokens=int(_number(tokens_in)),
        completion_tokens=int(_number(tokens_out)),
        error=_optional(error),
    )


def _span(row: Row) -> RecordedSpan:
    (
        trace_id,
        span_id,
        parent_id,
        name,
        start,
        seconds,
        given,
        output,
        attributes,
        tokens_in,
        tokens_out,
        model,
        kind,
        message,
    ) = row
    return RecordedSpan(
        trace_id=str(trace_id),
        span_id=str(span_id),
        parent_id=_optional(parent_id),
        name=str(name),
        start=_utc(start),
        seconds=_number(seconds),
        input=_json(given),
        output=_json(output),
        attributes=_json(attributes),
        prompt_tokens=int(_number(tokens_in)),
        completion_tokens=int(_number(tokens_out)),
        model=_optional(model),
        error=f"{kind}: {message}" if kind else None,
    )


def _summary(row: Row) -> StepSummary:
    name, count, errors, p50, p95, tokens_in, tokens_out = row
    return StepSummary(
        name=str(name),
        count=int(_number(count)),
        errors=int(_number(errors)),
        p50_s=_number(p50),
        p95_s=_number(p95),
        prompt_tokens=int(_number(tokens_in)),
        completion_tokens=int(_number(tokens_out)),
    )


def _utc(value: object) -> datetime:
    return cast("datetime", value).replace(tzinfo=UTC)


def _number(value: object) -> float:
    return float(str(value)) if value is not None else 0.0


def _optional(value: object) -> str | None:
    return str(value) if value is not None else None


def _json(value: object) -> Json:
    decoded: Json = json.loads(value) if isinstance(value, str) else None
    return decoded
