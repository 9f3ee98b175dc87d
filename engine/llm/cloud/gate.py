"""How many requests a provider gets at the same time."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from itertools import count
from weakref import WeakValueDictionary

from engine.llm.cloud.access import Endpoint

POLL_S = 0.05
"""How soon a wait notices that nobody waits any more."""


class Gate:
    """Lets so many through at a time: lower priority numbers first, equals in the order of their coming."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._tickets = count()
        self._waiting: list[tuple[int, int]] = []
        self._changed = threading.Condition()

    def enter(self, priority: int, interrupted: Callable[[], bool]) -> bool:
        """Wait for a place, which `leave` gives back. False when the wait was interrupted."""
        with self._changed:
            ticket = (priority, next(self._tickets))
            heapq.heappush(self._waiting, ticket)
            try:
                while not (self._free and self._waiting[0] == ticket):
                    if interrupted():
                        return False
                    self._changed.wait(POLL_S)
                self._free -= 1
                return True
            finally:
                self._waiting.remove(ticket)
                heapq.heapify(self._waiting)
                self._changed.notify_all()

    def leave(self) -> None:
        """Give a place back."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()


_gates: WeakValueDictionary[tuple[Endpoint, int], Gate] = WeakValueDictionary()
_lock = threading.Lock()


def gate_of(endpoint: Endpoint, limit: int) -> Gate:
    """The one gate of this process for an endpoint; all models behind it share its places."""
    with _lock:
        gate = _gates.get((endpoint, limit))
        if gate is None:
            gate = _gates[endpoint, limit] = Gate(limit)
        return gate
