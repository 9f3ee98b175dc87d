"""Required forms: handed on where the provider takes them, and always checked."""

import pytest

from engine.domain import FinishReason
from engine.errors import ProviderError
from engine.llm.base import Choice, GenerationParams, JsonSchema, Regex, Span
from engine.llm.cloud import LiteLlmModel

CITY = JsonSchema({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})


def test_a_schema_is_handed_on_and_the_answer_checked(model: LiteLlmModel, provider, hello) -> None:
    provider.answer = lambda _body: '```json\n{"city": "Lyon"}\n```'
    assert model.complete(hello, GenerationParams(constraint=CITY)).text == '{"city": "Lyon"}'
    assert provider.requests[0]["response_format"]["json_schema"]["schema"] == dict(CITY.schema)


def test_an_answer_in_the_wrong_form_is_asked_for_again_with_the_reason(model: LiteLlmModel, provider, hello) -> None:
    answers = iter(["Lyon, I think", '{"town": "Lyon"}', '{"city": "Lyon"}'])
    provider.answer = lambda _body: next(answers)
    assert model.complete(hello, GenerationParams(constraint=CITY)).text == '{"city": "Lyon"}'
    assert "not JSON" in provider.requests[1]["messages"][-1]["content"]
    assert "city" in provider.requests[2]["messages"][-1]["content"]


@pytest.mark.parametrize("constraint", [Regex(r"\d{4}"), Choice(("1999", "2000"))])
def test_other_constraints_are_checked_too(model: LiteLlmModel, provider, hello, constraint: Regex | Choice) -> None:
    answers = iter(["in 1999", "1999\n"])
    provider.answer = lambda _body: next(answers)
    assert model.complete(hello, GenerationParams(constraint=constraint)).text == "1999"


def test_a_model_that_never_keeps_to_the_form_fails(model: LiteLlmModel, provider, hello) -> None:
    provider.answer = lambda _body: "no idea"
    with pytest.raises(ProviderError, match="required form") as caught:
        model.complete(hello, GenerationParams(constraint=Regex("[0-9]+")))
    assert not caught.value.retryable
    assert len(provider.requests) == 3


def test_the_tokens_of_all_answers_are_counted(model: LiteLlmModel, provider, hello) -> None:
    answers = iter(["Lyon, I think", '{"city":"Lyon"}'])
    provider.answer = lambda _body: next(answers)
    assert model.complete(hello, GenerationParams(constraint=CITY)).usage.completion_tokens == 3 + 1


def test_what_its_limit_cut_off_is_told_and_not_asked_for_again(model: LiteLlmModel, provider, hello) -> None:
    provider.answer = lambda _body: '{"city": "a very long name"}'
    completion = model.complete(hello, GenerationParams(constraint=CITY, max_tokens=2))
    assert (completion.finish_reason, completion.text) == (FinishReason.LENGTH, '{"city": "a')
    assert len(provider.requests) == 1


def test_a_span_is_copied_or_asked_for_again(model: LiteLlmModel, provider, hello) -> None:
    answers = iter(["the red one", "the blue one"])
    provider.answer = lambda _body: next(answers)
    assert model.complete(hello, GenerationParams(constraint=Span(("Take the blue one.",)))).text == "the blue one"


def test_a_form_that_broke_off_is_asked_for_again(model: LiteLlmModel, provider, hello) -> None:
    provider.answer = lambda _body: '{"city": "Lyon"}'
    provider.script = ["drops", "ok"]
    pieces = list(model.stream(hello, GenerationParams(constraint=CITY)))
    assert "".join(piece.text for piece in pieces) == '{"city": "Lyon"}'


def test_a_server_that_takes_no_schemas_is_asked_without(model: LiteLlmModel, provider, hello) -> None:
    provider.answer = lambda _body: '{"city": "Lyon"}'
    provider.script = ["400", "ok"]
    for _ in range(2):
        assert model.complete(hello, GenerationParams(constraint=CITY)).text == '{"city": "Lyon"}'
    assert ["response_format" in request for request in provider.requests] == [True, False, False]


def test_a_request_that_is_refused_in_every_form_has_failed(model: LiteLlmModel, provider, hello) -> None:
    provider.script = ["400"]
    with pytest.raises(ProviderError):
        model.complete(hello, GenerationParams(constraint=CITY))
    assert len(provider.requests) == 2


def test_an_answer_of_nothing_to_a_required_form_is_not_asked_for_again(model: LiteLlmModel, provider, hello) -> None:
    provider.answer = lambda _body: " "
    with pytest.raises(ProviderError, match="required form"):
        model.complete(hello, GenerationParams(constraint=CITY))
    assert len(provider.requests) == 1
