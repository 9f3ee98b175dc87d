"""Work on adapters in a child process: `python -m engine.training.adapters.child_work FOLDER`.

Merging and comparing take gigabytes, which are given back when the process ends, and what a foreign file does to native code it
does to the child alone. The folder has a file `task.json` with `do`, one of `TASKS`, and what that needs. The child tells what
happens as `worker` does; its result is the event `result`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.cancellation import CancelToken
from engine.child_process import Emit, tell_of
from engine.domain import Json
from engine.errors import TrainingError
from engine.training.process import Event, Work, follow_child

Say = Callable[[str], None]
Task = Callable[[Mapping[str, Json], Say], dict[str, Json]]

TASK_FILE = "task.json"
_LOG_FILE = "child.log"
_WORK = Work(
    "work on the adapter",
    cancelled_hint="Nothing was kept; start it again.",
    killed_hint="Free memory, or use another adapter.",
)


def _merge(task: Mapping[str, Json], say: Say) -> dict[str, Json]:
    from engine.training.adapters.merged_model import write_merged

    return write_merged(task, say)


def _check(task: Mapping[str, Json], say: Say) -> dict[str, Json]:
    from engine.training.adapters.foreign_check import check_foreign

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
        OSError: the disk refused.
    """
    results: list[Json] = []

    def receive(event: Event) -> None:
        if event.get("event") == "result":
            results.append(event.get("result"))
        else:
            say(str(event.get("text", "")))

    with tempfile.TemporaryDirectory(prefix="nexus-") as name:
        folder = Path(name)
        (folder / TASK_FILE).write_text(json.dumps(dict(task)), "utf-8")
        quiet = {"GGML_NO_BACKTRACE": "1"}
        follow_child(
            folder,
            "engine.training.adapters.child_work",
            _LOG_FILE,
            on_event=receive,
            cancel=cancel,
            environment=quiet,
            work=_WORK,
        )
    if not results or not isinstance(results[0], dict):
        raise TrainingError("The work on the adapter ended without a result.", hint="Try again.")
    return results[0]


def main(arguments: list[str]) -> int:
    """Do the task in the folder that is the only argument; the exit status."""

    def work(emit: Emit) -> None:
        task: dict[str, Json] = json.loads((Path(arguments[0]) / TASK_FILE).read_text("utf-8"))
        result = TASKS[str(task["do"])](task, lambda text: emit({"event": "message", "text": text}))
        emit({"event": "result", "result": result})

    return tell_of(work)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    os._exit(status)  # the watching thread sits in a read
