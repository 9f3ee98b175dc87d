"""Hands finished spans to Opik's SDK, whose requests are recorded on this machine instead of being sent.

Opik's supported way in is a hook on its HTTP client: `RecordingTransport` takes every request, records the spans in its body
and answers it. Only where the person named an Opik server is the request passed on as well.
Importing Opik takes one to two seconds, so this module is imported by the thread that writes traces, never by a caller.
"""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import httpx

from engine.domain import Json
from engine.observability.span import Span, usage_counts
from engine.observability.trace_file import TraceRow

if TYPE_CHECKING:
    import opik

LOCAL_HOST = "http://127.0.0.1:9/api/"
"""Where Opik believes its server to be while there is none. Never opened: the transport answers."""

PROJECT = "ai-nexus"

REMEMBERED_SPANS = 10_000
"""So many of the last recorded spans are known: Opik's SDK repeats a request within minutes, or not at all."""

RowSink = Callable[[TraceRow], None]


class RecordingTransport(httpx.BaseTransport):
    """Records the spans of each request, then passes it on if it goes to the named server, or else answers it itself."""

    def __init__(self, record: RowSink, server: str | None) -> None:
        self._record = record
        self._server = httpx.URL(server) if server else None
        self._onward = httpx.HTTPTransport() if server else None
        self._recorded: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Called by httpx for each request."""
        for row in rows_of_request(request):
            if self._is_new(row["span_id"]):
                self._record(row)
        if self._onward is not None and self._is_named(request.url):
            return self._onward.handle_request(request)
        return httpx.Response(200, json={}, request=request)

    def _is_new(self, span_id: str) -> bool:
        """Whether a span was not recorded yet: the SDK repeats requests that the server did not take."""
        with self._lock:
            if span_id in self._recorded:
                return False
            self._recorded[span_id] = None
            if len(self._recorded) > REMEMBERED_SPANS:
                self._recorded.popitem(last=False)
            return True

    def _is_named(self, url: httpx.URL) -> bool:
        """Whether a request goes to the server that the person named. Opik's default is a cloud."""
        named = self._server
        return named is not None and (url.scheme, url.host, url.port) == (named.scheme, named.host, named.port)

    def close(self) -> None:
        """Close the connection to the server, where there is one."""
        if self._onward is not None:
            self._onward.close()


def rows_of_request(request: httpx.Request) -> list[TraceRow]:
    """The finished spans in the body of a request of Opik's REST client; empty for any other request."""
    if not request.url.path.endswith("/private/spans/batch"):
        return []
    body = request.read()
    if request.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    spans = json.loads(body).get("spans", [])
    return [_row(span) for span in spans if span.get("end_time")]


def _row(body: Mapping[str, Json]) -> TraceRow:
    usage = body.get("usage")
    counts = {key: value for key, value in usage.items() if "." not in key} if isinstance(usage, dict) else None
    parent, model = body.get("parent_span_id"), body.get("model")
    return TraceRow(
        trace_id=str(body["trace_id"]),
        span_id=str(body["id"]),
        parent_id=str(parent) if parent else None,
        name=str(body.get("name", "")),
        start=str(body["start_time"]),
        end=str(body["end_time"]),
        input=body.get("input"),
        output=body.get("output"),
        attributes=body.get("metadata") or {},
        usage=counts,
        model=str(model) if model else None,
        error=body.get("error_info"),
    )


class OpikFeed:
    """An Opik client that is fed with finished spans."""

    def __init__(self, record: RowSink, server: str | None) -> None:
        """Import Opik and open its client.

        Args:
            record: takes the row of each span that Opik would send.
            server: address of a real Opik server that gets the requests too; None: there is none.

        Raises:
            ImportError: Opik is not installed or cannot be imported.
        """
        _silence_opik(server or LOCAL_HOST)
        import opik
        from opik.hooks import HttpxClientHook, add_httpx_client_hook

        # Without the explicit proxy and trust_env, variables of the environment could route round the transport.
        arguments = {"transport": RecordingTransport(record, server), "proxy": None, "trust_env": False}
        add_httpx_client_hook(HttpxClientHook(None, arguments))
        self._client: opik.Opik = opik.Opik(
            project_name=PROJECT, host=server or LOCAL_HOST, _show_misconfiguration_message=False
        )
        # Code that uses Opik's own decorators goes the same way.
        opik.set_global_client(self._client)

    def send(self, span: Span) -> None:
        """Hand one finished span over; a span without a parent opens a trace of the same name, as Opik's `@track` does."""
        error = span.error or None
        if span.parent_id is None:
            self._client.trace(
                id=span.trace_id,
                name=span.name,
                start_time=span.start,
                end_time=span.end,
                input=span.input,
                output=span.output,
                metadata=span.attributes,
                error_info=error,
            )
        self._client.span(
            id=span.span_id,
            trace_id=span.trace_id,
            parent_span_id=span.parent_id,
            name=span.name,
            type="llm" if span.usage else "general",
            start_time=span.start,
            end_time=span.end,
            input=span.input,
            output=span.output,
            metadata=span.attributes,
            usage=usage_counts(span.usage),
            model=span.model,
            error_info=error,
        )

    def close(self, timeout_s: int) -> None:
        """Flush what Opik still holds, for at most `timeout_s` seconds, and give its threads back."""
        self._client.flush(timeout=timeout_s)
        self._client.end(flush=False)


def _silence_opik(host: str) -> None:
    """Switch off whatever Opik would send of its own accord, and point it away from its cloud.

    It reads these variables when it is imported.
    """
    os.environ.update(
        OPIK_URL_OVERRIDE=host,
        OPIK_SENTRY_ENABLE="false",
        OPIK_ANALYTICS_ENABLE="false",
        OPIK_ENABLE_LITELLM_MODELS_MONITORING="false",
        OPIK_IS_ATTACHMENT_EXTRACTION_ACTIVE="false",
        OPIK_DEFAULT_FLUSH_TIMEOUT="2",
        OPIK_CONSOLE_LOGGING_LEVEL="CRITICAL",
    )
