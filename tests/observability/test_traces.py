"""Reading the record back, whatever state the files are in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.domain import Usage
from engine.errors import NotFoundError
from engine.observability.span import Span
from engine.observability.trace_file import TraceFile, row_of_span
from engine.observability.traces import TraceLog

START = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def recorded(folder: Path, name: str, *, minute: int = 0, seconds: float = 1.0, parent: Span | None = None) -> Span:
    start = START + timedelta(minutes=minute)
    trace_id = parent.trace_id if parent else f"trace-{name}-{minute}"
    step = Span(name=name, trace_id=trace_id, start=start, parent_id=parent.span_id if parent else None)
    step.end = start + timedelta(seconds=seconds)
    step.set_usage(Usage(10, 5), "small")
    TraceFile(folder).append(row_of_span(step))
    return step


def test_an_empty_folder_has_no_traces(tmp_path: Path) -> None:
    log = TraceLog(tmp_path / "none")
    assert log.recent() == []
    assert log.summary() == []
    with pytest.raises(NotFoundError):
        log.spans("anything")


def test_recent_lists_the_newest_first_and_at_most_so_many(tmp_path: Path) -> None:
    for minute in range(5):
        recorded(tmp_path, "ask", minute=minute, seconds=minute + 0.5)
    traces = TraceLog(tmp_path).recent(limit=2)
    assert [trace.start for trace in traces] == [START + timedelta(minutes=4), START + timedelta(minutes=3)]
    assert traces[0].seconds == 4.5


def test_a_trace_whose_outer_step_has_not_ended_is_not_listed(tmp_path: Path) -> None:
    outer = Span(name="outer", trace_id="t")
    recorded(tmp_path, "inner", parent=outer)
    assert TraceLog(tmp_path).recent() == []
    assert [step.name for step in TraceLog(tmp_path).spans("t")] == ["inner"]


def test_the_summary_counts_by_name(tmp_path: Path) -> None:
    for number, seconds in enumerate([1.0, 2.0, 3.0]):
        recorded(tmp_path, "generate", minute=number, seconds=seconds)
    recorded(tmp_path, "search", seconds=0.1)
    first, second = TraceLog(tmp_path).summary()
    assert (first.name, first.count, first.p50_s, first.prompt_tokens) == ("generate", 3, 2.0, 30)
    assert (second.name, second.count, second.errors) == ("search", 1, 0)


@pytest.mark.parametrize("damage", [b'{"trace_id": "cut', b"\x00\xff\xfe\n", b"[1, 2]\n", b'{"other": 1}\n', b"\n\n"])
def test_damaged_lines_cost_only_themselves(tmp_path: Path, damage: bytes) -> None:
    recorded(tmp_path, "before")
    (path,) = tmp_path.glob("traces-*.jsonl")
    with path.open("ab") as file:
        file.write(damage)
    assert [trace.name for trace in TraceLog(tmp_path).recent()] == ["before"]


def test_a_quote_in_an_identifier_is_only_text(tmp_path: Path) -> None:
    recorded(tmp_path, "ask")
    with pytest.raises(NotFoundError):
        TraceLog(tmp_path).spans("x' OR '1'='1")


def test_only_its_owner_may_read_the_record(tmp_path: Path) -> None:
    recorded(tmp_path, "ask")
    (path,) = tmp_path.glob("traces-*.jsonl")
    assert path.stat().st_mode & 0o077 == 0
