"""The worker: results, errors, retries, stopping, and death in the middle."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.db.session import Database
from engine.domain import Job, JobState
from engine.errors import InputError, ProviderError
from engine.jobs import JobContext, JobQueue, Worker


@pytest.fixture
def queue(tmp_path: Path) -> JobQueue:
    return JobQueue(Database(tmp_path / "nexus.db"))


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until a condition holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    gate = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come about in time"
        gate.wait(0.01)


def ended(queue: JobQueue, job: Job) -> Job:
    wait_for(lambda: queue.get(job.id).state.ended)
    return queue.get(job.id)


def test_a_handler_reports_and_returns(queue: JobQueue) -> None:
    def handler(context: JobContext) -> dict[str, object]:
        context.progress(1.0, "nearly")
        context.emit({"loss": 1.5})
        return {"doubled": context.job.payload["n"] * 2}

    job = queue.submit("double", {"n": 21})
    done = Worker(queue, {"double": handler}).run_one(job.id)
    assert done is not None
    assert (done.state, done.result) == (JobState.SUCCEEDED, {"doubled": 42})
    assert queue.events(job.id) == [{"loss": 1.5}]


def test_an_error_of_the_person_ends_the_job_at_once(queue: JobQueue) -> None:
    def handler(context: JobContext) -> dict[str, object]:
        raise InputError("the file is empty", hint="Save it again.")

    done = Worker(queue, {"a": handler}).run_one(queue.submit("a", {}).id)
    assert (done.state, done.attempts) == (JobState.FAILED, 1)
    assert done.error == {"code": "invalid_input", "message": "the file is empty", "hint": "Save it again.", "retryable": False}


def test_an_unforeseen_error_ends_the_job_not_the_worker(queue: JobQueue) -> None:
    worker = Worker(queue, {"bad": lambda context: {"x": 1 / 0}, "good": lambda context: {}})
    assert worker.run_one(queue.submit("bad", {}).id).error["code"] == "internal"
    assert worker.run_one(queue.submit("good", {}).id).state is JobState.SUCCEEDED


def test_a_full_disk_is_named(queue: JobQueue) -> None:
    def handler(context: JobContext) -> dict[str, object]:
        raise OSError(28, "No space left on device")

    done = Worker(queue, {"a": handler}).run_one(queue.submit("a", {}).id)
    assert done.error["message"] == "the disk is full"


def test_a_passing_failure_is_tried_again_later(queue: JobQueue) -> None:
    def handler(context: JobContext) -> dict[str, object]:
        raise ProviderError("the provider is busy")

    job = queue.submit("a", {}, max_attempts=2)
    waiting = Worker(queue, {"a": handler}).run_one(job.id)
    assert (waiting.state, waiting.attempts) == (JobState.QUEUED, 1)
    assert "trying again" in waiting.message
    wait_for(lambda: Worker(queue, {"a": handler}).run_one(job.id) is not None)
    assert queue.get(job.id).state is JobState.FAILED


def test_cancelling_a_running_job_aborts_it(queue: JobQueue) -> None:
    started = threading.Event()

    def handler(context: JobContext) -> dict[str, object]:
        started.set()
        wait_for(lambda: context.cancel.cancelled)
        context.check()
        return {}

    worker = Worker(queue, {"a": handler}, heartbeat_s=0.05)
    worker.start()
    try:
        job = queue.submit("a", {})
        worker.notify()
        assert started.wait(20)
        queue.cancel(job.id)
        assert ended(queue, job).state is JobState.ABORTED
    finally:
        worker.stop()


def test_stopping_the_worker_puts_its_job_back(queue: JobQueue) -> None:
    started = threading.Event()

    def handler(context: JobContext) -> dict[str, object]:
        started.set()
        wait_for(lambda: context.cancel.cancelled)
        context.check()
        return {}

    worker = Worker(queue, {"a": handler})
    worker.start()
    job = queue.submit("a", {})
    worker.notify()
    assert started.wait(20)
    worker.stop()
    back = queue.get(job.id)
    assert (back.state, back.attempts) == (JobState.QUEUED, 0)


def test_jobs_run_side_by_side(queue: JobQueue) -> None:
    both = threading.Barrier(2, timeout=20)

    def handler(context: JobContext) -> dict[str, object]:
        both.wait()
        return {}

    worker = Worker(queue, {"a": handler}, threads=2)
    jobs = [queue.submit("a", {}) for _ in range(2)]
    worker.start()
    try:
        assert [ended(queue, job).state for job in jobs] == [JobState.SUCCEEDED] * 2
    finally:
        worker.stop()


KILLED = """
import sys, threading
from pathlib import Path
from engine.db.session import Database
from engine.jobs import JobQueue, Worker

def handler(context):
    print("running", flush=True)
    threading.Event().wait()

Worker(JobQueue(Database(Path(sys.argv[1]))), {"a": handler}).run_one()
"""


def test_a_killed_process_leaves_its_job_to_the_next(queue: JobQueue, tmp_path: Path) -> None:
    job = queue.submit("a", {})
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "nexus.db")], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "running\n"
    assert queue.get(job.id).state is JobState.RUNNING
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    worker = Worker(queue, {"a": lambda context: {"went": "on"}})
    worker.start()
    try:
        done = ended(queue, job)
    finally:
        worker.stop()
    assert (done.state, done.result, done.attempts) == (JobState.SUCCEEDED, {"went": "on"}, 2)
