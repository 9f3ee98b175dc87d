"""Comparing: side by side, each with its own end."""

import threading
from collections.abc import Iterator

from engine.cancellation import CancelToken
from engine.compare import CompareEvent, compare, model_target
from engine.domain import Answer, AnswerDelta
from engine.errors import ModelError
from engine.llm.base import GenerationParams
from engine.llm.fake import FakeChatModel


def says(text: str) -> Iterator[AnswerDelta]:
    yield AnswerDelta(text)
    yield AnswerDelta("", Answer(text, True))


def last_of(events: list[CompareEvent]) -> dict[str, CompareEvent]:
    return {event.target: event for event in events if event.last}


def test_targets_run_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=20)

    def target(cancel: CancelToken) -> Iterator[AnswerDelta]:
        together.wait()
        yield from says("met")

    ends = last_of(list(compare({"a": target, "b": target, "c": target}, 30)))
    assert {name: end.answer.text for name, end in ends.items()} == {"a": "met", "b": "met", "c": "met"}


def test_a_failure_leaves_the_others_standing() -> None:
    def fails(cancel: CancelToken) -> Iterator[AnswerDelta]:
        yield AnswerDelta("well")
        raise ModelError("out of memory", hint="smaller")

    ends = last_of(list(compare({"bad": fails, "good": lambda cancel: says("fine")}, 30)))
    assert ends["bad"].error["message"] == "out of memory"
    assert ends["good"].answer.text == "fine"


def test_a_slow_target_is_stopped_and_the_fast_one_is_not_held_up() -> None:
    stopped = threading.Event()

    def slow(cancel: CancelToken) -> Iterator[AnswerDelta]:
        pause = threading.Event()
        while not cancel.cancelled:
            pause.wait(0.01)
        stopped.set()
        yield AnswerDelta("too late")

    events = list(compare({"slow": slow, "fast": lambda cancel: says("here")}, 0.5))
    ends = last_of(events)
    assert ends["fast"].answer.text == "here"
    assert ends["slow"].error["code"] == "timeout"
    assert events[-1].target == "slow"
    assert stopped.wait(20)


def test_closing_stops_all_targets() -> None:
    stopped = threading.Event()

    def endless(cancel: CancelToken) -> Iterator[AnswerDelta]:
        yield AnswerDelta("begun")
        pause = threading.Event()
        while not cancel.cancelled:
            pause.wait(0.01)
        stopped.set()

    events = compare({"endless": endless}, 60)
    assert next(events).text == "begun"
    events.close()
    assert stopped.wait(20)


def test_a_target_that_just_ends_is_an_error() -> None:
    ends = last_of(list(compare({"silent": lambda cancel: iter(())}, 30)))
    assert ends["silent"].error is not None


def test_each_target_ends_exactly_once() -> None:
    events = list(compare({"a": lambda cancel: says("x"), "b": lambda cancel: iter(())}, 30))
    assert sorted(event.target for event in events if event.last) == ["a", "b"]


def test_a_model_is_a_target() -> None:
    target = model_target(FakeChatModel(["one two"], name="tiny"), "Count.", GenerationParams())
    answer = last_of(list(compare({"base": target}, 30)))["base"].answer
    assert (answer.text, answer.model, answer.found) == ("one two", "tiny", True)
    assert answer.usage.completion_tokens > 0
