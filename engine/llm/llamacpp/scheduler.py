"""The decode thread of one model: the only thread that touches the weights and the contexts."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from engine.errors import AdapterError, CancelledError, ContextOverflowError, ModelError, NexusError
from engine.llm.llamacpp.generation import AdapterFile, Generation
from engine.llm.llamacpp.lanes import STORING_S, Lanes
from engine.llm.llamacpp.library import AbortSwitch
from engine.llm.llamacpp.options import RuntimeOptions, Statistics
from engine.llm.llamacpp.tokens import Vocabulary

logger = logging.getLogger(__name__)

CLOSING_S = 2.0
"""How long `close` waits for the decode thread. A decode is aborted at its next graph node, and beginnings are stored for no
longer than `STORING_S`, so this is long."""

MOST_WAITING = 1000
"""Requests that wait for a place; more than that are refused, since nobody would wait for so long."""


class Scheduler:
    """Takes generations from any thread and runs them in its own.

    The thread starts with the first request; weights are loaded by it when they are needed and given back when they were
    not needed for a while. Should it ever end by an error of the program, that is logged, its requests fail, and the next
    request begins anew.
    """

    def __init__(self, options: RuntimeOptions, vocabulary: Vocabulary) -> None:
        self._options = options
        self._vocabulary = vocabulary
        self._changed = threading.Condition()
        self._inbox: list[Generation] = []
        self._closed_at: float | None = None
        self._resting = False
        self._thread: threading.Thread | None = None
        self._stop = AbortSwitch()
        self._pause = AbortSwitch()
        self.statistics = Statistics()
        # From here on: the decode thread's own.
        self._lanes = self._new_lanes()
        self._unplaced: list[Generation] = []

    def submit(self, generation: Generation) -> None:
        """Hand in a generation; its events come through its `deliver`.

        Raises:
            ModelError: the model was closed, or too many requests wait.
        """
        with self._changed:
            if self._closed:
                raise ModelError("The model was closed.", hint="Load it again.")
            if len(self._inbox) + len(self._unplaced) + self._lanes.waiting >= MOST_WAITING:
                hint = "Ask again in a while, or run fewer jobs at once."
                raise ModelError(f"{MOST_WAITING} requests wait for the model already.", hint=hint, retryable=True)
            if self._thread is None:
                self._start_thread()
            self._inbox.append(generation)
            if generation.urgent:
                self._pause.throw()  # a job's decode under way is given up and done again later
            self._changed.notify_all()

    def close(self) -> None:
        """End everything that runs with an error, free all memory, end the thread. May be called again."""
        with self._changed:
            self._closed_at = self._closed_at or time.monotonic()
            self._stop.throw()
            self._pause.throw()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(CLOSING_S)

    def rest(self, wait_s: float) -> bool:
        """Give the weights back as soon as nothing is asked for; the next request loads them again.

        Returns whether they are gone within `wait_s` seconds.
        """
        with self._changed:
            if self._thread is None:
                return True
            self._resting = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._resting, wait_s) and not self._inbox

    def _start_thread(self) -> None:
        """Start the decode thread; it waits for the lock, which the caller has."""
        thread = threading.Thread(target=self._run, name=f"decode-{self._options.path.stem}", daemon=True)
        thread.start()
        self._thread = thread

    @property
    def _closed(self) -> bool:
        return self._closed_at is not None

    # --- the decode thread

    def _run(self) -> None:
        sound = False
        try:
            self._work()
            sound = True
        finally:
            if not sound:
                logger.error("The decode thread of %s ended by an error of its own", self._options.path.name, exc_info=True)
            self._hand_over()

    def _work(self) -> None:
        """Run what comes until the model is closed; leave nobody waiting and nothing in memory, however that ends."""
        sound = False
        try:
            while self._await_work():
                self._place_new()
                self._lanes.step()
            sound = True
        finally:
            self._end_all()
            self._lanes.unload(storing=sound)  # without the lock: whoever asks meanwhile is heard

    def _hand_over(self) -> None:
        """Let the next thread begin anew; at once where someone asked while this one ended."""
        with self._changed:
            self._thread = None
            self._resting = False
            self._changed.notify_all()
            self._lanes = self._new_lanes()
            if self._closed:
                self._end_all()
            elif self._inbox:
                self._start_thread()

    def _new_lanes(self) -> Lanes:
        return Lanes(
            self._options,
            self._vocabulary,
            stop=self._stop,
            pause=self._pause,
            deserted=self._deserted,
            hurried=self._hurried,
            statistics=self.statistics,
        )

    def _await_work(self) -> bool:
        """Take in new requests; wait where there is nothing to do. False when the model was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_work() or self._resting, self._options.idle_unload_s)
            idle = not self._has_work()
        while idle:
            self._lanes.rest()  # without the lock: whoever asks meanwhile is heard
            with self._changed:
                self._resting = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._has_work() or self._resting)
                idle = not self._has_work()
        with self._changed:
            self._unplaced += self._inbox
            self._inbox = []
            if not self._closed:
                self._pause.release()
            return not self._closed

    def _has_work(self) -> bool:
        return bool(self._closed or self._inbox or self._unplaced or self._lanes.busy)

    def _hurried(self) -> bool:
        """Whether nothing more is to be stored: someone asks for something, or closing the model took its time."""
        return bool(self._inbox) or (self._closed_at is not None and time.monotonic() >= self._closed_at + STORING_S)

    def _deserted(self) -> bool:
        """Whether nobody waits any more; asked while weights are loaded. Ends whoever would else wait for that in vain."""
        now = time.monotonic()
        with self._changed:
            for generation in [*self._unplaced, *self._inbox]:
                reason = generation.interruption(now)
                if reason is not None:
                    generation.finish("", reason, 0)
            return self._closed or all(generation.ended for generation in [*self._unplaced, *self._inbox])

    def _place_new(self) -> None:
        """Give each new request to the lane of its adapter; those whose lane cannot be made yet stay.

        Those with adapters that come after one of these stay as well, or the lanes that it waits for might never be idle.
        """
        remaining: list[Generation] = []
        for generation in sorted(self._unplaced, key=lambda generation: generation.order):
            if not self._place(generation, held=bool(remaining) and generation.adapter is not None):
                remaining.append(generation)
        self._unplaced = remaining

    def _place(self, generation: Generation, *, held: bool) -> bool:
        """Whether the request needs no further placing: it has a lane, or it ended. Where it is `held` it gets no lane."""
        reason = generation.interruption(time.monotonic())
        if reason is not None:
            generation.finish("", reason, 0)
            return True
        if held:
            return False
        try:
            return self._lanes.place(generation)
        except CancelledError:
            return False  # the next turn ends it
        except (ModelError, ContextOverflowError) as exc:
            generation.fail(exc)
            return True

    def _end_all(self) -> None:
        """End everything that runs or waits with an error."""
        with self._changed:
            error = self._closing_error()
            self._lanes.fail(error)
            for generation in [*self._unplaced, *self._inbox]:
                generation.fail(error)
            self._unplaced, self._inbox = [], []

    def _closing_error(self) -> NexusError:
        if self._closed:
            return ModelError("The model was closed while it answered.", hint="Ask again.")
        hint = "Ask again; the log says what went wrong."
        return ModelError("The local runtime stopped by an error of its own.", hint=hint, retryable=True)


def adapter_file(path: Path) -> AdapterFile:
    """An adapter's file as it is now.

    Raises:
        AdapterError: there is none.
    """
    try:
        status = path.stat()
    except OSError as exc:
        raise AdapterError(f"The adapter {path.name} cannot be read.", hint="Fine-tune again, or choose another.") from exc
    return AdapterFile(path.absolute(), status.st_mtime_ns, status.st_size)
