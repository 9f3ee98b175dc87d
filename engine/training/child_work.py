"""Work on adapters in a child process: `python -m engine.training.child_work TASK`.

Merging and comparing take gigabytes, which are given back when the process ends, and what a foreign file does to native code it
does to the child alone. TASK is JSON with `do`, one of `TASKS`, and what that needs. Events are JSON Lines on standard
output: `message`, then `done` with a result, or `error`. The child goes away when its standard input ends: that is when its
parent died.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import IO

from engine.cancellation import CancelToken
from engine.child_process import child_environment, claim_stdout, end_with_parent
from engine.domain import Json
from engine.errors import CancelledError, NexusError, StorageError, TrainingError
from engine.training.process import error_from

Say = Callable[[str], None]
Task = Callable[[Mapping[str, Json], Say], dict[str, Json]]

_POLL_S = 0.2


def _merge(task: Mapping[str, Json], say: Say) -> dict[str, Json]:
    from engine.training.merged_model import write_merged

    return write_merged(task, say)


def _check(task: Mapping[str, Json], say: Say) -> dict[str, Json]:
    from engine.training.foreign_check import check_foreign

    return check_foreign(task, say)


TASKS: dict[str, Task] = {"merge": _merge, "check": _check}


def run_in_child(task: Mapping[str, Json], *, say: Say, cancel: CancelToken) -> dict[str, Json]:
    """Have a child process do a task, and wait for its result.

    Args:
        task: see the module.
        say: told what the child is about to do.
        cancel: ends the child.

    Raises:
        CancelledError: the token was set.
        NexusError: what the child raised.
        TrainingError: the child ended without a result.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "engine.training.child_work", json.dumps(dict(task))],
        stdin=subprocess.PIPE,  # never written to: its end tells the child that this process is gone
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        env=child_environment() | {"GGML_NO_BACKTRACE": "1"},
        start_new_session=True,
    )
    try:
        for event in _events(process, cancel):
            if event.get("event") == "done" and isinstance(result := event.get("result"), dict):
                return result
            if event.get("event") == "error":
                raise error_from(event.get("error"))
            say(str(event.get("text", "")))
        raise _unexplained_end(process.wait())
    finally:
        _end(process)


def _events(process: subprocess.Popen[str], cancel: CancelToken) -> Iterator[dict[str, Json]]:
    assert process.stdout is not None  # noqa: S101  # opened as a pipe
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    while True:
        if cancel.cancelled:
            raise CancelledError("The work on the adapter was stopped.", hint="Nothing was kept; start it again.")
        try:
            line = lines.get(timeout=_POLL_S)
        except queue.Empty:
            continue
        if line is None:
            return
        event = json.loads(line)
        if isinstance(event, dict):
            yield event


def _read(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        if line.endswith("\n"):  # not the torn last line of a child that was killed
            lines.put(line)
    lines.put(None)


def _end(process: subprocess.Popen[str]) -> None:
    """End the child and collect it."""
    if process.poll() is None:
        process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _unexplained_end(status: int) -> TrainingError:
    if status == -signal.SIGKILL:
        return TrainingError("The work on the adapter was killed, most likely because memory ran out.", hint="Free memory.")
    return TrainingError(f"llama.cpp or PyTorch crashed on the adapter (status {status}).", hint="Use another adapter.")


def main(arguments: list[str]) -> int:
    """Do the task that is the only argument; the exit status."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TQDM_DISABLE="1")
    events = claim_stdout()
    end_with_parent()

    def emit(event: Mapping[str, Json]) -> None:
        events.write(json.dumps(dict(event)) + "\n")
        events.flush()

    try:
        task: dict[str, Json] = json.loads(arguments[0])
        emit({"event": "done", "result": TASKS[str(task["do"])](task, lambda text: emit({"event": "message", "text": text}))})
    except (NexusError, OSError) as exc:
        failure = exc if isinstance(exc, NexusError) else StorageError(f"The disk refused: {exc}", hint="Free some space.")
        error: dict[str, Json] = {**failure.info()}  # type: ignore[dict-item]  # mypy reads a TypedDict's values as objects
        emit({"event": "error", "error": error})
        return 1
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    os._exit(status)  # the watching thread sits in a read
