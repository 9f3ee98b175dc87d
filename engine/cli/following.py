"""Doing a job from the command line: run it in this process, unless a worker of another one takes it, and show how it goes."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from engine.cli.command import Run
from engine.cli.output import cell
from engine.domain import CONTROLLABLE, Job, JobState
from engine.errors import CancelledError, JobPaused, NexusError

if TYPE_CHECKING:
    from engine.container import Engine

logger = logging.getLogger(__name__)

CLAIM_AGAIN_S = 0.5
"""How soon to try again to take a job that waits: for a lock, for its next attempt, or for the worker that has it."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, by the shells' convention (128 + SIGINT)."""


def work_on(run: Run, job: Job, changed: Callable[[Job], None] | None = None) -> Job:
    """Do a job, or watch another process do it, until it has ended.

    Ctrl-C asks the job to stop, and what it has done is kept; a second Ctrl-C leaves at once.

    Args:
        run: this run.
        job: the job.
        changed: called with the job whenever its row has changed, and at its end.

    Returns:
        The job as it ended well.

    Raises:
        typer.Exit: it did not succeed; the error was printed.
        NotFoundError, StorageError: its row is gone or cannot be read.
    """
    worker = threading.Thread(target=_work, args=(run.engine, job.id), name="nexus-cli-worker", daemon=True)
    worker.start()
    try:
        ended = _watch(run, job, changed)
    except KeyboardInterrupt:
        run.engine.jobs.cancel(job.id)
        run.out.note("Stopping; what is done is kept. Press Ctrl-C again to leave at once.")
        ended = _stop(run, job, changed)
    worker.join()
    run.out.end_progress()
    _require_success(run, ended)
    return ended


def watch(run: Run, job: Job, changed: Callable[[Job], None]) -> Job:
    """Watch a job that this process does not work on. Ctrl-C stops the watching, not the job."""
    ended = _watch(run, job, changed)
    run.out.end_progress()
    return ended


class Said:
    """What a fine-tune says besides its progress, each thing once: sample answers at a look, and what went wrong on its way."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._told = 0

    def tell_new(self, job: Job) -> None:
        """Tell on stderr what was said since the last time."""
        if job.kind not in CONTROLLABLE:
            return
        for at, event in self._run.engine.jobs.events_after(job.id, self._told):
            self._told = at
            if isinstance(event.get("notice"), str):
                self._run.out.note(str(event["notice"]))
            samples = event.get("samples")
            for sample in samples if isinstance(samples, list) else []:
                if isinstance(sample, dict):
                    self._run.out.note(f"  step {event.get('step')}  {sample.get('question')} → {cell(sample.get('answer'))}")


def _watch(run: Run, job: Job, changed: Callable[[Job], None] | None) -> Job:
    said = Said(run)
    for state in run.engine.watch(job.id):
        job = state
        said.tell_new(job)
        run.out.progress(job)
        if changed is not None:
            changed(job)
    return job


def _stop(run: Run, job: Job, changed: Callable[[Job], None] | None) -> Job:
    """Watch a job that was asked to stop."""
    try:
        return _watch(run, job, changed)
    except KeyboardInterrupt:
        # The interpreter cannot be left in good order while a thread is inside native code, and the person has asked twice.
        # The job's row says `running`; the next process sees that its owner is gone and puts it back.
        os._exit(INTERRUPTED)


def _work(engine: Engine, job_id: str) -> None:
    """Take the job whenever it can be taken, until it has ended."""
    waiting = threading.Event()
    while True:
        try:
            engine.jobs.recover()
            engine.worker.run_one(job_id)
            if engine.jobs.get(job_id).state.ended:
                return
        except NexusError as exc:  # the disk may have room again, the database may be free again
            logger.warning("the job queue cannot be used: %s", exc.message)
        waiting.wait(CLAIM_AGAIN_S)


def _require_success(run: Run, job: Job) -> None:
    if job.state is JobState.SUCCEEDED:
        return
    hint = f"Go on with `nexus jobs resume {job.id}`."
    code = JobPaused.code if job.state is JobState.PAUSED else CancelledError.code
    error = dict(job.error) if job.error else {"code": code, "message": job.message, "hint": hint}
    run.out.error({**error, "job": job.id})
    raise typer.Exit(1)
