"""Names to models, and one model standing in for another."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from engine.config import Settings
from engine.domain import Completion, Delta, FinishReason, Message
from engine.errors import (
    ConfigError,
    ContextOverflowError,
    InputError,
    ModelError,
    NexusError,
    NotFoundError,
    OfflineError,
    ProviderError,
)
from engine.llm.base import ChatModel, GenerationParams, Request
from engine.llm.cloud import LiteLlmModel
from engine.llm.fake import FakeChatModel
from engine.llm.fallback import FallbackChatModel
from engine.llm.llamacpp import LlamaCppModel
from engine.llm.registry import ChatModels, create_chat_model

HELLO = (Message("user", "hello there"),)


def _resolve(name: str) -> Path:
    if name != "known":
        raise NotFoundError(f"There is no model {name}.")
    return Path("/models/known.gguf")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("known", LlamaCppModel), ("local/known", LlamaCppModel), ("fake/echo", FakeChatModel), ("openai/gpt-4o", LiteLlmModel)],
)
def test_a_name_says_who_serves_it(settings: Settings, name: str, kind: type[ChatModel]) -> None:
    model = create_chat_model(name, settings=settings, resolve=_resolve)
    assert isinstance(model, kind)
    assert model.name == name


def test_an_unknown_local_name_and_an_empty_one_are_refused(settings: Settings) -> None:
    with pytest.raises(NotFoundError):
        create_chat_model("unknown", settings=settings, resolve=_resolve)
    with pytest.raises(InputError):
        create_chat_model(" ", settings=settings, resolve=_resolve)


@pytest.mark.parametrize("name", ["openai/", "openai/ ", "/gpt-4o", " /gpt-4o", "/", "local/", "fake/", "unheard-of/\t"])
def test_half_a_name_is_refused_before_anything_is_asked_for(settings: Settings, name: str) -> None:
    with pytest.raises(InputError, match="PROVIDER/MODEL") as refused:
        create_chat_model(name, settings=settings, resolve=_resolve)
    assert not isinstance(refused.value, NotFoundError)
    assert "openai/gpt-4o" in str(refused.value.hint)


def test_a_remote_obeys_the_offline_switch(settings: Settings) -> None:
    with pytest.raises(OfflineError):
        create_chat_model("openai/gpt-4o", settings=settings, resolve=_resolve).complete(HELLO)


def test_a_name_is_one_model_until_it_is_discarded(settings: Settings) -> None:
    models = ChatModels(settings, _resolve)
    first = models.get("fake/one")
    assert models.get("fake/one") is first
    models.discard("fake/one")
    models.discard("fake/never")
    assert models.get("fake/one") is not first
    with pytest.raises(ModelError):
        first.complete(HELLO)


def test_no_name_is_the_default_model(settings: Settings) -> None:
    models = ChatModels(settings.model_copy(update={"default_model": "fake/default"}), _resolve)
    assert models.get().name == "fake/default"


def test_closing_closes_all_and_refuses_more(settings: Settings) -> None:
    models = ChatModels(settings, _resolve)
    model = models.get("fake/one")
    models.close()
    models.close()
    with pytest.raises(ModelError):
        model.complete(HELLO)
    with pytest.raises(ModelError):
        models.get("fake/one")


class FailingChatModel(FakeChatModel):
    """Says its first words, if any, and then fails."""

    def __init__(self, error: NexusError, words: str = "") -> None:
        super().__init__([words], name="openai/broken")
        self._error = error
        self._words = words

    def stream(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Iterator[Delta]:
        if self._words:
            yield Delta(self._words)
        raise self._error

    def generate_many(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        yield 1, Completion("from the first", FinishReason.STOP, self.name)
        raise self._error


@pytest.mark.parametrize("error", [ProviderError("down"), ConfigError("no key"), OfflineError("not allowed")])
def test_when_the_first_fails_the_second_answers_and_says_so(error: NexusError) -> None:
    model = FallbackChatModel(FailingChatModel(error), FakeChatModel(["from the second"], name="stand-in"))
    completion = model.complete(HELLO)
    *_, last = model.stream(HELLO)
    for answer in (completion, last.completion):
        assert answer.text == "from the second"
        assert answer.model == "stand-in"
        assert error.message in answer.notice
        assert "stand-in" in answer.notice


def test_when_the_first_answers_there_is_no_notice() -> None:
    model = FallbackChatModel(FakeChatModel(["fine"]), FakeChatModel(["not asked"]))
    assert model.complete(HELLO).text == "fine"
    *_, last = model.stream(HELLO)
    assert last.completion.notice is None


def test_a_stream_does_not_change_over_after_its_first_words() -> None:
    model = FallbackChatModel(FailingChatModel(ProviderError("down"), "Well"), FakeChatModel(["second"]))
    stream = model.stream(HELLO)
    assert next(stream).text == "Well"
    with pytest.raises(ProviderError):
        next(stream)


def test_what_the_second_could_not_do_either_is_raised() -> None:
    with pytest.raises(ContextOverflowError):
        FallbackChatModel(FailingChatModel(ContextOverflowError("too long")), FakeChatModel(["x"])).complete(HELLO)


def test_of_many_only_those_that_are_left_go_to_the_second() -> None:
    second = FakeChatModel(["from the second"])
    answers = dict(FallbackChatModel(FailingChatModel(ProviderError("down")), second).generate_many([Request(HELLO)] * 3))
    assert {index: answer.text for index, answer in answers.items()} == {
        0: "from the second",
        1: "from the first",
        2: "from the second",
    }
    assert len(second.requests) == 2


def test_a_failed_provider_is_replaced_by_the_real_one(provider) -> None:
    provider.script = ["400"]
    broken = LiteLlmModel("openai/played", offline=True, api_base=provider.url)
    completion = FallbackChatModel(broken, FakeChatModel(["local answer"], name="local")).complete(HELLO)
    assert completion.text == "local answer"
    assert "openai/played" in completion.notice
