"""The connection of one request, so that another thread can hang up."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Protocol

_CONNECTED = ("connect_tcp.complete", "start_tls.complete")
"""Events in httpcore's trace whose result is the connection from then on."""


class _Closeable(Protocol):
    def close(self) -> None: ...


class Line:
    """Hanging up wakes the thread that waits or reads, at any moment of a request."""

    def __init__(self, endings: Sequence[bytes] = ()) -> None:
        """A line to a server in whose whole answers one of the `endings` occurs; of others nothing is known."""
        self._endings = tuple(endings)
        self._tail, self._found = b"", False
        self.ended = True
        """Whether what came in has one of the endings, or nothing of the kind is known of it."""
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._answers: list[_Closeable] = []
        self._hung_up = False

    def trace(self, event: str, info: Mapping[str, object]) -> None:
        """httpcore's `trace` extension."""
        if event.endswith(_CONNECTED):
            connection = getattr(info["return_value"], "get_extra_info", lambda _name: None)("socket")
            with self._lock:
                self._socket = connection if isinstance(connection, socket.socket) else None
                if self._hung_up:
                    self._shut()

    def answered(self, stream: _Closeable) -> None:
        """Remember what is to be closed at the end."""
        self._answers.append(stream)

    def heard(self, data: bytes) -> None:
        """Look for the end of the answer in what came in next."""
        if self._endings and not self._found:
            text = self._tail + data
            self.ended = self._found = any(ending in text for ending in self._endings)
            self._tail = text[-max(map(len, self._endings)) :]

    def hang_up(self) -> None:
        """End the connection. From any thread."""
        with self._lock:
            self._hung_up = True
            self._shut()

    def close(self) -> None:
        """Hang up, and give everything back. From the thread that made the request, when it is through."""
        self.hang_up()
        for stream in self._answers:
            stream.close()

    def _shut(self) -> None:
        # Closing a socket does not wake a thread that reads from it; shutting it down does.
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


_current: ContextVar[Line | None] = ContextVar("line", default=None)


@contextmanager
def using(line: Line) -> Iterator[None]:
    """Requests of this thread are made on this line; it is closed at the end."""
    token = _current.set(line)
    try:
        yield
    finally:
        _current.reset(token)
        line.close()


def current_line() -> Line | None:
    """The line of this thread."""
    return _current.get()
