"""How many requests a provider gets at the same time, from all sides together."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cancellation import CancelToken
from engine.domain import FinishReason, Message
from engine.errors import ModelError, NexusError, ProviderError
from engine.llm.base import GenerationParams, Request
from engine.llm.cloud import LiteLlmModel
from engine.llm.cloud.gate import Gate


def _never() -> bool:
    return False


def test_all_kinds_of_calls_to_all_models_of_a_provider_share_its_places(provider, hello) -> None:
    provider.script = ["waits"]
    one, other = (LiteLlmModel(f"openai/{name}", offline=True, api_base=provider.url, concurrency=2) for name in ("a", "b"))
    calls: list[Callable[[], object]] = [
        lambda: one.complete(hello),
        lambda: list(one.stream(hello)),
        lambda: list(other.generate_many([Request(hello)] * 4)),
        lambda: other.complete(hello, GenerationParams(priority=10)),
    ]
    with ThreadPoolExecutor(len(calls)) as pool:
        running = [pool.submit(call) for call in calls]
        provider.wait_for(2)
        provider.gate.set()
        for call in running:
            call.result(60)
    assert len(provider.requests) == 7
    assert provider.most_at_once == 2


def test_an_error_gives_the_place_back(provider, hello, retries) -> None:
    provider.script = ["400", "breaks", "401", "500", "500", "500", "ok"]
    model = LiteLlmModel("openai/played", offline=True, api_base=provider.url, concurrency=1, retries=retries)
    for _ in range(4):
        with pytest.raises(NexusError):
            list(model.stream(hello))
    assert model.complete(hello).text


def test_waiting_for_a_place_can_be_cancelled_and_timed_out(provider, hello) -> None:
    provider.script = ["waits"]
    model = LiteLlmModel("openai/played", offline=True, api_base=provider.url, concurrency=1)
    cancel = CancelToken()
    cancel.cancel()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(model.complete, hello)
        provider.wait_for(1)
        waited = model.complete(hello, GenerationParams(cancel=cancel))
        late = model.complete(hello, GenerationParams(timeout_s=0.1))
        provider.gate.set()
        assert first.result(20).text
    assert (waited.finish_reason, late.finish_reason) == (FinishReason.CANCELLED, FinishReason.TIMEOUT)
    assert late.timings.queued_s >= 0.1
    assert len(provider.requests) == 1


def test_closing_the_model_ends_waiting_for_a_place_and_for_an_answer(provider, hello) -> None:
    provider.script = ["waits"]
    model = LiteLlmModel("openai/played", offline=True, api_base=provider.url, concurrency=1)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(model.complete, hello) for _ in range(2)]
        provider.wait_for(1)
        model.close()
        for call in both:
            with pytest.raises(ModelError):
                call.result(20)


def test_a_busy_provider_is_a_failure_where_no_limit_was_asked_for(provider, hello) -> None:
    provider.script = ["waits"]
    model = LiteLlmModel("openai/played", offline=True, api_base=provider.url, concurrency=1, timeout_s=20)
    hasty = LiteLlmModel("openai/hasty", offline=True, api_base=provider.url, concurrency=1, timeout_s=0.1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(model.complete, hello)
        provider.wait_for(1)
        with pytest.raises(ProviderError, match="in time"):
            hasty.complete(hello)
        provider.gate.set()
        assert first.result(20).text


def test_many_that_are_left_early_stop_asking(provider) -> None:
    provider.script = ["ok", "waits"]
    model = LiteLlmModel("openai/played", offline=True, api_base=provider.url, concurrency=1)
    answers = model.generate_many([Request((Message("user", f"number {n}"),)) for n in range(6)])
    next(answers)
    answers.close()
    provider.gate.set()
    assert model.complete([Message("user", "again")]).text == "again"
    assert len(provider.requests) <= 3


@given(st.integers(1, 3), st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=12))
def test_no_more_enter_than_there_are_places_and_every_place_comes_back(limit: int, visits: list[tuple[int, bool]]) -> None:
    gate = Gate(limit)
    inside: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def visit(priority: int, gives_up: bool) -> None:
        if not gate.enter(priority, lambda: gives_up):
            return
        with lock:
            inside.append(priority)
            most.append(len(inside))
        with lock:
            inside.pop()
        gate.leave()

    threads = [threading.Thread(target=visit, args=arguments) for arguments in visits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert max(most, default=0) <= limit
    assert all(gate.enter(0, lambda: True) for _ in range(limit))
    assert not gate.enter(0, lambda: True)


def test_a_person_goes_before_a_job() -> None:
    gate = Gate(1)
    assert gate.enter(0, _never)
    order: list[int] = []
    asked = threading.Semaphore(0)

    def visit(priority: int) -> None:
        def waiting() -> bool:
            asked.release()
            return False

        gate.enter(priority, waiting)
        order.append(priority)
        gate.leave()

    threads = [threading.Thread(target=visit, args=(priority,)) for priority in (10, 5, 0)]
    for thread in threads:
        thread.start()
        assert asked.acquire(timeout=20)
    gate.leave()
    for thread in threads:
        thread.join(20)
    assert order == [0, 5, 10]
