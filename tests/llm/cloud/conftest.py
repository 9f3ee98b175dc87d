"""A remote model over the played provider, a clock that goes on when it is told to, and a provider elsewhere that costs."""

import socket

import pytest

from engine.domain import Message
from engine.llm.cloud import LiteLlmModel
from engine.llm.cloud.patience import RetryPolicy

KEY = "very-secret-words"


class ToldClock:
    """Sleeping takes no time, and is added up."""

    def __init__(self) -> None:
        self.slept = 0.0

    def now(self) -> float:
        return self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


@pytest.fixture
def hello() -> tuple[Message, ...]:
    return (Message("user", "say hello to me"),)


@pytest.fixture
def clock() -> ToldClock:
    return ToldClock()


@pytest.fixture
def retries(clock: ToldClock) -> RetryPolicy:
    return RetryPolicy(attempts=3, first_wait_s=1.0, jitter=0.0, clock=clock)


@pytest.fixture
def model(provider, retries: RetryPolicy) -> LiteLlmModel:
    return LiteLlmModel("openai/played", offline=True, api_base=provider.url, retries=retries, timeout_s=100)


@pytest.fixture
def elsewhere(provider, monkeypatch: pytest.MonkeyPatch) -> str:
    """The played provider's address as one of another machine."""
    look_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **options: look_up("127.0.0.1" if host == "provider.test" else host, *rest, **options),
    )
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return provider.url.replace("127.0.0.1", "provider.test")
