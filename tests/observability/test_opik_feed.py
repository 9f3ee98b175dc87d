"""What Opik's SDK sends is recorded once, however often it sends it."""

import httpx
import pytest

from engine.observability import opik_feed
from engine.observability.opik_feed import LOCAL_HOST, RecordingTransport
from engine.observability.trace_file import TraceRow

MOMENT = "2026-01-01T00:00:00Z"


def request_of(*span_ids: str) -> httpx.Request:
    spans = [{"id": span, "trace_id": "t", "name": "step", "start_time": MOMENT, "end_time": MOMENT} for span in span_ids]
    return httpx.Request("POST", f"{LOCAL_HOST}v1/private/spans/batch", json={"spans": spans})


def test_a_repeated_request_is_recorded_once() -> None:
    rows: list[TraceRow] = []
    transport = RecordingTransport(rows.append, None)
    for request in (request_of("a", "b"), request_of("a", "b"), request_of("b", "c")):
        assert transport.handle_request(request).status_code == 200
    assert [row["span_id"] for row in rows] == ["a", "b", "c"]


def test_only_so_many_spans_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opik_feed, "REMEMBERED_SPANS", 2)
    rows: list[TraceRow] = []
    transport = RecordingTransport(rows.append, None)
    for span in "abca":
        transport.handle_request(request_of(span))
    assert [row["span_id"] for row in rows] == ["a", "b", "c", "a"]
