"""Names of workers, which tell whose process works on a job."""

from __future__ import annotations

import os
import socket
import uuid

import psutil

_SAME_MOMENT_S = 1.0
"""A process of this number that began so near to the time in a name is the one that is meant."""


def new_owner() -> str:
    """A name for a worker: host, process number, when the process began, and which of its workers."""
    began = psutil.Process().create_time()
    return f"{socket.gethostname()}:{os.getpid()}:{began:.2f}:{uuid.uuid4().hex[:8]}"


def is_alive(owner: str) -> bool | None:
    """Whether the process of a worker still runs, and not another one that got its number; None where nobody can see that."""
    host, *process = owner.split(":")
    if host != socket.gethostname() or len(process) != 3:
        return None
    try:
        return abs(psutil.Process(int(process[0])).create_time() - float(process[1])) < _SAME_MOMENT_S
    except psutil.Error:
        return False
