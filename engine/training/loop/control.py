"""What a person wants of a training that runs: heard on one thread, asked for between two steps on another."""

from __future__ import annotations

import contextlib

from engine.domain import JobWish


class RunControl:
    """The last wish that was heard. Safe to use from any thread."""

    def __init__(self) -> None:
        self._wish: JobWish | None = None

    def hear(self, line: bytes) -> None:
        """Take in a wish, written as its value; anything else is passed over."""
        with contextlib.suppress(ValueError):
            self._wish = JobWish(line.decode("ascii", "replace").strip())

    @property
    def pause(self) -> bool:
        """Whether to write a checkpoint and raise `JobPaused`."""
        return self._wish is JobWish.PAUSE

    @property
    def stop(self) -> bool:
        """Whether to end now and keep what was learnt."""
        return self._wish is JobWish.STOP
