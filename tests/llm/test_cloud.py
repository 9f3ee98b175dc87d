"""Remote models: retries, failures, keys, the offline switch, required forms."""

import logging
import subprocess
import sys

import pytest

from engine.domain import FinishReason, Message
from engine.errors import ConfigError, NexusError, OfflineError, ProviderError
from engine.llm.base import Choice, GenerationParams, JsonSchema, Regex, Request
from engine.llm.cloud import LiteLlmModel
from engine.llm.cloud.access import Endpoint, redact
from engine.llm.cloud.model import RetryPolicy

HELLO = (Message("user", "say hello to me"),)
QUICK = RetryPolicy(attempts=3, first_wait_s=0.001)


@pytest.fixture
def model(provider) -> LiteLlmModel:
    return LiteLlmModel("openai/played", offline=True, api_base=provider.url, retries=QUICK, timeout_s=20)


def test_the_conversation_and_the_parameters_arrive(model: LiteLlmModel, provider) -> None:
    conversation = [Message("system", "S"), *HELLO]
    model.complete(conversation, GenerationParams(max_tokens=7, temperature=0.5, top_p=0.9, stop=("END",)))
    sent = provider.requests[0]
    assert sent["model"] == "played"
    assert sent["messages"] == [{"role": "system", "content": "S"}, {"role": "user", "content": "say hello to me"}]
    assert (sent["max_tokens"], sent["temperature"], sent["top_p"], sent["stop"]) == (7, 0.5, 0.9, ["END"])


def test_a_stream_comes_in_pieces(model: LiteLlmModel) -> None:
    pieces = [piece.text for piece in model.stream(HELLO)]
    assert pieces == ["say", " hello", " to", " me", ""]


@pytest.mark.parametrize("failures", [["429"], ["500"], ["garbage"], ["page"], ["500", "429"]])
def test_what_may_pass_is_tried_again(model: LiteLlmModel, provider, failures: list[str]) -> None:
    provider.script = [*failures, "ok"]
    assert model.complete(HELLO).text == "say hello to me"
    assert len(provider.requests) == len(failures) + 1


def test_a_provider_is_not_asked_for_ever(model: LiteLlmModel, provider) -> None:
    provider.script = ["500"]
    with pytest.raises(ProviderError) as caught:
        model.complete(HELLO)
    assert caught.value.retryable
    assert len(provider.requests) == 3


def test_a_provider_that_asks_for_more_time_than_there_is_fails_at_once(model: LiteLlmModel, provider) -> None:
    provider.script, provider.retry_after = ["429"], "100"
    with pytest.raises(ProviderError):
        model.complete(HELLO, GenerationParams(timeout_s=20))
    assert len(provider.requests) == 1


def test_what_cannot_pass_is_not_tried_again(model: LiteLlmModel, provider) -> None:
    provider.script = ["400"]
    with pytest.raises(ProviderError) as caught:
        model.complete(HELLO)
    assert not caught.value.retryable
    assert len(provider.requests) == 1


def test_a_stream_that_breaks_is_not_begun_again(model: LiteLlmModel, provider) -> None:
    provider.script = ["breaks", "ok"]
    stream = model.stream(HELLO)
    assert next(stream).text == "say"
    with pytest.raises(ProviderError):
        list(stream)
    assert len(provider.requests) == 1


def test_a_server_that_hangs_ends_in_a_timeout_of_the_request(model: LiteLlmModel, provider) -> None:
    provider.script = ["hang"]
    completion = model.complete(HELLO, GenerationParams(timeout_s=0.3))
    assert (completion.finish_reason, completion.text) == (FinishReason.TIMEOUT, "")


def test_a_server_that_hangs_without_a_limit_of_the_request_has_failed(provider) -> None:
    provider.script = ["hang"]
    model = LiteLlmModel("openai/played", offline=True, api_base=provider.url, timeout_s=0.3, retries=QUICK)
    with pytest.raises(ProviderError):
        model.complete(HELLO)


def test_a_prefix_is_asked_for_and_cut_off(model: LiteLlmModel, provider) -> None:
    provider.answer = lambda _body: "Dear customer, thank you"
    pieces = [piece.text for piece in model.stream(HELLO, GenerationParams(prefix="Dear customer,"))]
    assert "".join(pieces) == " thank you"
    assert "Dear customer," in provider.requests[0]["messages"][-1]["content"]


def test_many_run_a_few_at_a_time_and_all_come_back(model: LiteLlmModel, provider) -> None:
    requests = [Request((Message("user", f"number {n}"),)) for n in range(9)]
    answers = {index: answer.text for index, answer in model.generate_many(requests)}
    assert answers == {n: f"number {n}" for n in range(9)}


# --- required forms

CITY = JsonSchema({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})


def test_a_schema_is_handed_on_and_the_answer_checked(model: LiteLlmModel, provider) -> None:
    provider.answer = lambda _body: '```json\n{"city": "Lyon"}\n```'
    assert model.complete(HELLO, GenerationParams(constraint=CITY)).text == '{"city": "Lyon"}'
    assert provider.requests[0]["response_format"]["json_schema"]["schema"] == dict(CITY.schema)


def test_an_answer_in_the_wrong_form_is_asked_for_again_with_the_reason(model: LiteLlmModel, provider) -> None:
    answers = iter(["Lyon, I think", '{"town": "Lyon"}', '{"city": "Lyon"}'])
    provider.answer = lambda _body: next(answers)
    assert model.complete(HELLO, GenerationParams(constraint=CITY)).text == '{"city": "Lyon"}'
    assert "not JSON" in provider.requests[1]["messages"][-1]["content"]
    assert "city" in provider.requests[2]["messages"][-1]["content"]


@pytest.mark.parametrize("constraint", [Regex(r"\d{4}"), Choice(("1999", "2000"))])
def test_other_constraints_are_checked_too(model: LiteLlmModel, provider, constraint: Regex | Choice) -> None:
    answers = iter(["in 1999", "1999\n"])
    provider.answer = lambda _body: next(answers)
    assert model.complete(HELLO, GenerationParams(constraint=constraint)).text == "1999"


def test_a_model_that_never_keeps_to_the_form_fails(model: LiteLlmModel, provider) -> None:
    provider.answer = lambda _body: "no idea"
    with pytest.raises(ProviderError, match="required form") as caught:
        model.complete(HELLO, GenerationParams(constraint=Regex("[0-9]+")))
    assert not caught.value.retryable
    assert len(provider.requests) == 3


# --- keys and the offline switch


@pytest.mark.parametrize("name", ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "nobody/knows"])
def test_offline_nothing_leaves_the_machine(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(variable, "sk-there-is-a-key")
    with pytest.raises(OfflineError):
        LiteLlmModel(name, offline=True).complete(HELLO)


def test_without_a_key_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    with pytest.raises(ConfigError) as caught:
        LiteLlmModel("mistral/small", offline=False).complete(HELLO)
    assert "MISTRAL_API_KEY" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000", True),
        ("http://10.0.0.5:8000", False),
        ("https://127.0.0.1.example.org", False),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1@example.org", False),
        ("not an address", False),
    ],
)
def test_only_loopback_addresses_are_this_machine(address: str, local: bool) -> None:
    assert Endpoint.of("openai/x", address).loopback is local


def test_an_address_from_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", "http://127.0.0.1:8000")
    assert Endpoint.of("hosted_vllm/x", None).loopback


@pytest.mark.parametrize("step", ["401", "400", "500"])
def test_a_key_is_sent_but_never_shown(
    provider, model: LiteLlmModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret-words")
    provider.script = [step]
    with caplog.at_level(logging.INFO), pytest.raises(NexusError) as caught:
        model.complete(HELLO)
    assert provider.keys[0] == "Bearer very-secret-words"
    assert "very-secret-words" not in f"{caught.value.info()} {caplog.text} {vars(model)}"
    assert isinstance(caught.value, ConfigError) is (step == "401")


def test_what_looks_like_a_key_is_redacted() -> None:
    assert redact("Incorrect key sk-abc123DEF456 given") == "Incorrect key [redacted] given"
    assert redact("the risk-averse keep their keys") == "the risk-averse keep their keys"


def test_litellm_is_imported_with_the_first_request_only() -> None:
    heavy = ("litellm", "llama_cpp", "openai", "llguidance", "torch")
    code = f"import engine.llm.registry, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
