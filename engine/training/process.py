"""The parent's side of a fine-tune: starts the child, passes on what it tells, stops it, and explains how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from engine.cancellation import CancelToken
from engine.child_process import child_environment
from engine.domain import JobWish, Json
from engine.errors import CancelledError, NexusError, StorageError, TrainingError
from engine.training.launcher import BY_SIGNAL
from engine.training.run_folder import LOG_FILE, note_memory_kill, read_artifact
from engine.training.trainer import AdapterArtifact

Event = Mapping[str, Json]
OnEvent = Callable[[Event], None]

VMSTAT = Path("/proc/vmstat")
"""Where Linux counts, as `oom_kill`, the processes that it ended because memory ran out."""
WORKER = "engine.training.worker"
LAUNCHER = "engine.training.launcher"
_KILLED = (-signal.SIGKILL, BY_SIGNAL + signal.SIGKILL)
"""Statuses of a child that was killed, or of a launcher one of whose processes was."""
_GONE_S = 10.0
"""How long killed processes have to be gone; one that waits for a device takes its time."""
_POLL_S = 0.2
"""How soon a cancelled token is noticed."""
_LOG_LINES = 8
"""Lines of the child's log that go into an error."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a child process does, in the words of its errors. `retryable`: whether it goes on where it was, if it was killed."""

    name: str
    cancelled_hint: str
    killed_hint: str
    retryable: bool = False


FINE_TUNE = Work(
    "fine-tune",
    cancelled_hint="It can be resumed from its last checkpoint.",
    killed_hint="Close other programs, or choose a smaller batch, shorter examples or a smaller model; then resume.",
    retryable=True,
)


def run_training(
    run_dir: Path,
    *,
    on_event: OnEvent,
    cancel: CancelToken,
    wish: Callable[[], JobWish | None] = lambda: None,
    processes: int = 1,
) -> AdapterArtifact:
    """Run the fine-tune that is described in a run's folder in a child process, and wait for it.

    Args:
        run_dir: made by `write_run`; with checkpoints in it, the child goes on from the newest.
        on_event: receives each event of the child (`message`, `progress`), in this thread.
        cancel: stops the child.
        wish: what someone asks of the training; the child heeds it between two steps.
        processes: how many share the work, each on a device of its own; see `engine.training.launcher`.

    Raises:
        CancelledError: the token was set; checkpoints stay.
        JobPaused: the child has paused, with a checkpoint.
        NexusError: what the child raised.
        TrainingError: the child ended without saying why; the hint has the end of its log.
    """
    module, arguments = (WORKER, ()) if processes == 1 else (LAUNCHER, (str(processes),))
    follow_child(run_dir, module, LOG_FILE, on_event=on_event, cancel=cancel, wish=wish, arguments=arguments)
    return read_artifact(run_dir / "output")


def follow_child(
    run_dir: Path,
    module: str,
    log_file: str,
    *,
    on_event: OnEvent,
    cancel: CancelToken,
    wish: Callable[[], JobWish | None] = lambda: None,
    environment: Mapping[str, str] | None = None,
    work: Work = FINE_TUNE,
    arguments: Sequence[str] = (),
) -> None:
    """Run a module in a child process with a run's folder as its first argument, and wait for it; see `run_training`.

    Args:
        run_dir: the run's folder.
        module: speaks as `worker` does.
        log_file: in the run's folder: where the child's standard error goes.
        on_event: receives each event of the child but `error` and `done`.
        cancel: stops the child.
        wish: what someone asks of the child.
        environment: variables that the child has besides.
        work: what it does.
        arguments: of the module, besides.
    """
    failure: NexusError | None = None
    kills = _kernel_kills()
    with _child(run_dir, module, log_file, environment or {}, arguments) as process:
        for event in _events(process, cancel, wish, work):
            if event.get("event") == "error":
                failure = failure or _error_from(event.get("error"))  # of several processes, the first to fail has the reason
            elif event.get("event") != "done":
                on_event(event)
        status = process.wait()
    if failure is not None:
        raise failure
    if status in _KILLED and _kernel_kills() > kills:
        note_memory_kill(run_dir)  # the next start computes less at once
    if status != 0:
        raise _unexplained_end(run_dir / log_file, status, work)


@contextmanager
def _child(
    run_dir: Path, module: str, log_file: str, environment: Mapping[str, str], arguments: Sequence[str]
) -> Iterator[subprocess.Popen[str]]:
    """The child process; killed at the end of the block if it still runs."""
    try:
        log = (run_dir / log_file).open("w", encoding="utf-8")
    except OSError as exc:
        raise StorageError(f"The run's log could not be written: {exc}", hint="Free some disk space.") from exc
    with log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                module,
                str(run_dir.absolute()),
                *arguments,
            ],  # nothing of the working folder is imported
            stdin=subprocess.PIPE,  # wishes; its end tells the child that this process is gone
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            env=_environment(environment),
            start_new_session=True,  # Ctrl-C in a terminal reaches this process alone, which then ends the child in order
        )
        try:
            yield process
        finally:
            _kill(process)


def _environment(added: Mapping[str, str]) -> dict[str, str]:
    """A child's environment; of what is added, the search path stands behind the engine's."""
    plain = child_environment()
    path = os.pathsep.join(filter(None, [plain["PYTHONPATH"], added.get("PYTHONPATH")]))
    return {**plain, **added, "PYTHONPATH": path}


def _events(
    process: subprocess.Popen[str], cancel: CancelToken, wish: Callable[[], JobWish | None], work: Work
) -> Iterator[Event]:
    """The child's events until its output ends; meanwhile it is told of each new wish."""
    assert process.stdout is not None  # noqa: S101  # opened as a pipe
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True).start()
    told: JobWish | None = None
    while True:
        if cancel.cancelled:
            raise CancelledError(f"The {work.name} was cancelled.", hint=work.cancelled_hint)
        if (wanted := wish()) is not None and wanted is not told:
            _tell(process, wanted)
            told = wanted
        try:
            line = lines.get(timeout=_POLL_S)
        except queue.Empty:
            continue
        if line is None:
            return
        event = _parse(line)
        if event is not None:
            yield event


def _tell(process: subprocess.Popen[str], wish: JobWish) -> None:
    """Pass a wish on; a child that has just ended needs none."""
    assert process.stdin is not None  # noqa: S101  # opened as a pipe
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(f"{wish}\n")
        process.stdin.flush()


def _read_lines(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    """Move lines from a pipe to a queue; None marks the end."""
    for line in stream:
        lines.put(line)
    lines.put(None)


def _parse(line: str) -> Event | None:
    """An event; None for the torn last line of a child that was killed."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _kill(process: subprocess.Popen[str]) -> None:
    """End the child and whatever it started, and collect it."""
    if process.poll() is None:
        below = _below(process.pid)
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        for each in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(below, timeout=_GONE_S)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):  # a wish that the child did not live to hear
                stream.close()


def _below(pid: int) -> list[psutil.Process]:
    """The processes that a process started, and theirs: some are in groups of their own, as those of a launcher."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _error_from(value: Json) -> NexusError:
    """The child's error, as the class it had there."""
    info = value if isinstance(value, dict) else {}
    kind = _error_classes().get(str(info.get("code")), TrainingError)
    hint = info.get("hint")
    return kind(
        str(info.get("message", "The fine-tune failed.")),
        hint=None if hint is None else str(hint),
        retryable=bool(info.get("retryable")),
    )


def _error_classes() -> dict[str, type[NexusError]]:
    """Every error class by its code."""
    classes: dict[str, type[NexusError]] = {}
    left: list[type[NexusError]] = [NexusError]
    while left:
        kind = left.pop()
        classes[kind.code] = kind
        left.extend(kind.__subclasses__())
    return classes


def _kernel_kills() -> int:
    """How many processes the kernel has ended since it started because memory ran out; 0 where it does not say."""
    try:
        counts = dict(line.split() for line in VMSTAT.read_text("ascii").splitlines())
    except (OSError, ValueError):
        return 0
    return int(counts.get("oom_kill", 0))


def _unexplained_end(log_file: Path, status: int, work: Work) -> TrainingError:
    """The error for a child that ended without an `error` event."""
    if status in _KILLED:
        return TrainingError(
            f"The process of the {work.name} was killed, most likely because memory ran out.",
            hint=work.killed_hint,
            retryable=work.retryable,
        )
    lines = log_file.read_text("utf-8", "replace").splitlines()
    tail = "\n".join(line for line in lines if line.strip()).splitlines()[-_LOG_LINES:]
    return TrainingError(f"The process of the {work.name} ended with status {status}.", hint="\n".join(tail) or None)
