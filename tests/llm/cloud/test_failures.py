"""Retries: what is tried again, when, and what never is."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cancellation import CancelToken
from engine.domain import FinishReason
from engine.errors import ConfigError, ContextOverflowError, NexusError, ProviderError
from engine.llm.base import GenerationParams
from engine.llm.cloud import LiteLlmModel
from engine.llm.cloud.patience import RetryPolicy, retry_after

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "failures",
    [["429"], ["408"], ["500"], ["503"], ["504"], ["529"], ["garbage"], ["page"], ["refuses"], ["empty"], ["500", "429"]],
)
def test_what_may_pass_is_tried_again(model: LiteLlmModel, provider, hello, failures: list[str]) -> None:
    provider.script = [*failures, "ok"]
    assert model.complete(hello).text == "say hello to me"
    assert len(provider.requests) == len(failures) + 1


@pytest.mark.parametrize("step", ["breaks", "drops", "ends"])
def test_a_whole_answer_that_broke_off_is_asked_for_again(model: LiteLlmModel, provider, hello, step: str) -> None:
    provider.script = [step, "ok"]
    assert model.complete(hello).text == "say hello to me"


@pytest.mark.parametrize("step", ["breaks", "drops", "ends"])
def test_a_stream_that_breaks_is_not_begun_again(model: LiteLlmModel, provider, hello, step: str) -> None:
    provider.script = [step, "ok"]
    stream = model.stream(hello)
    assert next(stream).text == "say"
    with pytest.raises(ProviderError):
        list(stream)
    assert len(provider.requests) == 1


@pytest.fixture
def gemini(provider, retries: RetryPolicy) -> LiteLlmModel:
    """A model of a provider of whose every piece litellm says that it is the last."""
    return LiteLlmModel("gemini/gemini-2.5-flash", offline=True, api_base=provider.url, retries=retries)


def test_an_answer_of_gemini_ends(gemini: LiteLlmModel, provider, hello) -> None:
    provider.script = ["gemini"]
    completion = gemini.complete(hello)
    assert (completion.text, completion.finish_reason) == ('hello "finishReason" you', FinishReason.STOP)
    assert completion.usage.completion_tokens == 3
    provider.script = ["gemini-blocks"]
    with pytest.raises(ProviderError, match="filter") as caught:
        gemini.complete(hello)
    assert not caught.value.retryable


@pytest.mark.parametrize("step", ["gemini-ends", "gemini-drops"])
def test_an_answer_of_gemini_that_was_cut_has_not_ended(gemini: LiteLlmModel, provider, hello, step: str) -> None:
    provider.script = [step, "gemini"]
    assert gemini.complete(hello).text.endswith("you")
    provider.script = [step]
    stream = gemini.stream(hello)
    assert next(stream).text == "hello"
    with pytest.raises(ProviderError) as caught:
        list(stream)
    assert caught.value.retryable
    assert caught.value.hint


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("400", ProviderError),
        ("401", ConfigError),
        ("402", ProviderError),
        ("403", ConfigError),
        ("404", ProviderError),
        ("413", ProviderError),
        ("422", ProviderError),
        ("quota", ProviderError),
        ("overflow", ContextOverflowError),
    ],
)
def test_what_cannot_pass_is_not_tried_again(
    model: LiteLlmModel, provider, hello, clock, step: str, error: type[NexusError]
) -> None:
    provider.script = [step]
    with pytest.raises(error) as caught:
        model.complete(hello)
    assert not caught.value.retryable
    assert caught.value.hint
    assert len(provider.requests) == 1
    assert clock.slept == 0


def test_a_provider_is_not_asked_for_ever_and_less_and_less_often(model: LiteLlmModel, provider, hello, clock) -> None:
    provider.script, provider.headers = ["500"], {}
    with pytest.raises(ProviderError) as caught:
        model.complete(hello)
    assert caught.value.retryable
    assert len(provider.requests) == 3
    assert clock.slept == pytest.approx(1 + 2)


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "7"},
        {"retry-after-ms": "7000", "retry-after": "8"},
        {"retry-after": "nonsense", "retry-after-ms": "7e3"},
    ],
)
def test_a_provider_is_given_the_time_that_it_asks_for(model: LiteLlmModel, provider, hello, clock, headers) -> None:
    provider.script, provider.headers = ["429", "503", "ok"], headers
    assert model.complete(hello).text
    assert clock.slept == pytest.approx(14)


@pytest.mark.parametrize("limit", [5.0, None])
def test_a_provider_that_asks_for_more_time_than_there_is_fails_at_once(
    model: LiteLlmModel, provider, hello, clock, limit: float | None
) -> None:
    provider.script, provider.headers = ["429"], {"retry-after": "61"}
    with pytest.raises(ProviderError) as caught:
        model.complete(hello, GenerationParams(timeout_s=limit))
    assert "61 s" in str(caught.value.hint)
    assert (len(provider.requests), clock.slept) == (1, 0)


def test_a_cancel_ends_the_wait_before_another_attempt(model: LiteLlmModel, provider, hello, clock) -> None:
    cancel = CancelToken()
    provider.script, provider.headers = ["429"], {"retry-after": "50"}
    clock.sleep = lambda _seconds: cancel.cancel()
    completion = model.complete(hello, GenerationParams(cancel=cancel))
    assert completion.finish_reason is FinishReason.CANCELLED
    assert len(provider.requests) == 1


def test_closing_ends_the_wait_before_another_attempt(model: LiteLlmModel, provider, hello, clock) -> None:
    provider.script, provider.headers = ["429"], {"retry-after": "50"}
    clock.sleep = lambda _seconds: model.close()
    with pytest.raises(NexusError, match="closed"):
        model.complete(hello)
    assert len(provider.requests) == 1


def test_a_server_that_hangs_ends_in_a_timeout_of_the_request(provider, hello) -> None:
    provider.script = ["hang"]
    model = LiteLlmModel("openai/played", offline=True, api_base=provider.url)
    completion = model.complete(hello, GenerationParams(timeout_s=0.3))
    assert (completion.finish_reason, completion.text) == (FinishReason.TIMEOUT, "")


def test_a_server_that_hangs_without_a_limit_of_the_request_has_failed(provider, hello) -> None:
    provider.script = ["hang"]
    model = LiteLlmModel("openai/played", offline=True, api_base=provider.url, timeout_s=0.3)
    with pytest.raises(ProviderError):
        model.complete(hello)


# --- how long to wait


def test_waits_double_are_spread_and_end() -> None:
    policy = RetryPolicy(attempts=9, first_wait_s=1, longest_wait_s=20, jitter=0.5, chance=lambda: 1.0)
    assert [policy.wait_before(attempt, None) for attempt in (1, 2, 3, 8, 9)] == [1.5, 3, 6, 30, None]


@given(st.integers(1, 8), st.floats(0, 60), st.floats(0, 1))
def test_no_provider_is_asked_sooner_than_it_wants(attempt: int, asked: float, chance: float) -> None:
    wait_s = RetryPolicy(attempts=9, chance=lambda: chance).wait_before(attempt, asked)
    assert wait_s is not None
    assert asked <= wait_s <= asked * 1.5


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": format_datetime(NOON.replace(minute=2), usegmt=True)}, 120.0),
        ({"retry-after": "Sun, 01 Mar 2026 13:00:30 +0100"}, 1830.0 - 1800.0),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
    ],
)
def test_what_a_provider_asks_for_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOON) == seconds


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms"]), st.text()))
def test_whatever_a_server_sends_is_a_wait_or_none(headers: dict[str, str]) -> None:
    seconds = retry_after(headers, NOON)
    assert seconds is None or 0 <= seconds < float("inf")
