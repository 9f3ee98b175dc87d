"""Replies of models that reason, from the weights to the pieces that are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from engine.domain import Completion, FinishReason, Message
from engine.llm.base import ALL_THOUGHT, Choice, Constraint, GenerationParams, JsonSchema, Regex, Span
from engine.llm.llamacpp import LlamaCppModel

Saying = Callable[[str, str], Path]
HI = [Message("user", "Hi")]


@contextmanager
def running(path: Path) -> Iterator[LlamaCppModel]:
    with closing(LlamaCppModel(path, context_tokens=256, max_sequences=1, threads=1)) as model:
        yield model


def streamed(model: LlamaCppModel, params: GenerationParams) -> Completion:
    """The completion, of which the pieces are found to be the parts."""
    deltas = list(model.stream(HI, params))
    completion = deltas[-1].completion
    assert completion is not None
    assert "".join(delta.text for delta in deltas) == completion.text
    assert "".join(delta.reasoning for delta in deltas) == completion.reasoning
    return completion


@pytest.mark.parametrize(
    ("family", "says"),
    [
        ("deepseek", "Hm</think> Yes"),  # the prompt ends with <think>
        ("qwen3", "<think>Hm</think> Yes"),
    ],
)
def test_reasoning_and_answer_come_apart(saying: Saying, family: str, says: str) -> None:
    with running(saying(family, says)) as model:
        whole = streamed(model, GenerationParams(max_tokens=32))
        assert (whole.text, whole.reasoning, whole.finish_reason) == ("Yes", "Hm", FinishReason.STOP)
        assert whole.notice is None
        stopped = streamed(model, GenerationParams(max_tokens=32, stop=("m", "es")))
        assert (stopped.text, stopped.reasoning) == ("Y", "Hm")
        cut = streamed(model, GenerationParams(max_tokens=2))
        assert (cut.text, cut.finish_reason) == ("", FinishReason.LENGTH)
        assert cut.reasoning
        assert cut.notice == ALL_THOUGHT
        assert "Hm".startswith(cut.reasoning)


def test_what_a_constraint_forms_is_all_answer(saying: Saying) -> None:
    with running(saying("deepseek", "Hm</think> Yes")) as model:
        formed = streamed(model, GenerationParams(max_tokens=16, constraint=Regex("Yes<think>No</think>")))
        assert (formed.text, formed.reasoning) == ("Yes<think>No</think>", "")


def test_a_model_without_marks_reasons_in_its_answer(saying: Saying) -> None:
    with running(saying("smollm", "<think>H")) as model:
        assert streamed(model, GenerationParams(max_tokens=32)).text == "<think>H"


CONSTRAINTS = [
    JsonSchema({"type": "integer"}),
    Regex("Yes|No"),
    Choice(("Yes", "No")),
    Span(("Yes or no",)),
]


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda constraint: type(constraint).__name__)
def test_under_a_constraint_the_model_is_told_not_to_think(saying: Saying, constraint: Constraint) -> None:
    with running(saying("qwen3", "<think>Hm</think> Yes")) as model:
        free = model.complete(HI, GenerationParams(max_tokens=4))
        silent = model.complete(HI, GenerationParams(max_tokens=4, thinking=False))
        assert silent.usage.prompt_tokens > free.usage.prompt_tokens  # by an empty thought
        for params in (GenerationParams(max_tokens=4, constraint=constraint), GenerationParams(max_tokens=4, prefix="A")):
            prefix = model.count_tokens(params.prefix)
            assert model.complete(HI, params).usage.prompt_tokens == silent.usage.prompt_tokens + prefix


def test_after_an_empty_thought_in_the_prompt_comes_the_answer(saying: Saying) -> None:
    with running(saying("gemma4", "Yes")) as model:
        whole = streamed(model, GenerationParams(max_tokens=32))
        assert (whole.text, whole.reasoning) == ("Yes", "")


def test_channels_come_apart(saying: Saying) -> None:
    with running(saying("gpt-oss", "<|channel|>up<|message|>Hm<|end|>")) as model:
        thought = streamed(model, GenerationParams(max_tokens=32))
        assert (thought.text, thought.reasoning) == ("", "Hm")
        words = model.count_tokens("up") + model.count_tokens("Hm")
        assert thought.usage.completion_tokens == words + 3  # past the end of its first message
        free = thought.usage.prompt_tokens
        formed = streamed(model, GenerationParams(max_tokens=16, constraint=Regex("Yes")))
        assert (formed.text, formed.reasoning, formed.usage.prompt_tokens) == (
            "Yes",
            "",
            free + model.count_tokens("final") + 2,
        )
        silent = streamed(model, GenerationParams(max_tokens=1, thinking=False))
        assert silent.reasoning == ""
