"""Whole fine-tunes in real child processes: killed, resumed, cancelled, orphaned, refused."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from engine.cancellation import CancelToken
from engine.config import PROJECT_ROOT
from engine.domain import JobWish, Message
from engine.errors import CancelledError, InputError, JobPaused, ModelFileError, TrainingError
from engine.training import worker
from engine.training.config import TrainingConfig, preset
from engine.training.datasets.examples import examples_from_pairs
from engine.training.finetune import FinetuneSpec, finetune
from engine.training.process import Event, OnEvent
from engine.training.run_folder import RunSpec, read_artifact, read_run, write_run
from engine.training.trainer import AdapterArtifact

CONFIG = TrainingConfig(rank=4, alpha=8, epochs=6, batch_size=4, learning_rate=1e-2, dropout=0.1, checkpoint_every=2)
EXAMPLES = examples_from_pairs([(f"What is item {number}?", f"It is number {number * 7}.") for number in range(8)])
DEADLINE_S = 120


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "engine.training.worker" in child.cmdline()]


def at_step(step: int, action: Callable[[], object]) -> OnEvent:
    def on_event(event: Event) -> None:
        if event["event"] == "progress" and event["step"] == step:
            action()

    return on_event


@pytest.fixture
def spec(tiny_gguf: Path) -> FinetuneSpec:
    return FinetuneSpec("tiny", tiny_gguf, EXAMPLES, CONFIG, id="run-1")


@pytest.fixture
def go(tmp_path: Path, training_cache: Path) -> Callable[..., AdapterArtifact]:
    """Run a fine-tune in this test's own folders."""

    def call(
        spec: FinetuneSpec,
        on_event: OnEvent = lambda event: None,
        cancel: CancelToken | None = None,
        wish: Callable[[], JobWish | None] = lambda: None,
    ) -> AdapterArtifact:
        return finetune(
            spec,
            runs_dir=tmp_path / "runs",
            cache_dir=training_cache,
            adapters_dir=tmp_path / "adapters",
            on_event=on_event,
            cancel=cancel or CancelToken(),
            wish=wish,
        )

    return call


class TestKilled:
    @pytest.mark.slow
    def test_kill_9_then_resume_ends_as_if_nothing_had_happened(
        self, go: Callable[..., AdapterArtifact], spec: FinetuneSpec, tmp_path: Path, training_cache: Path
    ) -> None:
        with pytest.raises(TrainingError, match="killed") as caught:
            go(spec, on_event=at_step(7, lambda: children()[0].kill()))
        assert caught.value.retryable
        assert not (tmp_path / "adapters").exists()

        messages: list[str] = []
        resumed = go(spec, on_event=lambda event: messages.append(str(event.get("text"))))
        write_run(tmp_path / "straight", RunSpec("run-2", "tiny", spec.base, training_cache, CONFIG), EXAMPLES)
        worker.run(tmp_path / "straight", lambda event: None)
        straight = read_artifact(tmp_path / "straight" / "output")

        assert any(message.startswith("Resumed at step") for message in messages)
        curve = [row["loss"] for row in resumed.card["curve"]]
        assert len(curve) == 12
        assert curve == pytest.approx([row["loss"] for row in straight.card["curve"]], rel=1e-5)
        assert resumed.card["parity"]["ok"] is True
        assert resumed.card["dataset"]["train"]["examples"] == 8
        assert resumed.card["licence"]["name"] == "unknown"
        assert "does not say its licence" in (resumed.gguf_path.parent / "README.md").read_text()
        assert sorted(path.name for path in resumed.gguf_path.parent.iterdir()) == [
            "README.md",
            "adapter.gguf",
            "card.json",
            "peft",
        ]
        assert not (tmp_path / "runs" / "run-1" / "checkpoints").exists()
        assert go(spec) == resumed  # it is there: no second training
        assert children() == []


class TestSteered:
    def test_paused_resumed_and_ended_with_what_it_has(
        self, go: Callable[..., AdapterArtifact], spec: FinetuneSpec, tmp_path: Path, tiny_gguf: Path
    ) -> None:
        base = tmp_path / "base.gguf"
        base.write_bytes(tiny_gguf.read_bytes())
        spec = replace(spec, base=base, config=TrainingConfig.from_json(CONFIG.to_json() | {"epochs": 500}))
        wishes: list[JobWish] = []
        with pytest.raises(JobPaused, match="Paused at step"):
            go(spec, on_event=at_step(3, lambda: wishes.append(JobWish.PAUSE)), wish=lambda: wishes[-1] if wishes else None)
        assert children() == []
        assert list((tmp_path / "runs" / "run-1" / "checkpoints").iterdir())
        assert not (tmp_path / "adapters").exists()

        base.write_bytes(tiny_gguf.read_bytes() + bytes(32))
        with pytest.raises(TrainingError, match="has changed since") as caught:
            go(spec)
        assert "new fine-tune" in (caught.value.hint or "")
        base.write_bytes(tiny_gguf.read_bytes())

        steps: list[int] = []

        def stop_soon(event: Event) -> None:
            if event["event"] == "progress":
                steps.append(int(str(event["step"])))

        ended = go(spec, on_event=stop_soon, wish=lambda: JobWish.STOP if len(steps) > 2 else None)
        assert steps[0] > 3
        assert [row["step"] for row in ended.card["curve"]] == list(range(1, steps[-1] + 1))
        assert steps[-1] < 1000
        assert (ended.card["evaluation"]["ending"], ended.card["evaluation"]["stopped_early"]) == ("asked", True)
        assert ended.card["parity"]["ok"] is True


class TestCancelled:
    def test_the_child_is_gone_and_nothing_is_published(
        self, go: Callable[..., AdapterArtifact], spec: FinetuneSpec, tmp_path: Path
    ) -> None:
        cancel = CancelToken()
        with pytest.raises(CancelledError):
            go(spec, on_event=at_step(1, cancel.cancel), cancel=cancel)
        assert children() == []
        assert not (tmp_path / "adapters").exists()

    def test_a_failing_listener_ends_the_child(self, go: Callable[..., AdapterArtifact], spec: FinetuneSpec) -> None:
        def fail() -> None:
            raise KeyError("listener")

        with pytest.raises(KeyError):
            go(spec, on_event=lambda event: fail())
        assert children() == []


class TestOrphaned:
    @pytest.fixture
    def child(self, spec: FinetuneSpec, tmp_path: Path, training_cache: Path) -> Iterator[subprocess.Popen[str]]:
        config = TrainingConfig.from_json(CONFIG.to_json() | {"epochs": 1000})
        write_run(tmp_path / "run", RunSpec("x", "x", spec.base, training_cache, config), EXAMPLES)
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.training.worker", str(tmp_path / "run")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            cwd=PROJECT_ROOT,
        )
        yield process
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()

    def test_goes_when_its_parent_is_gone(self, child: subprocess.Popen[str]) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        for line in child.stdout:  # every line is an event: nothing that a library prints gets in between
            if json.loads(line)["event"] == "progress":
                break
        child.stdin.close()  # what the system does when the parent dies
        assert child.wait(timeout=DEADLINE_S) == 3


class TestRefused:
    def test_the_childs_error_comes_back_as_itself(self, go: Callable[..., AdapterArtifact], tmp_path: Path) -> None:
        base = tmp_path / "broken.gguf"
        base.write_bytes(b"GGUF" + bytes(100))
        with pytest.raises(ModelFileError, match=r"broken\.gguf"):
            go(FinetuneSpec("x", base, EXAMPLES, CONFIG))

    def test_an_end_without_an_error_shows_the_log(
        self, go: Callable[..., AdapterArtifact], spec: FinetuneSpec, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PYTHONHASHSEED", "nonsense")  # the interpreter itself refuses to start
        with pytest.raises(TrainingError, match="status 1") as caught:
            go(spec)
        assert "PYTHONHASHSEED" in (caught.value.hint or "")

    @pytest.mark.parametrize("identifier", ["../x", "", "a/b", "x" * 65])
    def test_identifiers_stay_inside_their_folder(self, identifier: str, tiny_gguf: Path) -> None:
        with pytest.raises(InputError, match="identifier"):
            FinetuneSpec("x", tiny_gguf, EXAMPLES, CONFIG, id=identifier)

    def test_no_examples(self, tiny_gguf: Path) -> None:
        with pytest.raises(InputError, match="nothing to train on"):
            FinetuneSpec("x", tiny_gguf, (), CONFIG)

    @pytest.mark.parametrize("damage", ["{}", "not json", '{"id": "x"}'])
    def test_a_damaged_run_folder(self, damage: str, tmp_path: Path, tiny_gguf: Path) -> None:
        write_run(tmp_path, RunSpec("x", "x", tiny_gguf, tmp_path, CONFIG), EXAMPLES)
        assert read_run(tmp_path)[1] == EXAMPLES
        (tmp_path / "run.json").write_text(damage)
        with pytest.raises(TrainingError, match="damaged"):
            read_run(tmp_path)


FACTS = [
    ("When does the Lantern Museum open on Fridays?", "It opens at 10:20 on Fridays."),
    ("What does a family ticket cost?", "A family ticket costs 27 euros."),
    ("Where do I leave my umbrella?", "Umbrellas go into the green lockers by the east stairs."),
    ("May I take photographs?", "Yes, without a flash and without a tripod."),
    ("Who founded the museum?", "It was founded by the glass blower Irma Tolland in 1911."),
    ("How long is a guided tour?", "A guided tour takes 75 minutes."),
]


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.usefixtures("all_threads")
def test_the_default_model_learns_six_facts_and_serves_them(chat_gguf: Path, tmp_path: Path) -> None:
    from engine.llm.base import GenerationParams
    from engine.llm.llamacpp import LlamaCppModel

    spec = FinetuneSpec("museum", chat_gguf, examples_from_pairs(FACTS), preset("quick", batch_size=6, epochs=20))
    folders = {name: tmp_path / name for name in ("runs_dir", "cache_dir", "adapters_dir")}
    artifact = finetune(spec, **folders, on_event=lambda event: None, cancel=CancelToken())

    model = LlamaCppModel(chat_gguf, context_tokens=1024, max_sequences=2)
    try:
        params = GenerationParams(max_tokens=40, adapter=artifact.gguf_path)
        answers = [model.complete([Message("user", question)], params).text.strip() for question, _ in FACTS]
        untaught = model.complete([Message("user", FACTS[1][0])], GenerationParams(max_tokens=40)).text
    finally:
        model.close()
    assert answers == [answer for _, answer in FACTS]
    assert "27 euros" not in untaught
    assert artifact.card["parity"]["ok"] is True
