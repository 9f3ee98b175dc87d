"""Parts of pages: error boundary, headers, trace tree, log tail, tables."""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.types import Message, Receive, Scope, Send
from streamlit.testing.v1 import AppTest

from app.components.log_tail import log_tail
from app.components.trace_tree import in_tree_order
from app.pages.evaluate import score_table
from app.security import SecurityHeaders
from engine.domain import utc_now
from engine.observability.traces import RecordedSpan


def raise_in_page(kind: str) -> None:
    from app.components.boundary import boundary
    from engine.errors import InputError

    with boundary():
        if kind == "expected":
            raise InputError("the name ![x](http://evil.example) is taken", hint="Choose another one.")
        raise ValueError("a secret detail")


def test_boundary_shows_message_and_hint() -> None:
    shown = AppTest.from_function(raise_in_page, args=("expected",)).run()
    assert not shown.exception
    assert "is taken" in shown.error[0].value
    assert "Choose another one" in shown.error[0].value
    assert "](" not in shown.error[0].value.replace("\\]\\(", "")


def test_boundary_hides_the_details_of_a_fault() -> None:
    shown = AppTest.from_function(raise_in_page, args=("unexpected",)).run()
    assert not shown.exception
    assert "Something went wrong" in shown.error[0].value
    assert "secret" not in shown.error[0].value


def test_every_response_forbids_other_hosts() -> None:
    sent: list[Message] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-kept", b"1")]})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(SecurityHeaders(inner)({"type": "http"}, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert headers["x-kept"] == "1"
    assert "default-src 'self'" in headers["content-security-policy"]
    sources = headers["content-security-policy"].replace("ws://127.0.0.1:*", "").replace("ws://localhost:*", "")
    assert "//" not in sources
    assert headers["referrer-policy"] == "no-referrer"


def span(span_id: str, parent: str | None) -> RecordedSpan:
    return RecordedSpan("t", span_id, parent, span_id, utc_now(), 0.1, None, None, None, 0, 0, None, None)


def test_trace_tree_puts_children_below_their_parent() -> None:
    spans = [span("root", None), span("a", "root"), span("b", "root"), span("a1", "a"), span("lost", "not recorded")]
    assert [(one.span_id, depth) for one, depth in in_tree_order(spans)] == [
        ("root", 0),
        ("a", 1),
        ("a1", 2),
        ("b", 1),
        ("lost", 0),
    ]


def test_log_tail(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert log_tail(path, 3) == []
    path.write_bytes(b"x" * 100_000 + b"\nfirst\nsecond \xff\nthird\n")
    assert log_tail(path, 2) == ["second \ufffd", "third"]


def test_score_table_shows_what_is_missing_as_missing() -> None:
    table = score_table({"base": {"exact_match": 0.5, "latency_p50_s": 1.234}, "adapter:taught": {}})
    assert table["Target"] == ["Base model", "taught"]
    assert table["Exact match"] == ["0.50", "–"]
    assert table["Median latency"] == ["1.23 s", "–"]
