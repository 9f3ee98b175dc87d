"""The main job through the command line, run once for all tests, in processes that are guarded against the network."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.config import PROJECT_ROOT

NEXUS = Path(sys.executable).parent / "nexus"
SAMPLES = PROJECT_ROOT / "data" / "samples"
GUARD = Path(__file__).parent / "guard"
LIMIT_S = 900
"""Longest wait for a command; waited out only when something is broken."""


@dataclass(frozen=True)
class Guarded:
    """Runs commands over a home, guarded; `log` tells who was guarded and what was refused."""

    home: Path
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(GUARD),
            "NEXUS_GUARD_LOG": str(self.log),
            "NEXUS_HOME": str(self.home),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `nexus ARGUMENTS --json` as a terminal would: Ctrl-C reaches it, whatever this process does with it."""
        return subprocess.Popen(
            [str(NEXUS), *arguments, "--json"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, *arguments: str, code: int = 0) -> list[dict]:
        """Run a command to its end; give the objects that it printed."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
        assert process.returncode == code, f"nexus {' '.join(arguments)} ended with {process.returncode}: {out}\n{err}"
        return [json.loads(line) for line in out.splitlines()]

    def logged(self, kind: str) -> list[str]:
        """What the guard wrote of one kind."""
        lines = (line.split("\t", 2) for line in self.log.read_text().splitlines())
        return [text for found, _, text in lines if found == kind]


@dataclass
class MainJob:
    """The main job, done: what each command printed."""

    nexus: Guarded
    printed: dict[str, list[dict]] = field(default_factory=dict)
    taught: list[dict] = field(default_factory=list)

    def step(self, name: str, *arguments: str) -> dict:
        """Run a command, keep what it printed under a name, and give the last object."""
        self.printed[name] = self.nexus.run(*arguments)
        return self.printed[name][-1]


@pytest.fixture
def guarded(tmp_path: Path, models_dir: Path) -> Guarded:
    """Commands over a fresh home."""
    return Guarded(tmp_path / "home", tmp_path / "guard.log")


@pytest.fixture(scope="session")
def main_job(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> MainJob:
    """The demo's path, from a PDF to an evaluation, with one fine-tune on a few pairs."""
    folder = tmp_path_factory.mktemp("main-job")
    job = MainJob(Guarded(folder / "home", folder / "guard.log"))
    into = ("--collection", "kettles")
    job.step("extract", "faq", "extract", str(SAMPLES / "aurora-kettle-handbook.pdf"), *into, "--max", "8")
    job.step("approve", "faq", "approve", "--all", *into)
    job.step("ask", "ask", "For how long is a gift card valid?", *into)
    job.step("ask nothing", "ask", "What is the capital of Mongolia?", *into)
    job.step("finetune", "finetune", *into, "--name", "kettles-quick", "--paraphrases", "2")
    job.taught = taught(job)
    for number, pair in enumerate(job.taught[:2]):
        job.step(f"chat {number}", "chat", pair["question"], "--adapter", "kettles-quick")
    job.step("compare", "compare", job.taught[0]["question"], *into, "--adapter", "kettles-quick")
    job.step("agent", "agent", "create", "Iris", *into)
    hello = "Hello, I am Maria Lopez and my e-mail is maria.lopez@example.com. For how long is a gift card valid?"
    first = job.step("agent chat", "agent", "chat", "Iris", hello)
    job.step("agent again", "agent", "chat", "Iris", "My phone is +44 20 7946 0958.", "--conversation", first["conversation"])
    job.step("leads", "leads", "list", "--agent", "Iris")
    targets = ("--targets", "base,adapter:kettles-quick,rag")
    job.step("evaluate", "evaluate", *into, *targets, "--limit", "2")
    job.step("jobs", "jobs", "list")
    return job


def taught(job: MainJob) -> list[dict]:
    """The pairs that the adapter was trained on: those that were approved and not held out."""
    held_out = job.printed["finetune"][-1]["card"]["held_out"]
    pairs = job.nexus.run("faq", "list", "--collection", "kettles")
    return [pair for pair in pairs if pair["status"] == "approved" and pair["id"] not in held_out]


@pytest.fixture(scope="session")
def has_fields() -> Callable[[dict, dict[str, type | tuple[type, ...]]], None]:
    """Check that an object has these fields, of these types."""

    def check(record: dict, fields: dict[str, type | tuple[type, ...]]) -> None:
        for name, kind in fields.items():
            assert name in record, f"{name} is missing in {record}"
            assert isinstance(record[name], kind), f"{name} is {record[name]!r}"

    return check
