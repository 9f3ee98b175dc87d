"""What is sent to a provider, and what is made of its answers."""

import pytest

from engine.domain import FinishReason, Message, TokenLogprob, Usage
from engine.errors import ProviderError
from engine.llm.base import ALL_THOUGHT, GenerationParams, Request
from engine.llm.cloud import LiteLlmModel
from engine.llm.cloud.options import request_options


def test_the_conversation_and_the_parameters_arrive(model: LiteLlmModel, provider, hello) -> None:
    conversation = [Message("system", "S"), *hello]
    params = GenerationParams(
        max_tokens=7,
        temperature=0.5,
        top_p=0.9,
        stop=("END",),
        seed=4,
        frequency_penalty=0.25,
        presence_penalty=-0.5,
        logprobs=50,
    )
    model.complete(conversation, params)
    sent = provider.requests[0]
    assert sent["model"] == "played"
    assert sent["messages"] == [{"role": "system", "content": "S"}, {"role": "user", "content": "say hello to me"}]
    wanted = {"max_tokens": 7, "temperature": 0.5, "top_p": 0.9, "stop": ["END"], "seed": 4}
    wanted |= {"frequency_penalty": 0.25, "presence_penalty": -0.5, "logprobs": True, "top_logprobs": 20}
    assert {name: sent[name] for name in wanted} == wanted


def test_what_was_not_asked_for_is_not_sent(model: LiteLlmModel, provider, hello) -> None:
    model.complete(hello)
    assert set(provider.requests[0]) == {"model", "messages", "max_tokens", "temperature", "stream", "stream_options"}


def test_a_server_of_ones_own_gets_all_ways_to_sample(provider, hello) -> None:
    model = LiteLlmModel("hosted_vllm/played", offline=True, api_base=provider.url)
    model.complete(hello, GenerationParams(top_k=40, min_p=0.05, repeat_penalty=1.1))
    sent = provider.requests[0]
    assert (sent["top_k"], sent["min_p"], sent["repetition_penalty"]) == (40, 0.05, 1.1)


def test_providers_get_only_what_they_read() -> None:
    params = GenerationParams(top_k=40, min_p=0.05, repeat_penalty=1.1)
    assert request_options("openai", params, None) == {}
    assert request_options("anthropic", params, None) == {"top_k": 40}


def test_a_stream_comes_in_pieces(model: LiteLlmModel, hello) -> None:
    pieces = [piece.text for piece in model.stream(hello)]
    assert pieces == ["say", " hello", " to", " me", ""]


def test_comments_that_keep_a_connection_alive_are_no_text(model: LiteLlmModel, provider, hello) -> None:
    provider.script = ["comments"]
    assert model.complete(hello).text == "say hello to me"


def test_only_the_first_choice_counts(model: LiteLlmModel, provider, hello) -> None:
    provider.script = ["two"]
    assert model.complete(hello).text == "say hello to me"


def test_reasoning_is_kept_apart_from_the_answer(model: LiteLlmModel, provider, hello) -> None:
    provider.script = ["thinks"]
    *pieces, last = model.stream(hello)
    assert "".join(piece.reasoning for piece in pieces) == "hm well"
    assert "".join(piece.text for piece in pieces) == "say hello to me"
    assert last.completion is not None
    assert (last.completion.reasoning, last.completion.text) == ("hm well", "say hello to me")


def test_an_answer_that_is_all_reasoning_says_so(model: LiteLlmModel, provider, hello) -> None:
    provider.script = ["broods"]
    completion = model.complete(hello)
    assert (completion.text, completion.finish_reason, completion.notice) == ("", FinishReason.LENGTH, ALL_THOUGHT)


def test_log_probabilities_come_with_the_answer(model: LiteLlmModel, provider, hello) -> None:
    provider.script = ["likely"]
    completion = model.complete(hello, GenerationParams(logprobs=2, max_tokens=2))
    assert completion.logprobs == (
        TokenLogprob("say", -0.1, (("say", -0.1), ("other", -2.5))),
        TokenLogprob(" hello", -0.1, ((" hello", -0.1), ("other", -2.5))),
    )


def test_a_prefix_is_asked_for_and_cut_off(model: LiteLlmModel, provider, hello) -> None:
    provider.answer = lambda _body: "Dear customer, thank you"
    provider.script = ["likely"]
    *pieces, last = model.stream(hello, GenerationParams(prefix="Dear customer,", logprobs=0))
    assert "".join(piece.text for piece in pieces) == " thank you"
    assert [token.text for token in last.completion.logprobs] == [" thank", " you"]
    assert "Dear customer," in provider.requests[0]["messages"][-1]["content"]


def test_many_run_a_few_at_a_time_and_all_come_back(model: LiteLlmModel) -> None:
    requests = [Request((Message("user", f"number {n}"),)) for n in range(9)]
    answers = {index: answer.text for index, answer in model.generate_many(requests)}
    assert answers == {n: f"number {n}" for n in range(9)}


def test_cached_tokens_are_told(model: LiteLlmModel, provider, hello) -> None:
    provider.script = ["cached"]
    assert model.complete(hello).usage == Usage(1000, 4, 800, 0.0)


def test_an_answer_without_counts_has_estimates(provider, hello) -> None:
    provider.script = ["unmeasured"]
    model = LiteLlmModel("hosted_vllm/llama-3-8b", offline=True, api_base=provider.url)
    usage = model.complete(hello).usage
    assert usage.prompt_tokens > 0
    assert 1 <= usage.completion_tokens <= 8


def test_no_tokenizer_is_fetched_to_count(provider, hello, monkeypatch: pytest.MonkeyPatch) -> None:
    import litellm.utils
    from tokenizers import Tokenizer

    fetched: list[str] = []
    monkeypatch.setattr(Tokenizer, "from_pretrained", fetched.append, raising=False)
    litellm.utils._load_huggingface_tokenizer.cache_clear()
    monkeypatch.setattr(litellm.utils.tokenizer_dispatch, "from_pretrained", fetched.append)
    provider.script = ["unmeasured"]
    LiteLlmModel("hosted_vllm/llama-3-8b", offline=True, api_base=provider.url).complete(hello)
    assert fetched == []


def test_another_providers_form_is_read_too(provider, hello) -> None:
    provider.script = ["anthropic"]
    model = LiteLlmModel("anthropic/claude-sonnet-4-5", offline=True, api_base=provider.url.removesuffix("/v1"))
    completion = model.complete(hello, GenerationParams(max_tokens=9, logprobs=2))
    assert (completion.text, completion.reasoning) == ("hello you", "hm")
    assert completion.finish_reason is FinishReason.STOP
    assert completion.usage == Usage(100, 5, 90, 0.0)
    assert completion.logprobs == ()


# --- how an answer ends


@pytest.mark.parametrize("step", ["withheld", "tools"])
def test_no_answer_by_intention_is_not_asked_for_again(model: LiteLlmModel, provider, hello, step: str) -> None:
    provider.script = [step]
    with pytest.raises(ProviderError) as caught:
        model.complete(hello)
    assert not caught.value.retryable
    assert caught.value.hint
    assert len(provider.requests) == 1


def test_an_answer_that_the_filter_cut_says_so(model: LiteLlmModel, provider, hello) -> None:
    provider.script = ["filtered"]
    completion = model.complete(hello)
    assert completion.text == "say hello to me"
    assert "filter" in str(completion.notice)


def test_a_model_that_repeats_itself_is_not_a_failure(model: LiteLlmModel, provider, hello) -> None:
    provider.answer = lambda _body: "hello " + "again " * 150
    assert model.complete(hello).text.count("again") == 150


def test_a_server_that_never_stops_is_stopped(model: LiteLlmModel, provider, hello) -> None:
    provider.script = ["flood"]
    completion = model.complete(hello, GenerationParams(max_tokens=10))
    assert completion.finish_reason is FinishReason.LENGTH
    assert provider.hung_up.wait(20)
