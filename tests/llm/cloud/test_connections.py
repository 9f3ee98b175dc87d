"""Connections: left at any moment, never to another place than the one that was named."""

import threading

import pytest

from engine.cancellation import CancelToken
from engine.domain import Completion, FinishReason, Message
from engine.errors import ProviderError
from engine.llm.base import GenerationParams
from engine.llm.cloud import LiteLlmModel


@pytest.mark.parametrize("name", ["openai/played", "hosted_vllm/played", "mistral/played"])
def test_a_silent_server_can_be_left_at_once(provider, hello, name: str) -> None:
    provider.script = ["stalls", "ok"]
    model = LiteLlmModel(name, offline=True, api_base=provider.url, concurrency=1)
    stream = model.stream(hello)
    assert next(stream).text == "well"
    stream.close()
    assert provider.hung_up.wait(20)
    assert model.complete(hello).text == "say hello to me"


def test_comments_do_not_put_off_the_end_of_the_time(provider, hello) -> None:
    provider.script = ["stalls"]
    model = LiteLlmModel("openai/played", offline=True, api_base=provider.url)
    completion = model.complete(hello, GenerationParams(timeout_s=0.3))
    assert (completion.text, completion.finish_reason) == ("well", FinishReason.TIMEOUT)
    assert completion.usage.prompt_tokens > 0
    assert provider.hung_up.wait(20)


@pytest.mark.parametrize("name", ["openai/played", "hosted_vllm/played"])
def test_a_request_is_cancelled_while_the_server_thinks_and_its_place_is_free(provider, hello, name: str) -> None:
    provider.script = ["hang", "ok"]
    model = LiteLlmModel(name, offline=True, api_base=provider.url, concurrency=1)
    cancel = CancelToken()
    answers: list[Completion] = []
    asking = threading.Thread(target=lambda: answers.append(model.complete(hello, GenerationParams(cancel=cancel))))
    asking.start()
    provider.wait_for(1)
    cancel.cancel()
    asking.join(20)
    assert [answer.finish_reason for answer in answers] == [FinishReason.CANCELLED]
    assert model.complete(hello, GenerationParams(timeout_s=20)).finish_reason is FinishReason.STOP


@pytest.mark.parametrize("name", ["openai/played", "hosted_vllm/played"])
def test_a_redirect_is_not_followed(provider, hello, name: str) -> None:
    provider.script = ["redirects", "ok"]
    with pytest.raises(ProviderError, match="redirects") as caught:
        LiteLlmModel(name, offline=True, api_base=provider.url).complete(hello)
    assert not caught.value.retryable
    assert provider.paths == ["/v1/chat/completions"]


@pytest.mark.parametrize("name", ["openai/played", "hosted_vllm/played"])
def test_what_is_on_this_machine_does_not_go_through_a_proxy(
    provider, hello, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert LiteLlmModel(name, offline=True, api_base=provider.url).complete(hello).text


@pytest.mark.parametrize("name", ["openai/played", "hosted_vllm/played"])
def test_what_is_elsewhere_does(provider, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(variable, provider.url.removesuffix("/v1"))
    model = LiteLlmModel(name, offline=False, api_base="http://somewhere.test/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "some-long-key")
    assert model.complete([Message("user", "hello")]).text == "hello"
    assert provider.paths == ["http://somewhere.test/v1/chat/completions"]


def test_no_cookie_tells_one_request_from_the_next(provider, hello) -> None:
    provider.script, provider.headers = ["429", "ok"], {"retry-after": "0", "set-cookie": "who=you"}
    model = LiteLlmModel("openai/played", offline=True, api_base=provider.url)
    assert model.complete(hello).text
    assert provider.cookies == ["", ""]
