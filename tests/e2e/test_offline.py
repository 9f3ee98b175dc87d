"""Nothing leaves the machine, and nothing that was committed is lost, whatever happens to the process."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from engine.config import PROJECT_ROOT

pytestmark = [pytest.mark.models, pytest.mark.slow, pytest.mark.timeout(1500)]

SAMPLES = PROJECT_ROOT / "data" / "samples"


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('192.0.2.1', 443), timeout=1)",
        "socket.getaddrinfo('example.org', 443)",
        "socket.gethostbyname('example.org')",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "subprocess.run([sys.executable, '-c', 'import socket; socket.gethostbyname(\"example.org\")'], check=True)",
    ],
)
def test_the_guard_refuses_what_is_not_loopback(guarded: Any, attempt: str) -> None:
    code = f"import socket, subprocess, sys; {attempt}"
    ended = subprocess.run(
        [sys.executable, "-c", code], env=guarded.environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode != 0
    assert "the guard refused" in ended.stderr
    assert len(guarded.logged("REFUSED")) == 1


def test_the_guard_lets_loopback_pass(guarded: Any) -> None:
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname(), timeout=5)"
    subprocess.run([sys.executable, "-c", code], env=guarded.environment, check=True, timeout=60)
    assert guarded.logged("REFUSED") == []


def test_the_main_job_reaches_for_nothing_outside(main_job: Any) -> None:
    assert main_job.nexus.logged("REFUSED") == []
    commands = main_job.nexus.logged("GUARDED")
    assert sum("nexus" in line for line in commands) >= len(main_job.printed)
    assert any("engine.training" in line for line in commands), "the training process was not guarded"


def test_an_extraction_survives_ctrl_c_and_a_kill(guarded: Any) -> None:
    extraction = guarded.start("faq", "extract", str(SAMPLES / "tallybird-plans.md"), "--collection", "plans", "--max", "12")
    landed = [json.loads(extraction.stdout.readline())]
    extraction.send_signal(signal.SIGINT)
    rest, said = extraction.communicate(timeout=300)
    *more, last = [json.loads(line) for line in rest.splitlines()]
    landed += more
    assert extraction.returncode == 1, said
    assert last["error"]["code"] == "cancelled"
    job = last["error"]["job"]
    assert guarded.run("jobs", "show", job)[0]["state"] == "aborted"

    resumed = guarded.start("jobs", "resume", job)
    wait_for_line(resumed, "passage")
    os.killpg(resumed.pid, signal.SIGKILL)
    resumed.communicate(timeout=60)
    kept = guarded.run("faq", "list", "--collection", "plans")
    assert {pair["id"] for pair in landed} <= {pair["id"] for pair in kept}
    assert guarded.run("jobs", "list")[0]["state"] in ("queued", "running")

    (ended,) = guarded.run("jobs", "resume", job)
    assert ended["state"] == "succeeded"
    pairs = guarded.run("faq", "list", "--collection", "plans")
    assert {pair["id"] for pair in kept} <= {pair["id"] for pair in pairs}
    assert len({(pair["question"], pair["answer"]) for pair in pairs}) == len(pairs)
    assert sum(pair["status"] != "rejected" for pair in pairs) == 12


def test_two_processes_share_a_home(guarded: Any) -> None:
    both = [
        guarded.start("faq", "extract", str(SAMPLES / name), "--collection", "shared", "--max", "2")
        for name in ("tallybird-plans.md", "tidewater-museum.html")
    ]
    printed = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    pairs = guarded.run("faq", "list", "--collection", "shared")
    pending = [pair for pair in pairs if pair["status"] == "pending"]
    assert {pair["document"] for pair in pending} == {"tallybird-plans.md", "tidewater-museum.html"}
    (answer,) = guarded.run("ask", pending[0]["question"], "--collection", "shared")
    assert answer["found"] is True


def wait_for_line(process: subprocess.Popen[str], part: str) -> None:
    """Read what a process says on stderr until a line has `part`."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if part in line:
            return
    raise AssertionError(f"no line with {part!r}: {''.join(said)}")
