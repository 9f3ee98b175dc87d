"""Runs chat templates in a process of their own, with bounds on memory, time and output.

One process for all models of this program: it is started before it is needed, ends with the program, and is replaced when a
template has ended it. See `engine.llm.llamacpp.prompting.rendering_process` for why.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from engine.domain import Json
from engine.errors import ModelError

MAX_TEMPLATE_CHARS = 256 * 1024
"""The longest templates in use, with tools in several forms, have about 30,000 characters."""

_ROOM = 64 * 1024
"""Characters that a template may add to what was said, default system messages and descriptions of tools included."""

PROCESSOR_S = 3.0
"""Processor time for one conversation. Templates in use take some milliseconds for a long one."""

_WAIT_S = 30.0
"""Longest wait for a prompt by the clock: for a busy machine, and for systems that cannot limit processor time."""

_SCRIPT = Path(__file__).with_name("rendering_process.py")


class TemplateRefusedError(ModelError):
    """A chat template does not take a conversation; another form of it may pass."""


class TemplateRenderer:
    """A process that runs templates. Safe to use from any thread; one conversation at a time."""

    def __init__(self, processor_s: float = PROCESSOR_S) -> None:
        """Nothing is started yet. `processor_s` is the processor time that a conversation may take, in seconds."""
        self._processor_s = processor_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def start(self) -> None:
        """Start the process, without waiting for it, so that it is there when it is needed."""
        with self._lock:
            self._running()

    def render(self, template: str, variables: Mapping[str, Json], content_chars: int) -> str:
        """The text that a template makes of its variables, of whose texts `content_chars` are the conversation's.

        Raises:
            TemplateRefusedError: the template cannot be parsed, or does not take this conversation.
            ModelError: it needs too much time or memory.
        """
        if len(template) > MAX_TEMPLATE_CHARS:
            raise ModelError("The model's chat template is far too long to be one.", hint="Use another model file.")
        limits = {"limit": 8 * content_chars + _ROOM, "seconds": self._processor_s}
        line = self._exchange(json.dumps({"template": template, "variables": variables, **limits}).encode() + b"\n")
        if not line:
            raise ModelError(
                "The model's chat template needs too much time or memory.",
                hint="The model file may be damaged or malicious; use another one.",
            )
        reply = json.loads(line)
        if "error" in reply:
            raise TemplateRefusedError(
                f"The model's chat template cannot be used here: {reply['error']}",
                hint="Most templates ask for user and assistant to take turns, the user first.",
            )
        text: str = reply["text"]
        return text

    def close(self) -> None:
        """End the process. The next conversation starts another."""
        with self._lock:
            self._stop()

    def _exchange(self, request: bytes) -> bytes:
        """The answer to a request; empty when the process ended instead."""
        with self._lock:
            line = b""
            try:
                line = _ask(self._running(), request)
            finally:
                if not line:  # it ended, or an interrupted wait has left an answer in the pipe
                    self._stop()
        return line

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None or self._owner != os.getpid():
            # Isolated (-I): nothing is imported from the current folder or from where the environment says.
            command = [sys.executable, "-I", str(_SCRIPT)]
            pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
            try:
                self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere)
            except OSError as exc:
                raise ModelError(f"The process for chat templates cannot be started: {exc}", retryable=True) from exc
            self._owner = os.getpid()
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _ask(process: subprocess.Popen[bytes], request: bytes) -> bytes:
    """The process's answer; empty when it ended instead."""
    if process.stdin is None or process.stdout is None:
        return b""
    watch = threading.Timer(_WAIT_S, process.kill)
    watch.daemon = True
    watch.start()
    try:
        process.stdin.write(request)
        process.stdin.flush()
        line = process.stdout.readline()
    except OSError:
        return b""
    finally:
        watch.cancel()
    return line if line.endswith(b"\n") else b""


renderer = TemplateRenderer()
"""The one of this program."""

atexit.register(renderer.close)
