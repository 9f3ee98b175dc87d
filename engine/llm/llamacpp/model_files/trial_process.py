"""The child process in which a file is loaded for the first time, seen from its parent: started, bounded, ended, explained."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Sequence

from engine.child_process import child_environment
from engine.domain import Json
from engine.errors import ModelError, ModelFileError

logger = logging.getLogger(__name__)

_OUTPUT_BYTES = 1 << 16
"""What is kept of a trial's output: its end."""


class TrialProcess:
    """The child process of a trial, of which there is one at a time, and which any thread may end for good."""

    def __init__(self) -> None:
        self.stopped = False
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, command: Sequence[str], limit_s: float) -> tuple[int | None, bytes]:
        """Run a command to its end. Gives its exit status, None where it took too long, and the end of its output."""
        with self._lock:
            if self.stopped:
                return None, b""
            try:
                process = self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,  # never written to: its end tells the child that this process is gone
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    # At an assertion, ggml would start a debugger to print where.
                    env={**child_environment(), "GGML_NO_BACKTRACE": "1"},
                    start_new_session=True,
                )
            except OSError as exc:
                hint = "Free some memory, or look at the limits on processes."
                raise ModelError(f"The process for a first load cannot be started: {exc}", hint=hint, retryable=True) from exc
        expired = threading.Event()
        timer = threading.Timer(limit_s, _expire, (process, expired))
        timer.daemon = True
        timer.start()
        try:
            output = _end_of(process)
            status = process.wait()
        finally:
            timer.cancel()
            self._end(process)
        return (None if expired.is_set() else status), output

    def stop(self) -> None:
        """End what runs and let nothing run any more."""
        with self._lock:
            self.stopped = True
            if self._process is not None:
                _kill(self._process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            _kill(process)
            process.wait()
            self._process = None
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _end_of(process: subprocess.Popen[bytes]) -> bytes:
    """The last of a process's output, read until it ends."""
    output = b""
    while process.stdout is not None and (block := process.stdout.read1(_OUTPUT_BYTES)):  # type: ignore[attr-defined]
        output = (output + block)[-_OUTPUT_BYTES:]
    return output


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and whatever it started, unless it was collected already."""
    if process.poll() is None:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _expire(process: subprocess.Popen[bytes], expired: threading.Event) -> None:
    expired.set()
    _kill(process)


def last_line(output: bytes) -> dict[str, Json]:
    """The result that a trial has printed; empty where there is none."""
    lines = output.decode("utf-8", "replace").rstrip().splitlines()
    try:
        value = json.loads(lines[-1]) if lines else None
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}


def failure(name: str, status: int | None, output: bytes, limit_s: float) -> ModelFileError:
    """Why a trial failed."""
    error = last_line(output).get("error")
    if isinstance(error, dict):
        hint = error.get("hint")
        return ModelFileError(str(error.get("message")), hint=None if hint is None else str(hint))
    logger.warning("The trial of %s ended with %s: %s", name, status, output[-2000:].decode("utf-8", "replace"))
    if status is None:
        return ModelFileError(
            f"{name} did not load within {limit_s:.0f} s.", hint="Try again when the machine is less busy.", retryable=True
        )
    if status == -signal.SIGKILL:
        hint = "Close other programs, or choose a smaller model."
        return ModelFileError(f"{name} needs more memory than there is.", hint=hint, retryable=True)
    hint = "Get the file again, or choose another; the installed llama.cpp may not support it."
    return ModelFileError(f"llama.cpp crashed while loading {name} ({_how(status)}).", hint=hint)


def _how(status: int) -> str:
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"status {status}"
