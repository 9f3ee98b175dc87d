"""How the local runtime chooses tokens: log-probabilities, penalties, spans, guesses."""

import math
from collections import Counter

import pytest

from engine.domain import Message
from engine.errors import InputError
from engine.llm.base import Choice, GenerationParams, JsonSchema, Regex, Span
from engine.llm.llamacpp import LlamaCppModel

pytestmark = pytest.mark.models

SEA = (Message("user", "Tell me about the sea."),)
PASSAGE = (
    "Orders that reach us before 2 p.m. on a working day leave our warehouse on the same day. Delivery is free of charge for "
    "standard orders above 60 euros, and a kettle can be engraved with up to 18 letters for 9 euros."
)
QUOTE = (Message("user", f"Quote this text:\n\n{PASSAGE}"),)


def test_each_token_has_the_logarithm_of_its_probability(runtime: LlamaCppModel) -> None:
    answer = runtime.complete(SEA, GenerationParams(max_tokens=6, logprobs=5))
    assert "".join(token.text for token in answer.logprobs) == answer.text
    assert len(answer.logprobs) == answer.usage.completion_tokens
    for token in answer.logprobs:
        values = [logprob for _, logprob in token.top]
        assert token.top[0] == (token.text, pytest.approx(token.logprob))  # greedy: the first is the one that was taken
        assert values == sorted(values, reverse=True)
        assert len(values) == 5
        assert sum(math.exp(value) for value in values) <= 1 + 1e-6


def test_log_probabilities_of_all_tokens_make_one(runtime: LlamaCppModel) -> None:
    """Seen from the other side: what is left when the likeliest are taken away is shared by tokens that are less likely."""
    (token,) = runtime.complete(SEA, GenerationParams(max_tokens=1, logprobs=20)).logprobs
    rest = 1 - sum(math.exp(value) for _, value in token.top)
    assert 0 <= rest <= (49152 - 20) * math.exp(token.top[-1][1])


def test_nothing_is_forced_past_the_model_where_log_probabilities_are_asked_for(runtime: LlamaCppModel) -> None:
    """The only text allowed is as improbable to the model as before it was held to it."""
    params = GenerationParams(max_tokens=16, constraint=Choice(("Xylophone!",)), logprobs=0)
    answer = runtime.complete(SEA, params)
    assert answer.text == "".join(token.text for token in answer.logprobs) == "Xylophone!"
    assert answer.logprobs[0].logprob < math.log(0.01)


def test_no_log_probabilities_unless_asked_for(runtime: LlamaCppModel) -> None:
    assert runtime.complete(SEA, GenerationParams(max_tokens=2)).logprobs == ()


@pytest.mark.parametrize("count", [-1, 21])
def test_a_senseless_number_of_log_probabilities_is_refused(runtime: LlamaCppModel, count: int) -> None:
    with pytest.raises(InputError):
        runtime.complete(SEA, GenerationParams(logprobs=count))


@pytest.mark.parametrize("penalty", [{"frequency_penalty": 1.5}, {"presence_penalty": 2.0}])
def test_penalties_keep_the_answer_from_repeating_itself(runtime: LlamaCppModel, penalty: dict[str, float]) -> None:
    prompt = (Message("user", "Repeat: go"),)
    plain = GenerationParams(max_tokens=12, prefix="go go go go go go")
    often = runtime.complete(prompt, plain).text.split()
    seldom = runtime.complete(prompt, GenerationParams(max_tokens=12, prefix=plain.prefix, **penalty)).text.split()
    assert Counter(seldom)["go"] < Counter(often)["go"]


@pytest.mark.parametrize("seed", range(4))
def test_a_span_is_copied_from_one_of_the_texts(runtime: LlamaCppModel, seed: int) -> None:
    texts = (PASSAGE, "We answer letters within 14 days.")
    answer = runtime.complete(QUOTE, GenerationParams(max_tokens=24, temperature=1.5, seed=seed, constraint=Span(texts)))
    assert answer.text.strip()
    assert any(answer.text in text for text in texts)


@pytest.mark.parametrize("texts", [(), ("",), ("  ",)])
def test_a_span_of_nothing_is_refused(runtime: LlamaCppModel, texts: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        runtime.complete(QUOTE, GenerationParams(constraint=Span(texts)))


@pytest.mark.parametrize(
    "params",
    [
        GenerationParams(max_tokens=48, constraint=Span((PASSAGE,))),
        GenerationParams(max_tokens=30, constraint=Regex(r'\{"quote":"Orders that [^"]{20,140}"\}')),
        GenerationParams(max_tokens=48, constraint=JsonSchema({"type": "array", "items": {"enum": [PASSAGE]}, "minItems": 1})),
        GenerationParams(max_tokens=24, prefix=PASSAGE[:60]),
        GenerationParams(max_tokens=24, prefix=PASSAGE[:60], temperature=0.2, seed=3),
        GenerationParams(max_tokens=24, stop=("working",), prefix="Orders that reach"),
        GenerationParams(max_tokens=5, prefix="Orders that reach us before"),
    ],
    ids=["span", "regex", "schema", "free", "seeded", "stop", "short"],
)
def test_guesses_change_the_speed_and_not_the_answer(runtime: LlamaCppModel, params: GenerationParams) -> None:
    """Where one token is clearly ahead: llama.cpp adds up in another order when more tokens are decoded together."""
    guessing = GenerationParams(**{**{name: getattr(params, name) for name in params.__slots__}, "draft_from": (PASSAGE,)})
    plain, guessed = runtime.complete(QUOTE, params), runtime.complete(QUOTE, guessing)
    assert guessed.text == plain.text
    assert guessed.finish_reason == plain.finish_reason
    assert guessed.usage.completion_tokens == plain.usage.completion_tokens


def test_right_guesses_need_fewer_decodes(runtime: LlamaCppModel) -> None:
    def decodes(*sources: str) -> int:
        before = runtime.statistics.steps
        runtime.complete(QUOTE, GenerationParams(max_tokens=40, prefix=PASSAGE[:60], draft_from=sources))
        return runtime.statistics.steps - before

    decodes()  # reads the prompt
    assert decodes(PASSAGE) < decodes()
