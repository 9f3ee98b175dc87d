"""Anything at any time: random arrivals, cancellations, deadlines and mistakes, against what must hold all the same.

Every request ends exactly once; nobody gets a word of another's answer; in the end all cells of the cache can be had again.
`NEXUS_SOAK_S` lets it go on for so many seconds instead of a few rounds.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from engine.cancellation import CancelToken
from engine.domain import Completion, Delta, FinishReason, Message
from engine.errors import AdapterError, ContextOverflowError, InputError, ModelError, NexusError
from engine.llm.base import Choice, GenerationParams, Regex, Request
from engine.llm.llamacpp import LlamaCppModel

pytestmark = pytest.mark.models

CONTEXT, PLACES = 1024, 4
BEGINNINGS = (
    "",
    "You count for a shop that sells kettles and know all about water and steam. " * 4,
    "You count for a shop that sells kettles and know all about tea and cups. " * 6,
)

KINDS = ("plain",) * 3 + ("adapter", "cancel", "leave", "late", "short", "mistake", "huge", "lost", "draft")


@dataclass(frozen=True)
class Order:
    """A request whose answer is known: its own number, spelled out again and again."""

    number: int
    request: Request
    expected: str
    stop_after: int | None
    error: type[NexusError] | None


def _order(number: int, draw: random.Random, adapter: Path, missing: Path) -> Order:
    expected = f"{number:05d} " * draw.randint(1, 6)
    params = GenerationParams(max_tokens=64, constraint=Choice((expected,)), priority=draw.choice((0, 0, 10)))
    messages = (
        Message("system", draw.choice(BEGINNINGS) + "Count."),
        Message("user", f"{number} please." * draw.randint(1, 8)),
    )
    kind = draw.choice(
        ("plain", "plain", "plain", "adapter", "cancel", "leave", "late", "short", "mistake", "huge", "lost", "draft")
    )
    error: type[NexusError] | None = None
    stop_after = None
    if kind == "adapter":
        params = replace(params, adapter=adapter)
    elif kind == "draft":
        params = replace(params, draft_from=(expected * 2,), constraint=Regex(f"({number:05d} ){{6}}"))
        expected = f"{number:05d} " * 6
    elif kind == "cancel":
        params = replace(params, cancel=CancelToken())
        stop_after = draw.randint(0, 2)
    elif kind == "leave":
        stop_after = draw.randint(0, 2)
    elif kind == "late":
        params = replace(params, timeout_s=draw.choice((0.0, 0.01, 0.05)))
    elif kind == "short":
        params = replace(params, max_tokens=draw.randint(1, 4))
    elif kind == "mistake":
        params, error = replace(params, constraint=Regex("(")), InputError
    elif kind == "huge":
        params, error = replace(params, max_tokens=CONTEXT), ContextOverflowError
    elif kind == "lost":
        params, error = replace(params, adapter=missing), AdapterError
    return Order(number, Request(messages, params), expected, stop_after, error)


def _ask(model: LlamaCppModel, order: Order) -> Completion | NexusError | None:
    """How a request ended; None where the asker left before."""
    pieces: list[Delta] = []
    try:
        with closing(_pieces(model, order.request)) as stream:
            for piece in stream:
                pieces.append(piece)
                if order.stop_after is not None and len(pieces) > order.stop_after and piece.completion is None:
                    if order.request.params.cancel is None:
                        return None
                    order.request.params.cancel.cancel()
    except NexusError as exc:
        return exc
    ends = [piece.completion for piece in pieces if piece.completion is not None]
    assert len(ends) == 1
    assert pieces[-1].completion is ends[0]
    assert "".join(piece.text for piece in pieces) == ends[0].text
    return ends[0]


def _pieces(model: LlamaCppModel, request: Request) -> Iterator[Delta]:
    yield from model.stream(request.messages, request.params)


def _check(order: Order, end: Completion | NexusError | None) -> None:
    if order.error is not None:
        assert isinstance(end, order.error)
        return
    assert not isinstance(end, NexusError)
    if end is None:
        assert order.stop_after is not None
        return
    assert order.expected.startswith(end.text)
    if end.finish_reason is FinishReason.STOP:
        assert end.text == order.expected
    allowed = {FinishReason.STOP}
    if order.request.params.cancel is not None:
        allowed.add(FinishReason.CANCELLED)
    if order.request.params.timeout_s is not None:
        allowed.add(FinishReason.TIMEOUT)
    if order.request.params.max_tokens < 64:
        allowed.add(FinishReason.LENGTH)
    assert end.finish_reason in allowed
    assert end.usage.completion_tokens <= order.request.params.max_tokens


def _whole_context(model: LlamaCppModel, priority: int) -> GenerationParams:
    left = CONTEXT - len(model.chat_prompt_tokens(HELLO))
    return GenerationParams(max_tokens=left, priority=priority, constraint=Regex("(a ){4}"))


HELLO = (Message("user", "Hello"),)


def _rounds() -> Iterator[int]:
    seconds = float(os.environ.get("NEXUS_SOAK_S", "0"))
    until = time.monotonic() + seconds
    seed = 0
    while seed < 3 or time.monotonic() < until:
        yield seed
        seed += 1


def test_whatever_comes_every_request_ends_once_with_its_own_answer(chat_gguf: Path, adapter: Path, tmp_path: Path) -> None:
    model = LlamaCppModel(chat_gguf, context_tokens=CONTEXT, max_sequences=PLACES)
    for seed in _rounds():
        draw = random.Random(seed)
        orders = [_order(1000 * seed % 90000 + n, draw, adapter, tmp_path / "missing.gguf") for n in range(30)]
        with ThreadPoolExecutor(12) as pool:
            ends = list(pool.map(lambda order: _ask(model, order), orders))
        for order, end in zip(orders, ends, strict=True):
            _check(order, end)
        for priority in (0, 10):  # what was kept makes room, and nothing else is left in the cache
            answer = model.complete(HELLO, _whole_context(model, priority))
            assert answer.text == "a a a a "
    model.close()


def test_a_job_that_makes_way_for_people_gives_the_same_answers(chat_gguf: Path) -> None:
    """A decode that is given up half-way leaves no trace: each answer is forced, so that a token too many would show."""
    model = LlamaCppModel(chat_gguf, context_tokens=2048, max_sequences=PLACES)
    texts = [f"{number} " * 12 for number in range(100, 130)]
    long = (Message("user", "Count. " * 40),)
    job = [
        Request(long, GenerationParams(max_tokens=80, priority=10, constraint=Regex(f"({text[:4]}){{12}}"))) for text in texts
    ]
    ends: dict[int, Completion] = {}
    asked = 0
    for index, completion in model.generate_many(job):
        ends[index] = completion
        assert model.complete(HELLO, GenerationParams(max_tokens=2, constraint=Choice(("yes",)))).text == "yes"
        asked += 1
    model.close()
    assert asked == len(job)
    assert [ends[index].text for index in range(len(job))] == texts


def test_when_too_many_wait_the_next_is_turned_away_and_the_others_are_not(
    chat_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.llm.llamacpp.scheduler.MOST_WAITING", 6)
    model = LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=1)
    request = Request(HELLO, GenerationParams(max_tokens=8, constraint=Choice(("one two three",))))

    def ask(_: int) -> str:
        try:
            return model.complete(request.messages, request.params).text
        except ModelError as exc:
            return f"turned away, try again: {exc.retryable}"

    with ThreadPoolExecutor(16) as pool:
        ends = Counter(pool.map(ask, range(16)))
    model.close()
    assert set(ends) == {"one two three", "turned away, try again: True"}
    assert ends["one two three"] >= 6
