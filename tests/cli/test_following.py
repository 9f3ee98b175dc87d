"""Doing jobs from the command line: their progress, their errors, other workers, and clean streams."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from io import StringIO

import pytest
import typer

from engine.cli.command import Run
from engine.cli.following import work_on
from engine.cli.output import Output
from engine.config import Settings
from engine.container import Engine
from engine.domain import Job, JobState
from engine.errors import ProviderError, TrainingError
from engine.jobs import Handler, JobContext, Worker


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    with Engine(settings) as engine:
        yield engine


@pytest.fixture
def run_with(engine: Engine) -> Callable[..., tuple[Run, StringIO]]:
    """A run whose engine has other handlers."""

    def make(handlers: Mapping[str, Handler]) -> tuple[Run, StringIO]:
        engine.__dict__["worker"] = Worker(engine.jobs, handlers, heartbeat_s=0.05)
        stream = StringIO()
        run = Run(None, Output(stream, as_json=True))
        run.__dict__["engine"] = engine
        return run, stream

    return make


def test_the_job_is_done_here_and_its_changes_are_seen(run_with: Callable[..., tuple[Run, StringIO]], engine: Engine) -> None:
    def handler(context: JobContext) -> dict[str, int]:
        context.progress(1.0, "nearly")
        return {"n": 1}

    seen: list[Job] = []
    run, stream = run_with({"count": handler})
    ended = work_on(run, engine.jobs.submit("count", {}), seen.append)
    assert ended.result == {"n": 1}
    assert seen[-1] == ended
    assert stream.getvalue() == ""


def test_a_failed_job_prints_its_error_and_ends_with_1(run_with: Callable[..., tuple[Run, StringIO]], engine: Engine) -> None:
    def handler(context: JobContext) -> dict[str, int]:
        raise TrainingError("the loss is not a number", hint="Lower the rate.")

    run, stream = run_with({"train": handler})
    job = engine.jobs.submit("train", {})
    with pytest.raises(typer.Exit) as stopped:
        work_on(run, job)
    assert stopped.value.exit_code == 1
    error = json.loads(stream.getvalue())["error"]
    assert (error["code"], error["message"], error["hint"]) == ("training", "the loss is not a number", "Lower the rate.")
    assert error["job"] == job.id


def test_a_job_that_is_to_be_tried_again_is_tried_again(
    run_with: Callable[..., tuple[Run, StringIO]], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.jobs.worker.RETRY_BASE_S", 0.01)

    def handler(context: JobContext) -> dict[str, int]:
        if context.job.attempts == 1:
            raise ProviderError("busy")
        return {"attempt": context.job.attempts}

    run, _ = run_with({"call": handler})
    assert work_on(run, engine.jobs.submit("call", {})).result == {"attempt": 2}


def test_a_job_that_was_cancelled_elsewhere_says_so(run_with: Callable[..., tuple[Run, StringIO]], engine: Engine) -> None:
    def handler(context: JobContext) -> dict[str, int]:
        engine.jobs.cancel(context.job.id)
        gate = threading.Event()
        while True:
            context.check()
            gate.wait(0.01)

    run, stream = run_with({"wait": handler})
    job = engine.jobs.submit("wait", {})
    with pytest.raises(typer.Exit):
        work_on(run, job)
    error = json.loads(stream.getvalue())["error"]
    assert error["code"] == "cancelled"
    assert job.id in error["hint"]
    assert engine.jobs.get(job.id).state is JobState.ABORTED


def test_a_job_that_another_worker_has_is_watched(run_with: Callable[..., tuple[Run, StringIO]], engine: Engine) -> None:
    job = engine.jobs.submit("count", {})
    assert engine.jobs.claim("another-host:1:x", ["count"], job.id) is not None
    run, _ = run_with({"count": lambda context: {"done_by": "us"}})

    def changed(seen: Job) -> None:
        if seen.state is JobState.RUNNING:
            engine.jobs.succeed(job.id, "another-host:1:x", {"done_by": "them"})

    assert work_on(run, job, changed).result == {"done_by": "them"}


def noisy(lines: int) -> str:
    """A program with one command that prints from everywhere, and then so many records."""
    return f"""
import os, subprocess, sys, typer
from engine.cli.command import Run, command
group = typer.Typer()
@command(group, "noise")
def noise(run: Run) -> None:
    print("from Python")
    os.write(1, b"from native code\\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"])
    for number in range({lines}):
        run.out.record({{"number": number}})
group(["--json"])
"""


def test_what_libraries_print_does_not_reach_stdout() -> None:
    shown = subprocess.run([sys.executable, "-c", noisy(1)], capture_output=True, text=True, check=True, timeout=60)
    assert [json.loads(line) for line in shown.stdout.splitlines()] == [{"number": 0}]
    for noise in ("from Python", "from native code", "from a child"):
        assert noise in shown.stderr


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", noisy(100_000)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) in (0, 1)
    assert "Traceback" not in said
    assert "Broken" not in said
