"""What every child process of the engine has in common, on both sides.

Lives here: the environment in which a child finds the engine, its standard output kept for results, and its end when its parent
is gone. Not here: what a child does (`engine.training.worker`, `engine.llm.llamacpp`). The process for chat templates shares
nothing with these: it is isolated from the engine.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable
from typing import TextIO

from engine.config import PROJECT_ROOT

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
