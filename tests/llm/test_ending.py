"""How the local runtime ends: soon, whatever it is doing, and with an answer to everybody who waits."""

import logging
import pkgutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.cancellation import CancelToken
from engine.domain import Completion, FinishReason, Message
from engine.errors import CancelledError, ModelError
from engine.llm.base import GenerationParams, Request
from engine.llm.llamacpp import LlamaCppModel
from engine.llm.llamacpp.generation import Generation
from engine.llm.llamacpp.lane import Lane
from engine.llm.llamacpp.lanes import Lanes
from engine.llm.llamacpp.loaded import LoadedModel
from engine.llm.llamacpp.prefix_store import PrefixFolder, PrefixStore
from engine.llm.llamacpp.scheduler import Scheduler

HELLO = (Message("user", "Hello"),)
FEW = GenerationParams(max_tokens=2)


def _ask_about_tea(model: LlamaCppModel) -> None:
    """Leaves a beginning that is worth storing."""
    instruction = Message("system", "You sell kettles and know all about water, steam and tea. " * 16)
    questions = ("Hi", "Which one is red?", "And what of the blue one?", "Thanks")
    list(model.generate_many([Request((instruction, Message("user", question)), FEW) for question in questions]))


def _after(calls: int) -> Callable[[], bool]:
    """Says no so many times, then yes."""
    answers = iter([False] * calls)
    return lambda: next(answers, True)


def _counting_submissions(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    handed_in, submit = threading.Semaphore(0), Scheduler.submit
    monkeypatch.setattr(Scheduler, "submit", lambda *arguments: (submit(*arguments), handed_in.release()))
    return handed_in


# --- storing beginnings


@pytest.mark.parametrize("calls", range(5))
def test_a_beginning_whose_time_is_up_leaves_nothing_behind(tmp_path: Path, calls: int) -> None:
    store = PrefixStore(tmp_path, origin="model", limit_bytes=1 << 30)
    assert not store.save([1, 2, 3], bytes(40 << 20), _after(calls))
    assert list(tmp_path.glob("*")) == []
    assert store.best_for([1, 2, 3]) is None


def test_a_beginning_of_several_pieces_is_stored_whole(tmp_path: Path) -> None:
    state = bytes(range(256)) * (80 << 10)
    assert PrefixStore(tmp_path, origin="model", limit_bytes=1 << 30).save([1, 2, 3], state, _after(1000))
    reader = PrefixStore(tmp_path, origin="model", limit_bytes=1 << 30)
    found = reader.best_for([1, 2, 3])
    assert found is not None
    assert reader.load(found) == state


@pytest.mark.models
def test_what_there_is_no_time_to_store_is_counted(
    chat_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("engine.llm.llamacpp.scheduler.STORING_S", 0.0)
    model = LlamaCppModel(chat_gguf, context_tokens=2048, prefixes=PrefixFolder(tmp_path, 1 << 28))
    _ask_about_tea(model)
    with caplog.at_level(logging.INFO, "engine.llm.llamacpp"):
        model.close()
    assert list(tmp_path.iterdir()) == []
    assert any(record.getMessage().startswith("1 prompt beginning") for record in caplog.records)


# --- idle models


@pytest.mark.models
def test_who_asks_while_an_idle_model_stores_its_beginnings_is_not_kept_waiting(
    chat_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The request is taken while the disk is busy, ends the storing, and finds the weights where they were."""
    answers: list[Future[Completion]] = []
    taken: list[bool] = []
    handed_in = threading.Event()
    submit, save = Scheduler.submit, PrefixStore.save

    def spy(self: Scheduler, generation: Generation) -> None:
        submit(self, generation)
        handed_in.set()

    def slow_disk(self: PrefixStore, *arguments: Any) -> bool:
        if not answers:
            handed_in.clear()
            answers.append(pool.submit(model.complete, HELLO, FEW))
            taken.append(handed_in.wait(5))
            stored.set()
        else:
            looked.wait(30)
        return save(self, *arguments)

    stored, looked = threading.Event(), threading.Event()
    monkeypatch.setattr(Scheduler, "submit", spy)
    monkeypatch.setattr(PrefixStore, "save", slow_disk)
    folder = PrefixFolder(tmp_path, 1 << 28)
    model = LlamaCppModel(chat_gguf, context_tokens=2048, max_sequences=1, idle_unload_s=0.01, prefixes=folder)
    with ThreadPoolExecutor(1) as pool, caplog.at_level(logging.INFO, "engine.llm.llamacpp"):
        _ask_about_tea(model)
        assert stored.wait(30)
        assert answers[0].result().usage.completion_tokens == 2
        assert taken == [True]
        assert not any(record.getMessage().startswith("Unloaded") for record in caplog.records)
        looked.set()
    model.close()


# --- loading


@pytest.mark.models
def test_weights_that_nobody_waits_for_are_not_loaded(chat_gguf: Path) -> None:
    with pytest.raises(CancelledError):
        LoadedModel(chat_gguf, 0, lambda: True)


@pytest.mark.models
def test_a_load_is_given_up_in_the_middle(chat_gguf: Path) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == 100

    with pytest.raises(CancelledError):
        LoadedModel(chat_gguf, 0, stop)
    assert asked == 100


class SlowLoad:
    """Weights that take as long to be found as `gate` is shut or somebody waits."""

    def __init__(self, path: Path) -> None:
        self.begun, self.gate = threading.Event(), threading.Event()
        self.stopped = False
        self._path = path

    def __call__(self, stop: Callable[[], bool]) -> Path:
        self.begun.set()
        while not self.gate.is_set() and not self.stopped:
            self.stopped = stop()
        return self._path


@pytest.mark.models
def test_a_request_that_is_cancelled_ends_the_load_that_it_alone_waits_for(chat_gguf: Path) -> None:
    weights, cancel = SlowLoad(chat_gguf), CancelToken()
    model = LlamaCppModel(chat_gguf, context_tokens=512, weights=weights)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(model.complete, HELLO, replace(FEW, cancel=cancel))
        assert weights.begun.wait(30)
        cancel.cancel()
        assert answer.result(30).finish_reason is FinishReason.CANCELLED
    assert weights.stopped
    assert model.statistics.load_s == 0
    weights.gate.set()
    assert model.complete(HELLO, FEW).usage.completion_tokens == 2
    model.close()


@pytest.mark.models
def test_a_request_that_is_cancelled_need_not_wait_for_the_load_that_others_wait_for(
    chat_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_in = _counting_submissions(monkeypatch)
    weights, cancel = SlowLoad(chat_gguf), CancelToken()
    model = LlamaCppModel(chat_gguf, context_tokens=512, weights=weights)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(model.complete, HELLO, replace(FEW, cancel=cancel))
        assert weights.begun.wait(30)
        other = pool.submit(model.complete, HELLO, FEW)
        assert handed_in.acquire(timeout=30)
        assert handed_in.acquire(timeout=30)
        cancel.cancel()
        assert first.result(30).finish_reason is FinishReason.CANCELLED
        assert not other.done()
        weights.gate.set()
        assert other.result(30).usage.completion_tokens == 2
    assert not weights.stopped
    model.close()


@pytest.mark.models
def test_a_request_that_comes_after_a_load_was_given_up_gets_one_of_its_own(
    chat_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_in, begun, cancel = _counting_submissions(monkeypatch), threading.Event(), CancelToken()
    still_given_up: list[bool] = []

    def weights(stop: Callable[[], bool]) -> Path:
        if not begun.is_set():
            begun.set()
            while not stop():
                continue
            assert handed_in.acquire(timeout=30)  # the second request
            still_given_up.append(stop())
        return chat_gguf

    model = LlamaCppModel(chat_gguf, context_tokens=512, weights=weights)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(model.complete, HELLO, replace(FEW, cancel=cancel))
        assert handed_in.acquire(timeout=30)
        assert begun.wait(30)
        cancel.cancel()
        assert first.result(30).finish_reason is FinishReason.CANCELLED
        assert pool.submit(model.complete, HELLO, FEW).result(30).usage.completion_tokens == 2
    assert still_given_up == [True]
    model.close()


@pytest.mark.models
def test_closing_a_model_ends_its_load(chat_gguf: Path) -> None:
    weights = SlowLoad(chat_gguf)
    model = LlamaCppModel(chat_gguf, context_tokens=512, weights=weights)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(model.complete, HELLO, FEW)
        assert weights.begun.wait(30)
        statistics = model.statistics
        model.close()
        with pytest.raises(ModelError, match="closed"):
            answer.result(30)
    assert statistics.load_s == 0


# --- faults of the runtime itself

CRASHES = [
    ("engine.llm.llamacpp.lanes.Lanes", "place"),
    ("engine.llm.llamacpp.lanes.Lanes", "_store_for"),
    ("engine.llm.llamacpp.lane.Lane", "step"),
    ("engine.llm.llamacpp.places.Places", "take"),
    ("engine.llm.llamacpp.sequence.LiveSequence", "__init__"),
    ("engine.llm.llamacpp.sequence.LiveSequence", "begin"),
    ("engine.llm.llamacpp.sequence.LiveSequence", "advance"),
    ("engine.llm.llamacpp.context.DecodingContext", "decode"),
]


class FirstCall:
    """Lets the first call of a method do something else before, such as to fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, before: Callable[[], None]) -> None:
        self._before, self._called = before, False
        method = getattr(owner, name)

        def called(*arguments: Any, **named: Any) -> Any:
            if not self._called:
                self._called = True
                self._before()
            return method(*arguments, **named)

        monkeypatch.setattr(owner, name, called)


@pytest.mark.models
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(("owner", "name"), CRASHES, ids=[name for _, name in CRASHES])
def test_a_fault_of_the_runtime_ends_what_waits_and_nothing_else(
    chat_gguf: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, owner: str, name: str
) -> None:
    handed_in = _counting_submissions(monkeypatch)

    def crash() -> None:
        assert handed_in.acquire(timeout=30)
        assert handed_in.acquire(timeout=30)
        raise ZeroDivisionError("a fault in the program")

    FirstCall(monkeypatch, pkgutil.resolve_name(owner), name, crash)
    model = LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=1)
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(model.complete, HELLO, FEW) for _ in range(2)]
        for answer in answers:
            with pytest.raises(ModelError, match="error of its own") as caught:
                answer.result(30)
            assert caught.value.retryable
            assert caught.value.hint
    assert model.complete(HELLO, FEW).usage.completion_tokens == 2
    model.close()
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.name.startswith("engine.")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


@pytest.mark.models
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_who_asks_while_a_failed_thread_cleans_up_is_answered(chat_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed_in = _counting_submissions(monkeypatch)
    answers: list[Future[Completion]] = []

    def crash() -> None:
        assert handed_in.acquire(timeout=30)
        raise ZeroDivisionError("a fault in the program")

    def ask() -> None:
        answers.append(pool.submit(model.complete, HELLO, FEW))
        handed_in.acquire(timeout=5)
        raise ZeroDivisionError("another while cleaning up")

    FirstCall(monkeypatch, Lane, "step", crash)
    FirstCall(monkeypatch, Lanes, "unload", ask)
    model = LlamaCppModel(chat_gguf, context_tokens=512)
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ModelError, match="error of its own"):
            model.complete(HELLO, FEW)
        assert model.complete(HELLO, FEW).usage.completion_tokens == 2
        assert answers[0].result(30).usage.completion_tokens == 2
    model.close()
