"""Constraints hold for the real model, whatever it would rather say."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engine.domain import FinishReason, Message
from engine.errors import InputError
from engine.llm.base import Choice, Constraint, GenerationParams, JsonSchema, Lark, Regex, Request
from engine.llm.constraints import LONGEST_STRING, bounded, violation
from engine.llm.llamacpp import LlamaCppModel

pytestmark = pytest.mark.models

PERSON = JsonSchema(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 12},
            "age": {"type": "integer", "minimum": 0, "maximum": 130},
            "tags": {"type": "array", "items": {"enum": ["new", "old"]}, "minItems": 1, "maxItems": 2},
        },
        "required": ["name", "age", "tags"],
        "additionalProperties": False,
    }
)


def _ask(model: LlamaCppModel, constraint: Constraint, **params: float) -> str:
    completion = model.complete(
        [Message("user", "Tom is 31.")], GenerationParams(max_tokens=60, constraint=constraint, **params)
    )
    assert completion.finish_reason is FinishReason.STOP
    return completion.text


@pytest.mark.parametrize("seed", range(3))
def test_json_keeps_to_its_schema_even_when_hot(runtime: LlamaCppModel, seed: int) -> None:
    text = _ask(runtime, PERSON, temperature=2.0, seed=seed)
    assert set(json.loads(text)) == {"name", "age", "tags"}
    assert violation(PERSON, text) is None
    assert json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False) == text or "\\" in text


def test_a_regular_expression_holds_for_the_whole_output_with_plain_digits(runtime: LlamaCppModel) -> None:
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}", _ask(runtime, Regex(r"\d{4}-\d{2}")))


@pytest.mark.parametrize("options", [("yes", "no"), ("the only one",), ('say "hi"\n', "back\\slash", "é€😀")])
def test_a_choice_is_one_of_its_options(runtime: LlamaCppModel, options: tuple[str, ...]) -> None:
    assert _ask(runtime, Choice(options)) in options


def test_a_grammar_holds(runtime: LlamaCppModel) -> None:
    assert re.fullmatch(r"Name: [a-z]{1,8}\.", _ask(runtime, Lark('start: "Name: " /[a-z]{1,8}/ "."')))


def test_different_constraints_hold_side_by_side(runtime: LlamaCppModel) -> None:
    constraints = [PERSON, Choice(("red", "blue")), Regex("[ab]{5}"), None]
    requests = [Request((Message("user", "Go."),), GenerationParams(max_tokens=60, constraint=each)) for each in constraints]
    answers = dict(runtime.generate_many(requests))
    for index, constraint in enumerate(constraints[:3]):
        assert violation(constraint, answers[index].text) is None


def test_a_constraint_after_a_prefix_counts_from_there(runtime: LlamaCppModel) -> None:
    params = GenerationParams(max_tokens=10, prefix="Colour: ", constraint=Choice(("red", "blue")))
    assert runtime.complete([Message("user", "Pick.")], params).text in ("red", "blue")


@pytest.mark.parametrize(
    "constraint",
    [
        Regex("("),
        Lark("start: nowhere"),
        Choice(()),
        Choice(("",)),
        JsonSchema({"type": "nonsense"}),
        JsonSchema({"x": {1, 2}}),
    ],  # type: ignore[dict-item]
)
def test_a_constraint_that_makes_no_sense_is_refused(runtime: LlamaCppModel, constraint: Constraint) -> None:
    with pytest.raises(InputError):
        _ask(runtime, constraint)


def _span(text: str) -> Lark:
    return Lark(f'start: %regex {{"substring_words": {json.dumps(text, ensure_ascii=False)}}}')


@pytest.fixture(scope="module")
def quoting(chat_gguf: Path) -> LlamaCppModel:
    return LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=1)


SOURCES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=40).filter(
    lambda text: not {0xF1, 0xF2} & set(text.encode())  # no token of this model has these bytes, nor has any character in use
)


@given(source=SOURCES, seed=st.integers(0, 1000))
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_quote_is_a_span_of_its_source_whatever_the_source_is(quoting: LlamaCppModel, source: str, seed: int) -> None:
    params = GenerationParams(max_tokens=24, temperature=1.5, seed=seed, constraint=_span(source))
    completion = quoting.complete([Message("user", f"Quote this: {source}")], params)
    assert completion.text in source


@pytest.mark.parametrize("seed", range(3))
def test_a_source_with_bytes_that_no_token_has_can_still_be_quoted(quoting: LlamaCppModel, seed: int) -> None:
    source = "an \x04 odd \x06 page"
    params = GenerationParams(max_tokens=24, temperature=1.5, seed=seed, constraint=_span(source))
    assert quoting.complete([Message("user", "Quote.")], params).text in source


def test_special_tokens_in_a_source_stay_text(quoting: LlamaCppModel) -> None:
    source = "<|im_end|> <|im_start|>system"
    params = GenerationParams(max_tokens=24, temperature=1.0, seed=1, constraint=Choice((source,)))
    completion = quoting.complete([Message("user", "Quote.")], params)
    assert completion.text == source


def test_what_has_no_limit_in_a_schema_gets_one() -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "code": {"type": "string", "maxLength": 3},
            "kind": {"type": "string", "enum": ["a" * 2000]},
            "list": {"type": "array", "items": {"type": ["string", "null"]}, "minItems": 100},
        },
    }
    properties = bounded(schema)["properties"]
    assert properties["name"] == {"type": "string", "maxLength": LONGEST_STRING}
    assert properties["code"] == {"type": "string", "maxLength": 3}
    assert properties["kind"] == {"type": "string", "enum": ["a" * 2000]}
    assert properties["list"]["maxItems"] == 100
    assert properties["list"]["items"]["maxLength"] == LONGEST_STRING
    assert "maxLength" not in schema["properties"]["name"]
