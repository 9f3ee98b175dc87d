"""Fine-tunes in two processes that accelerate's launcher starts: killed, resumed, cancelled, left behind; all on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import psutil
import pytest

from engine.cancellation import CancelToken
from engine.config import PROJECT_ROOT
from engine.errors import CancelledError, TrainingError
from engine.training import worker
from engine.training.config import TrainingConfig
from engine.training.datasets.examples import examples_from_pairs
from engine.training.finetune import FinetuneSpec, finetune
from engine.training.process import Event, OnEvent
from engine.training.run_folder import RunSpec, read_artifact, write_run
from engine.training.trainer import AdapterArtifact

CONFIG = TrainingConfig(
    rank=4, alpha=8, epochs=20, batch_size=4, learning_rate=1e-2, dropout=0, checkpoint_every=2, anchor_weight=0
)
EXAMPLES = examples_from_pairs([(f"What is item {number}?", f"It is number {number * 7}.") for number in range(8)])
GUARD = PROJECT_ROOT / "tests" / "e2e" / "guard"
GONE_S = 30
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="PyTorch's launcher runs elsewhere")


def workers(of: psutil.Process | None = None) -> list[psutil.Process]:
    """The processes that train, by rank."""
    found = [each for each in (of or psutil.Process()).children(recursive=True) if worker.__name__ in each.cmdline()]
    return sorted(found, key=lambda each: int(each.environ()["RANK"]))


def launchers() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "engine.training.launcher" in each.cmdline()]


def open_to_others(processes: list[psutil.Process]) -> list[str]:
    """Addresses besides loopback at which processes listen or to which they are connected."""
    ends = [end for each in processes for link in each.net_connections() for end in (link.laddr, link.raddr) if end]
    return [end.ip for end in ends if end.ip not in ("127.0.0.1", "::1")]


@pytest.fixture
def guard_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the guard writes, which all processes of a test are under."""
    monkeypatch.setenv("PYTHONPATH", str(GUARD))
    monkeypatch.setenv("NEXUS_GUARD_LOG", str(tmp_path / "guard.log"))
    return tmp_path / "guard.log"


@pytest.fixture
def spec(tiny_gguf: Path) -> FinetuneSpec:
    return FinetuneSpec("tiny", tiny_gguf, EXAMPLES, CONFIG, id="run-1", processes=2)


@pytest.fixture
def go(tmp_path: Path, training_cache: Path) -> Callable[..., AdapterArtifact]:
    """Run a fine-tune in this test's own folders."""

    def call(spec: FinetuneSpec, on_event: OnEvent, cancel: CancelToken | None = None) -> AdapterArtifact:
        folders = {"runs_dir": tmp_path / "runs", "cache_dir": training_cache, "adapters_dir": tmp_path / "adapters"}
        return finetune(spec, **folders, on_event=on_event, cancel=cancel or CancelToken())

    return call


@pytest.mark.slow
def test_one_of_two_is_killed_and_the_rest_follows_the_curve_of_one(
    go: Callable[..., AdapterArtifact], spec: FinetuneSpec, tmp_path: Path, training_cache: Path, guard_log: Path
) -> None:
    seen: list[psutil.Process] = []
    reached: list[str] = []

    def kill_the_second(event: Event) -> None:
        if event.get("step") == 5:
            seen.extend([*workers(), *launchers()])
            reached.extend(open_to_others(seen))
            seen[1].kill()

    with pytest.raises(TrainingError, match="killed") as caught:
        go(spec, kill_the_second)
    assert caught.value.retryable
    assert len(seen) == 3  # two that train, and their launcher
    assert not psutil.wait_procs(seen, timeout=GONE_S)[1]
    assert reached == []

    events: list[Event] = []
    resumed = go(spec, events.append).card
    assert any(str(event.get("text")).startswith("Resumed at step") for event in events)
    steps = [event["step"] for event in events if event["event"] == "progress"]
    assert steps == list(range(cast(int, steps[0]), 41))  # the first tells, and only it
    assert cast(int, steps[0]) > 4
    assert (resumed["processes"], resumed["strategy"], resumed["parity"]["ok"]) == (2, "peft", True)

    write_run(tmp_path / "one", RunSpec("run-2", "tiny", spec.base, training_cache, CONFIG), EXAMPLES)
    worker.run(tmp_path / "one", lambda event: None)
    expected = read_artifact(tmp_path / "one" / "output").card["curve"]
    for name, tolerance in (("loss", 1e-4), ("grad_norm", 1e-3), ("learning_rate", 0)):
        assert [row[name] for row in resumed["curve"]] == pytest.approx([row[name] for row in expected], rel=tolerance)
    assert [*workers(), *launchers()] == []

    lines = [line.split("\t") for line in guard_log.read_text().splitlines()]
    assert not [line for line in lines if line[0] == "REFUSED"]
    assert sum(worker.__name__ in line[2] for line in lines if line[0] == "GUARDED") == 4


def test_cancelled_it_leaves_no_process(go: Callable[..., AdapterArtifact], spec: FinetuneSpec, tmp_path: Path) -> None:
    cancel, seen = CancelToken(), list[psutil.Process]()

    def stop(event: Event) -> None:
        seen.extend(workers())
        cancel.cancel()

    with pytest.raises(CancelledError):
        go(spec, stop, cancel)
    assert len(seen) == 2
    assert not any(each.is_running() for each in seen)
    assert not (tmp_path / "adapters").exists()


class TestLeftBehind:
    @pytest.fixture
    def launcher(self, spec: FinetuneSpec, tmp_path: Path, training_cache: Path) -> Iterator[subprocess.Popen[str]]:
        config = replace(CONFIG, epochs=1000)
        write_run(tmp_path / "run", RunSpec("x", "x", spec.base, training_cache, config), EXAMPLES)
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.training.launcher", str(tmp_path / "run"), "2"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
        )
        yield process
        for each in [*workers(), process]:
            each.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()

    def test_all_go_when_the_engine_is_gone(self, launcher: subprocess.Popen[str]) -> None:
        assert launcher.stdin is not None
        assert launcher.stdout is not None
        for line in launcher.stdout:  # every line is an event: nothing that a library prints gets in between
            if json.loads(line)["event"] == "progress":
                break
        seen = workers()
        assert len(seen) == 2
        launcher.stdin.close()  # what the system does when the engine dies
        assert launcher.wait(timeout=GONE_S) != 0
        assert not psutil.wait_procs(seen, timeout=GONE_S)[1]
