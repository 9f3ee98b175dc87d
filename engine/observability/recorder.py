"""Takes finished spans from any thread and sees to it that each of them reaches the local record exactly once.

The usual way is through Opik (`opik_feed`), on a thread of its own. A span that has not come out of Opik in time, because it is
still being imported, failed, or dropped the span, is written directly.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, Final

from engine.observability.span import Span
from engine.observability.trace_file import TraceFile, TraceRow, row_of_span

if TYPE_CHECKING:
    from engine.observability.opik_feed import OpikFeed

log = logging.getLogger(__name__)

MAX_WAITING = 256
"""Spans that may wait for the writer; Opik takes about 2 ms for each. In a burst, further ones are written directly."""
MAX_WAITING_FOR_SERVER = 10_000
"""The same where an Opik server is to have them all."""
OVERDUE_S = 10.0
"""A span that Opik was given so long ago without its coming out again is written directly. Opik batches for about a second."""
OPIK_DELAY_S = 3.0
"""A process that ends sooner, as most commands do, never pays for importing Opik: its spans are written directly."""
CLOSE_S: Final = 2.0
IMPORT_S: Final = 8.0
"""An import that has begun is waited for: ending the interpreter in the middle of it can abort the process."""


class Recorder:
    """The writing side of tracing. Nothing here raises, and only `close` waits for anything."""

    def __init__(self, file: TraceFile, server: str | None = None) -> None:
        self._file = file
        self._server = server
        self._waiting: queue.Queue[Span | None] = queue.Queue(MAX_WAITING_FOR_SERVER if server else MAX_WAITING)
        self._pending: dict[str, tuple[float, Span]] = {}
        self._overdue: set[str] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._opik_now = threading.Event()
        self._importing = threading.Event()
        self._ready = threading.Event()
        self._complained = False
        self._closed = False
        if server is not None:
            self._opik_now.set()

    def start(self) -> None:
        """Start the writer, if it does not run yet. Opik is imported `OPIK_DELAY_S` later."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="nexus-traces", daemon=True)
                self._thread.start()

    def warm_up(self, timeout_s: float) -> bool:
        """Start the writer and let it import Opik now; wait for that for at most `timeout_s`. Whether it is ready."""
        self._opik_now.set()
        self.start()
        return self._ready.wait(timeout_s)

    def put(self, span: Span) -> None:
        """Record a finished span. Returns at once."""
        with self._lock:
            if self._closed:
                return
            self._pending[span.span_id] = (time.monotonic(), span)
        try:
            self._waiting.put_nowait(span)
        except queue.Full:
            self._write_directly(span)

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Write everything that is left, within about `timeout_s` seconds, and stop."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._opik_now.set()
        if self._thread is not None:
            self._stop_writer(self._thread, timeout_s)
        self._write_overdue(0.0)

    def _stop_writer(self, thread: threading.Thread, timeout_s: float) -> None:
        try:
            self._waiting.put(None, timeout=timeout_s)
            thread.join(timeout_s)
        except queue.Full:
            pass  # The writer notices that it is to stop when it has emptied the queue.
        if self._importing.is_set():
            thread.join(IMPORT_S)

    def _run(self) -> None:
        self._opik_now.wait(OPIK_DELAY_S)
        feed = self._open_feed()
        self._ready.set()
        while (span := self._next()) is not None:
            if feed is None or (self._closed and self._server is None):
                self._write_directly(span)
            else:
                self._send(feed, span)
        if feed is not None:
            feed.close(timeout_s=1)

    def _next(self) -> Span | None:
        """The next span, or None when the writer is to stop; writes what is overdue while it waits."""
        while True:
            try:
                return self._waiting.get(block=not self._closed, timeout=OVERDUE_S / 2)
            except queue.Empty:
                if self._closed:
                    return None
                self._write_overdue(OVERDUE_S)

    def _open_feed(self) -> OpikFeed | None:
        if self._closed and self._server is None:
            return None
        self._importing.set()
        try:
            from engine.observability.opik_feed import OpikFeed

            return OpikFeed(self._write_row, self._server)
        except (ImportError, OSError, RuntimeError, ValueError, TypeError, AttributeError) as exc:
            self._complain(f"Opik cannot be used ({exc}); traces are recorded without it")
            return None
        finally:
            self._importing.clear()

    def _send(self, feed: OpikFeed, span: Span) -> None:
        try:
            feed.send(span)
        except (OSError, RuntimeError, ValueError, TypeError, AttributeError, KeyError) as exc:
            self._complain(f"Opik refused a span: {exc}")
            self._write_directly(span)

    def _write_row(self, row: TraceRow) -> None:
        """Take a row that came out of Opik: one of ours, or of code that uses Opik's own decorators."""
        with self._lock:
            known = row["span_id"] in self._overdue
            if not known:  # else it is written directly, and stays pending until it is
                self._pending.pop(row["span_id"], None)
        if not known:
            self._append(row)

    def _write_directly(self, span: Span) -> None:
        with self._lock:
            expected = self._pending.pop(span.span_id, None)
        if expected is not None:
            self._append(row_of_span(span))

    def _write_overdue(self, age_s: float) -> None:
        limit = time.monotonic() - age_s
        with self._lock:
            overdue = [span for since, span in self._pending.values() if since <= limit]
            self._overdue.update(span.span_id for span in overdue)
        for span in overdue:
            self._write_directly(span)

    def _append(self, row: TraceRow) -> None:
        try:
            self._file.append(row)
        except OSError as exc:
            self._complain(f"traces cannot be written: {exc}")

    def _complain(self, problem: str) -> None:
        if not self._complained:
            self._complained = True
            log.warning("tracing: %s", problem)
