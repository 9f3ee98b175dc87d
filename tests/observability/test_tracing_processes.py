"""Traces across processes: nothing on the wire, a clean exit, two processes on one home, a file cut short."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from engine.config import PROJECT_ROOT
from engine.observability.traces import TraceLog

GUARD = """
    import socket, sys, os

    def is_loopback(address):
        return not isinstance(address, tuple) or address[0] in ("127.0.0.1", "::1", "localhost")

    def guarded(original, position):
        def call(*args, **kwargs):
            if not is_loopback(args[position:position + 2] if position == 0 else args[position]):
                sys.stderr.write(f"OUTBOUND {args}\\n")
                os._exit(99)
            return original(*args, **kwargs)
        return call

    class Socket(socket.socket):
        connect = guarded(socket.socket.connect, 1)
        connect_ex = guarded(socket.socket.connect_ex, 1)
        sendto = guarded(socket.socket.sendto, -1)

    socket.socket = Socket
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        setattr(socket, name, guarded(getattr(socket, name), 0))
"""
PROGRAM = """
    import sys
    from pathlib import Path
    from engine.config import Settings
    from engine.observability.tracing import configure_tracing, span

    tracing = configure_tracing(Settings(home=Path(sys.argv[1])))
    if sys.argv[2] == "opik":
        assert tracing.warm_up(timeout_s=60)
        assert "opik" in sys.modules
    for number in range(int(sys.argv[3])):
        with span("step", number=number, text="x" * 1500):
            pass
    if sys.argv[4] == "close":
        tracing.close()
"""


def start(home: Path, way: str, count: int, end: str = "close") -> subprocess.Popen[str]:
    code = textwrap.dedent(GUARD) + textwrap.dedent(PROGRAM)
    command = [sys.executable, "-c", code, str(home), way, str(count), end]
    return subprocess.Popen(command, cwd=PROJECT_ROOT, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a process; a hanging exit or an outbound connection fails the test."""
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 0, errors


@pytest.mark.parametrize("way", ["directly", "opik"])
def test_tracing_is_silent_on_the_wire(tmp_path: Path, way: str) -> None:
    finish(start(tmp_path, way, 20))
    assert TraceLog(tmp_path / "events").summary()[0].count == 20


def test_the_guard_would_notice(tmp_path: Path) -> None:
    code = textwrap.dedent(GUARD) + "\nimport socket\nsocket.getaddrinfo('example.invalid', 80)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 99


@pytest.mark.parametrize("way", ["directly", "opik"])
def test_a_process_that_forgets_to_close_ends_by_itself_and_loses_nothing(tmp_path: Path, way: str) -> None:
    finish(start(tmp_path, way, 5, end="forget"))
    assert TraceLog(tmp_path / "events").summary()[0].count == 5


def test_two_processes_write_to_one_home(tmp_path: Path) -> None:
    for process in [start(tmp_path, "directly", 400), start(tmp_path, "directly", 400)]:
        finish(process)
    lines = [line for path in (tmp_path / "events").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert len({json.loads(line)["span_id"] for line in lines}) == 800


def test_importing_tracing_does_not_import_opik() -> None:
    code = "import sys, engine.observability.tracing, engine.observability.metrics; sys.exit('opik' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, timeout=60, check=False).returncode == 0
