"""What every child process of the engine has in common, on both sides.

Lives here: the environment in which a child finds the engine, its standard output kept for results, what it tells of its work
there, and its end when its parent is gone. Not here: what a child does (`engine.training.worker`, `engine.llm.llamacpp`). The
process for chat templates shares nothing with these: it is isolated from the engine.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TextIO

from engine.config import PROJECT_ROOT
from engine.domain import Json
from engine.errors import NexusError, StorageError

Emit = Callable[[Mapping[str, Json]], None]
"""Tells the parent of an event."""

ORPHANED = 3
"""Exit status of a child whose parent went away."""

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)


def child_environment() -> dict[str, str]:
    """The environment for a child: where the engine is, threads that sleep while they wait, and no secrets.

    By default OpenMP's threads spin at a barrier. Where another program shares the cores, such as the runtime that goes on
    answering, spinning takes the time from the very thread that is waited for: a training step took 68 s instead of 10.
    """
    path = os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH")]))
    plain = {name: value for name, value in os.environ.items() if not _SECRET.search(name)}
    return {"OMP_WAIT_POLICY": "PASSIVE", **plain, "PYTHONPATH": path}


def claim_stdout() -> TextIO:
    """Keep standard output for results: whatever libraries and native code print goes to standard error instead."""
    results = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return results


def tell_of(
    work: Callable[[Emit], None],
    hear: Callable[[bytes], None] = lambda line: None,
    *,
    listen: Callable[[Callable[[bytes], None]], None] | None = None,
    only_errors: bool = False,
) -> int:
    """Do a child's work, without a network, and tell of it as JSON Lines on standard output. Returns the exit status.

    The events are those of the work, then `done`; or `error`, with what a NexusError or a refusing disk says.

    Args:
        work: given what tells the parent of an event.
        hear: as for `end_with_parent`.
        listen: takes the place of `end_with_parent`.
        only_errors: whether nothing is told but an error: of several processes that do one work, one tells of it.
    """
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TQDM_DISABLE="1")
    events = claim_stdout()
    (listen or end_with_parent)(hear)

    def emit(event: Mapping[str, Json]) -> None:
        if only_errors and event.get("event") != "error":
            return
        events.write(json.dumps(dict(event)) + "\n")
        events.flush()

    try:
        work(emit)
    except (NexusError, OSError) as exc:
        failure = exc if isinstance(exc, NexusError) else StorageError(f"The disk refused: {exc}", hint="Free some space.")
        error: dict[str, Json] = {**failure.info()}  # type: ignore[dict-item]  # mypy reads a TypedDict's values as objects
        emit({"event": "error", "error": error})
        return 1
    emit({"event": "done"})
    return 0


def end_with_parent(hear: Callable[[bytes], None] = lambda line: None) -> None:
    """From now on, end at once when standard input ends: a pipe that the parent holds, so that it is gone.

    Args:
        hear: given each line that the parent writes, on a thread of its own.
    """
    threading.Thread(target=_listen, args=(hear,), daemon=True).start()


def _listen(hear: Callable[[bytes], None]) -> None:
    rest = b""
    while read := os.read(sys.stdin.fileno(), 1024):
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            hear(line)
    os._exit(ORPHANED)
