"""The switch with which one thread asks another to stop."""

from __future__ import annotations

import threading


class CancelToken:
    """A switch that stops work. Thread-safe; once set it stays set."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask for the work to stop."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether someone asked for the work to stop."""
        return self._event.is_set()
