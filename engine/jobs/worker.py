"""The worker: takes jobs from the queue, runs their handlers, keeps them alive and ends them properly."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from engine.cancellation import CancelToken
from engine.domain import Job, JobWish, Json
from engine.errors import CancelledError, ErrorInfo, JobPaused, NexusError, StorageError
from engine.jobs.owners import new_owner
from engine.jobs.queue import JobQueue

logger = logging.getLogger(__name__)

RETRY_BASE_S = 2.0
RETRY_LIMIT_S = 60.0
POLL_S = 1.0
"""How soon a job that another process has queued is seen. Jobs of this process wake the worker at once."""
REPORT_EVERY_S = 0.2
"""Progress is written no more often than this, so that a fast job does not live in the database."""


class JobContext:
    """What a handler is given: its job, a way to report, and what people ask of it meanwhile."""

    def __init__(self, job: Job, queue: JobQueue, owner: str) -> None:
        self.job = job
        self.cancel = CancelToken()
        self.wish: JobWish | None = None
        """What someone asks of the job besides to cancel it; jobs of the kinds in `CONTROLLABLE` heed it."""
        self._queue = queue
        self._owner = owner
        self._reported_at = 0.0

    def progress(self, fraction: float, message: str, left_s: float | None = None) -> None:
        """Report how far the job is (0…1), what it is doing, and the seconds that are left where it knows.

        Raises:
            CancelledError: someone asked the job to stop.
        """
        self.check()
        now = time.monotonic()
        if fraction >= 1.0 or now - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = now
            self._queue.report(self.job.id, self._owner, fraction, message, left_s)

    def emit(self, data: Mapping[str, Json]) -> None:
        """Report anything else, such as a training loss; kept with the job."""
        self._queue.emit(self.job.id, data)

    def check(self) -> None:
        """Stop here if someone asked for it.

        Raises:
            CancelledError: someone asked the job to stop.
        """
        if self.cancel.cancelled:
            raise CancelledError("the job was stopped")


Handler = Callable[[JobContext], Mapping[str, Json]]
"""Does a job and returns its result. It may run again after a crash, so it goes on from what is stored."""


class Observer(Protocol):
    """Is told when jobs begin and end."""

    def job_started(self, kind: str) -> None:
        """A job of this kind began to run."""

    def job_ended(self, kind: str, state: str, seconds: float) -> None:
        """A job stopped running after `seconds`, in this state; `queued` when it will be tried again."""


class Worker:
    """Runs jobs on threads of this process."""

    def __init__(
        self,
        queue: JobQueue,
        handlers: Mapping[str, Handler],
        *,
        heartbeat_s: float = 2.0,
        threads: int = 2,
        observer: Observer | None = None,
    ) -> None:
        """Make a worker; `start` begins to take jobs on `threads` threads."""
        self._queue = queue
        self._handlers = handlers
        self._heartbeat_s = heartbeat_s
        self._thread_count = threads
        self._observer = observer
        self._stopping = threading.Event()
        self._wake = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._running: dict[str, JobContext] = {}

    def start(self) -> None:
        """Begin to take jobs, after putting back those that a dead process has left. Does nothing when already started."""
        if self._threads:
            return
        self._stopping.clear()
        self._queue.recover()
        self._threads = [
            threading.Thread(target=self._loop, name=f"nexus-worker-{number}", daemon=True)
            for number in range(self._thread_count)
        ]
        for thread in self._threads:
            thread.start()

    def notify(self) -> None:
        """Look for work now."""
        with self._wake:
            self._wake.notify_all()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop taking jobs; those that run are interrupted and put back into the queue."""
        self._stopping.set()
        for context in list(self._running.values()):
            context.cancel.cancel()
        self.notify()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._threads = []

    def run_one(self, job_id: str | None = None) -> Job | None:
        """Take one job (or the one named), run it on this thread, and return it as it ended.

        None when there was none to take.
        """
        owner = new_owner()
        job = self._queue.claim(owner, list(self._handlers), job_id)
        if job is None:
            return None
        self._run(job, owner)
        return self._queue.get(job.id)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                ran = self.run_one()
                if ran is None:
                    self._queue.recover()
            except StorageError as exc:  # the disk may have room again, the lock may be free again
                logger.warning("the job queue cannot be read: %s", exc.message)
                ran = None
            if ran is None and not self._stopping.is_set():
                with self._wake:
                    self._wake.wait(POLL_S)

    def _run(self, job: Job, owner: str) -> None:
        context = JobContext(job, self._queue, owner)
        context.wish = job.wish
        self._running[job.id] = context
        started = time.monotonic()
        if self._observer is not None:
            self._observer.job_started(job.kind)
        try:
            with self._alive(context, owner):
                result = self._handlers[job.kind](context)
            self._queue.succeed(job.id, owner, result)
        except CancelledError as exc:
            self._stopped(job, owner, exc)
        except Exception as exc:  # noqa: BLE001  (the one catch-all of the engine: a job's error ends the job, not the worker)
            self._failed(job, owner, exc)
        finally:
            self._running.pop(job.id, None)
        if self._observer is not None:
            self._observer.job_ended(job.kind, self._queue.get(job.id).state.value, time.monotonic() - started)

    def _stopped(self, job: Job, owner: str, exc: CancelledError) -> None:
        if self._queue.get(job.id).cancel_requested:
            self._queue.abort(job.id, owner)
        elif isinstance(exc, JobPaused):
            self._queue.park(job.id, owner, exc.message)
        elif self._stopping.is_set():
            self._queue.requeue(job.id, owner, "Interrupted; waiting to go on", refund_attempt=True)
        else:
            self._queue.abort(job.id, owner)

    def _failed(self, job: Job, owner: str, exc: Exception) -> None:
        error = error_info(exc)
        if not isinstance(exc, NexusError):
            logger.exception("job %s (%s) failed", job.id, job.kind)
        if error["retryable"] and job.attempts < job.max_attempts:
            delay = min(RETRY_LIMIT_S, RETRY_BASE_S * 2 ** (job.attempts - 1))
            self._queue.requeue(job.id, owner, f"{error['message']}; trying again in {delay:.0f} s", delay_s=delay)
        else:
            self._queue.fail(job.id, owner, error)

    @contextlib.contextmanager
    def _alive(self, context: JobContext, owner: str) -> Iterator[None]:
        done = threading.Event()
        thread = threading.Thread(target=self._beat, args=(context, owner, done), name="nexus-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _beat(self, context: JobContext, owner: str, done: threading.Event) -> None:
        while not done.wait(self._heartbeat_s):
            try:
                context.wish = self._queue.wish(context.job.id)
                if not self._queue.beat(context.job.id, owner):
                    context.cancel.cancel()
            except StorageError as exc:
                logger.warning("no heartbeat for job %s: %s", context.job.id, exc.message)


def error_info(exc: Exception) -> ErrorInfo:
    """An exception as it is stored with a job and shown to a person."""
    if isinstance(exc, NexusError):
        return exc.info()
    if isinstance(exc, OSError) and exc.errno == errno.ENOSPC:
        return StorageError("the disk is full", hint="Free some space and resume the job.").info()
    if isinstance(exc, MemoryError):
        return ErrorInfo(
            code="memory", message="out of memory", hint="Close other programs, or use a smaller model.", retryable=False
        )
    return ErrorInfo(
        code="internal",
        message=f"{type(exc).__name__}: {exc}"[:500],
        hint="This is a fault in AI Nexus; the log has the details.",
        retryable=False,
    )
