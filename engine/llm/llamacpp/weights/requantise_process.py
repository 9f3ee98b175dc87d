"""The parent's side of a conversion: starts the child, ends it when it takes too long, explains how it ended."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from engine.child_process import child_environment
from engine.domain import Json
from engine.errors import CancelledError, ModelFileError, StorageError

_POLL_S = 0.1


def run_requantise(job: Mapping[str, Json], seconds: float, stop: Callable[[], bool]) -> Mapping[str, Json]:
    """Have a child process do a job of `engine.llm.llamacpp.weights.requantise`; returns its reply.

    Args:
        job: see there.
        seconds: how long it may take.
        stop: whether nobody waits any more.

    Raises:
        StorageError: there is no room for the copy.
        ModelFileError: the file cannot be converted.
        CancelledError: it took too long, or nobody waits any more.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.llm.llamacpp.weights.requantise", json.dumps(dict(job))],
        stdin=subprocess.PIPE,  # never written to: its end tells the child that this process is gone
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment(),
        start_new_session=True,
    )
    try:
        return _reply(_output(process, seconds, stop), process.returncode)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _output(process: subprocess.Popen[bytes], seconds: float, stop: Callable[[], bool]) -> bytes:
    assert process.stdout is not None  # noqa: S101  # opened as a pipe
    end = time.monotonic() + seconds
    while process.poll() is None:
        if stop():
            raise CancelledError("The model was closed while a copy of it was made.", hint="Try again.")
        if time.monotonic() > end:
            hint = "Run `nexus models optimise` while the machine has nothing else to do."
            raise CancelledError(f"Making a copy took longer than {seconds:.0f} s.", hint=hint)
        try:
            process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            continue
    return process.stdout.read()  # a short line, so that the pipe cannot have filled up


def _reply(output: bytes, status: int) -> Mapping[str, Json]:
    try:
        reply = json.loads(output)
    except ValueError as exc:
        hint = "Leave the model as it is; if memory is short, close other programs and try again."
        raise ModelFileError(f"The conversion ended without a result (status {status}).", hint=hint) from exc
    error = reply.get("error") if isinstance(reply, dict) else {}
    if not isinstance(error, dict):
        return dict(reply)
    kind = StorageError if error.get("code") == StorageError.code else ModelFileError
    raise kind(str(error.get("message", "The conversion failed.")), hint=str(error.get("hint") or ""))
