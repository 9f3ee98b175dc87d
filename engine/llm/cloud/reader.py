"""Reads a streamed answer on a thread of its own, so that nobody has to wait for a server that is silent."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType

from engine.llm.cloud.gate import POLL_S
from engine.llm.cloud.library import Chunk, Response, endings_of, was_finished
from engine.llm.cloud.line import Line, using

MOST_UNREAD = 256
"""Pieces that are kept while nobody takes them; then the server has to wait."""


class Reader:
    """One request and its streamed answer. Whoever made it calls `abandon` at the end, however it ends."""

    def __init__(self, send: Callable[[], Response], ended: Callable[[], None], provider: str = "") -> None:
        """Send the request.

        Args:
            send: sends it and gives the response; called on the reader's thread.
            ended: called on that thread when the connection is not used any more.
            provider: who answers.
        """
        self._send = send
        self._ended = ended
        self._line = Line(endings_of(provider))
        self._unread: queue.Queue[Chunk] = queue.Queue(MOST_UNREAD)
        self._abandoned = threading.Event()
        self._over = threading.Event()
        self._failure: BaseException | None = None
        self._response: Response | None = None
        # A daemon: at the end of the program no one waits for a provider.
        threading.Thread(target=self._run, name="cloud-reader", daemon=True).start()

    @property
    def may_cost(self) -> bool:
        """Whether the server accepted the request, or may yet."""
        return self._response is not None or not self._over.is_set()

    @property
    def finished(self) -> bool:
        """Whether the server said that its answer ends here."""
        return self._response is not None and self._line.ended and was_finished(self._response)

    def chunks(self, interrupted: Callable[[], bool]) -> Iterator[Chunk]:
        """The pieces as they come in, until the answer ends or the wait is interrupted. Raises what the request raised."""
        while not interrupted():
            try:
                yield self._unread.get(timeout=POLL_S)
            except queue.Empty:
                # Nothing is put after `over`, so an empty queue seen after it stays empty.
                if self._over.is_set() and self._unread.empty():
                    break
        if self._over.is_set() and self._failure is not None:
            raise self._failure

    def abandon(self) -> None:
        """Hang up. May be called again, and after the end."""
        self._abandoned.set()
        self._line.hang_up()

    def _run(self) -> None:
        try:
            with _Kept(self), using(self._line):
                self._read()
        finally:
            self._over.set()
            self._ended()

    def _read(self) -> None:
        response = self._response = self._send()
        for chunk in response:
            while not self._abandoned.is_set():
                with suppress(queue.Full):
                    self._unread.put(chunk, timeout=POLL_S)
                    break
            if self._abandoned.is_set():
                break

    def keep(self, failure: BaseException) -> None:
        """Remember what `chunks` is to raise."""
        self._failure = failure


class _Kept:
    """Hands whatever is raised on the reader's thread over to the thread that waits for it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None) -> bool:
        if error is not None:
            self._reader.keep(error)
        return True
