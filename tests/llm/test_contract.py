"""What every chat model promises, whichever library is behind it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.cancellation import CancelToken
from engine.domain import FinishReason, Message
from engine.errors import AdapterError, InputError, ModelError, NexusError
from engine.llm.base import ChatModel, GenerationParams, JsonSchema, Request
from engine.llm.cloud import LiteLlmModel
from engine.llm.fake import FakeChatModel
from engine.llm.llamacpp import LlamaCppModel

QUESTION = (Message("system", "You repeat what you are told."), Message("user", "one two three four five six seven eight"))


class ChatModelContract:
    """Inherited for each strategy, which brings `model` and, for the tests that close it, `fresh`."""

    def test_it_is_a_chat_model_with_a_name_and_a_context(self, model: ChatModel) -> None:
        assert isinstance(model, ChatModel)
        assert model.name
        assert model.context_length >= 512

    def test_an_answer_has_text_and_counts(self, model: ChatModel) -> None:
        completion = model.complete(QUESTION, GenerationParams(max_tokens=4))
        assert completion.text.strip()
        assert completion.model == model.name
        assert 1 <= completion.usage.completion_tokens <= 4
        assert completion.usage.prompt_tokens > 0
        assert completion.finish_reason in (FinishReason.STOP, FinishReason.LENGTH)
        assert 0 <= completion.timings.first_token_s <= completion.timings.total_s

    def test_a_limit_on_tokens_ends_the_answer(self, model: ChatModel) -> None:
        completion = model.complete(QUESTION, GenerationParams(max_tokens=2))
        assert completion.finish_reason is FinishReason.LENGTH
        assert completion.usage.completion_tokens == 2

    def test_no_tokens_at_all_is_a_mistake(self, model: ChatModel) -> None:
        with pytest.raises(InputError):
            model.complete(QUESTION, GenerationParams(max_tokens=0))

    def test_the_pieces_of_a_stream_are_the_text(self, model: ChatModel) -> None:
        *pieces, last = list(model.stream(QUESTION, GenerationParams(max_tokens=5)))
        assert all(piece.completion is None for piece in pieces)
        assert last.completion is not None
        assert "".join(piece.text for piece in [*pieces, last]) == last.completion.text

    def test_a_closed_stream_leaves_the_model_usable(self, model: ChatModel) -> None:
        stream = model.stream(QUESTION, GenerationParams(max_tokens=100))
        next(stream)
        stream.close()
        assert model.complete(QUESTION, GenerationParams(max_tokens=1)).text

    def test_many_requests_each_come_back_once(self, model: ChatModel) -> None:
        requests = [Request((Message("user", f"number {n} of many words"),), GenerationParams(max_tokens=3)) for n in range(6)]
        answers = dict(model.generate_many(requests))
        assert sorted(answers) == list(range(6))
        assert all(answer.usage.completion_tokens for answer in answers.values())

    def test_many_of_nothing_is_nothing(self, model: ChatModel) -> None:
        assert list(model.generate_many([])) == []

    def test_many_can_be_left_early(self, model: ChatModel) -> None:
        answers = model.generate_many([Request(QUESTION, GenerationParams(max_tokens=3))] * 6)
        next(answers)
        answers.close()
        assert model.complete(QUESTION, GenerationParams(max_tokens=1)).text

    def test_an_error_among_many_is_raised(self, model: ChatModel) -> None:
        with pytest.raises(NexusError):
            list(model.generate_many([Request(QUESTION, GenerationParams(max_tokens=0))]))

    def test_a_cancelled_request_says_so(self, model: ChatModel) -> None:
        cancel = CancelToken()
        stream = model.stream(QUESTION, GenerationParams(max_tokens=400, cancel=cancel))
        next(stream)
        cancel.cancel()
        *_, last = stream
        assert last.completion is not None
        assert last.completion.finish_reason is FinishReason.CANCELLED

    def test_threads_may_ask_at_the_same_time(self, model: ChatModel) -> None:
        def ask(number: int) -> str:
            return model.complete([Message("user", f"say {number} again and again")], GenerationParams(max_tokens=3)).text

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(ask, range(8)))

    def test_tokens_are_counted(self, model: ChatModel) -> None:
        assert model.count_tokens("") == 0
        assert 0 < model.count_tokens("a few words") < model.count_tokens("a few words, and then quite a few more")

    def test_a_closed_model_refuses(self, fresh: ChatModel) -> None:
        fresh.complete(QUESTION, GenerationParams(max_tokens=1))
        fresh.close()
        fresh.close()
        with pytest.raises(ModelError):
            fresh.complete(QUESTION, GenerationParams(max_tokens=1))


@pytest.mark.models
class TestLlamaCpp(ChatModelContract):
    @pytest.fixture
    def model(self, runtime: LlamaCppModel) -> ChatModel:
        return runtime

    @pytest.fixture
    def fresh(self, chat_gguf: Path) -> ChatModel:
        return LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=1)


class TestFake(ChatModelContract):
    @pytest.fixture
    def model(self) -> ChatModel:
        return FakeChatModel()

    @pytest.fixture
    def fresh(self) -> ChatModel:
        return FakeChatModel(["yes"])

    def test_replies_come_in_turn_and_the_last_one_stays(self) -> None:
        model = FakeChatModel(["first", "second"])
        assert [model.complete(QUESTION).text for _ in range(3)] == ["first", "second", "second"]

    def test_a_function_makes_the_answer(self) -> None:
        model = FakeChatModel(lambda messages, params: f"{len(messages)} {params.seed}")
        assert model.complete(QUESTION, GenerationParams(seed=5)).text == "2 5"

    def test_what_was_asked_is_remembered(self) -> None:
        model = FakeChatModel(["yes"])
        model.complete(QUESTION, GenerationParams(seed=5))
        assert model.requests == [Request(QUESTION, GenerationParams(seed=5))]

    def test_stop_texts_end_the_answer(self) -> None:
        assert FakeChatModel(["one END two"]).complete(QUESTION, GenerationParams(stop=("END",))).text == "one "


class TestLiteLlm(ChatModelContract):
    @pytest.fixture
    def model(self, provider) -> Iterator[ChatModel]:
        model = LiteLlmModel("openai/played", offline=True, api_base=provider.url)
        yield model
        model.close()

    @pytest.fixture
    def fresh(self, provider) -> ChatModel:
        return LiteLlmModel("openai/played", offline=True, api_base=provider.url)

    def test_adapters_are_refused(self, model: ChatModel, tmp_path: Path) -> None:
        with pytest.raises(AdapterError):
            model.complete(QUESTION, GenerationParams(adapter=tmp_path / "a.gguf"))


YEAR = JsonSchema(
    {
        "type": "object",
        "properties": {"year": {"type": "integer", "minimum": 1, "maximum": 2030}},
        "required": ["year"],
        "additionalProperties": False,
    }
)


@pytest.mark.models
def test_a_schema_means_the_same_for_the_runtime_and_a_provider(runtime: LlamaCppModel, provider) -> None:
    from engine.llm.constraints import violation

    provider.answer = lambda _body: '{"year": 1999}'
    remote = LiteLlmModel("openai/played", offline=True, api_base=provider.url)
    ask: Callable[[ChatModel], str] = lambda model: model.complete(QUESTION, GenerationParams(constraint=YEAR)).text  # noqa: E731
    assert violation(YEAR, ask(remote)) is None
    assert violation(YEAR, ask(runtime)) is None
