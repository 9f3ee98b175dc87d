"""Chat: history, routing, the fall-back, and what is kept when an answer breaks off."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from engine.chat import Chat, ChatDelta
from engine.db.repositories import Repositories
from engine.db.session import Database
from engine.domain import Adapter, AgentConfig, Completion, Delta, FinishReason, Message, new_id, utc_now
from engine.errors import AdapterError, CancelledError, ConflictError, ContextOverflowError, NotFoundError, ProviderError
from engine.llm.base import GenerationParams, Request
from engine.llm.fake import FakeChatModel
from engine.llm.llamacpp import LlamaCppModel
from engine.requests import ChatRequest


class FailingModel(FakeChatModel):
    """Says some words, then fails."""

    def __init__(self, name: str, error: Exception, words: Sequence[str] = ()) -> None:
        super().__init__(name=name)
        self.error = error
        self.words = words

    def stream(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Iterator[Delta]:
        yield from (Delta(word) for word in self.words)
        raise self.error


@pytest.fixture
def repositories(tmp_path: Path) -> Repositories:
    return Repositories.over(Database(tmp_path / "nexus.db"))


def make_chat(repositories: Repositories, *models: FakeChatModel) -> Chat:
    """A chat over some models; the first is the default one."""
    by_name = {model.name: model for model in models}

    def find(name: str | None) -> FakeChatModel:
        if name is not None and name not in by_name:
            raise NotFoundError(f"there is no model {name!r}")
        return models[0] if name is None else by_name[name]

    return Chat(repositories.conversations, repositories.adapters, find, timeout_s=30)


def whole(deltas: Iterator[ChatDelta]) -> tuple[str, Completion]:
    received = list(deltas)
    assert received[-1].completion is not None
    return received[-1].conversation_id, received[-1].completion


def test_a_conversation_goes_on_with_its_history(repositories: Repositories) -> None:
    model = FakeChatModel(["Hello Bo.", "You are Bo."])
    chat = make_chat(repositories, model)
    conversation, first = whole(chat.stream(ChatRequest(message="I am Bo.")))
    assert first.text == "Hello Bo."
    again, _ = whole(chat.stream(ChatRequest(message="Who am I?", conversation=conversation)))
    assert again == conversation
    assert [message.content for message in model.requests[1].messages] == ["I am Bo.", "Hello Bo.", "Who am I?"]
    stored = repositories.conversations.history(conversation)
    assert [turn.message.content for turn in stored] == ["I am Bo.", "Hello Bo.", "Who am I?", "You are Bo."]
    assert stored[1].details["model"] == model.name


def test_the_answer_arrives_in_pieces(repositories: Repositories) -> None:
    chat = make_chat(repositories, FakeChatModel(["one two three"]))
    pieces = [delta.text for delta in chat.stream(ChatRequest(message="Count."))]
    assert "".join(pieces) == "one two three"
    assert len(pieces) > 2


def test_an_adapter_is_named_not_its_file(repositories: Repositories, tmp_path: Path) -> None:
    model = FakeChatModel(["tuned"], name="tiny")
    path = tmp_path / "adapters" / "a" / "adapter.gguf"
    repositories.adapters.add(Adapter(new_id(), "shop", "tiny", path, utc_now()))
    _, completion = whole(make_chat(repositories, model).stream(ChatRequest(message="Hi", adapter="shop")))
    assert model.requests[0].params.adapter == path
    assert completion.adapter == "shop"


def test_an_adapter_of_another_base_is_refused(repositories: Repositories, tmp_path: Path) -> None:
    chat = make_chat(repositories, FakeChatModel(name="tiny"), FakeChatModel(name="other"))
    repositories.adapters.add(Adapter(new_id(), "shop", "tiny", tmp_path / "a.gguf", utc_now()))
    with pytest.raises(ConflictError):
        list(chat.stream(ChatRequest(message="Hi", adapter="shop", model="other")))


@pytest.mark.parametrize("error", [ProviderError("no route"), AdapterError("wrong shape")])
def test_a_failing_model_is_replaced_by_the_default_one(repositories: Repositories, error: Exception) -> None:
    chat = make_chat(repositories, FakeChatModel(["local answer"], name="tiny"), FailingModel("openai/x", error))
    _, completion = whole(chat.stream(ChatRequest(message="Hi", model="openai/x")))
    assert completion.text == "local answer"
    assert "tiny instead" in completion.notice


def test_a_model_that_is_gone_is_replaced_by_the_default_one(repositories: Repositories, tmp_path: Path) -> None:
    repositories.adapters.add(Adapter(new_id(), "shop", "gone", tmp_path / "a.gguf", utc_now()))
    default = FakeChatModel(["local answer"], name="tiny")
    for request in (ChatRequest(message="Hi", model="gone"), ChatRequest(message="Hi", adapter="shop")):
        _, completion = whole(make_chat(repositories, default).stream(request))
        assert (completion.text, completion.adapter) == ("local answer", None)
        assert "no model 'gone'" in completion.notice
        assert "tiny instead" in completion.notice


def test_a_damaged_model_file_is_replaced_by_the_default_model(repositories: Repositories, tmp_path: Path) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(b"GGUF" + b"\xff" * 300)
    damaged = LlamaCppModel(path, name="damaged", context_tokens=512)
    chat = Chat(
        repositories.conversations,
        repositories.adapters,
        lambda name: damaged if name else FakeChatModel(["local answer"], name="tiny"),
        timeout_s=30,
    )
    _, completion = whole(chat.stream(ChatRequest(message="Hi", model="damaged")))
    damaged.close()
    assert completion.text == "local answer"
    assert "tiny instead" in completion.notice


def test_a_conversation_that_is_too_long_and_a_stop_are_not_replaced(repositories: Repositories) -> None:
    for error in (ContextOverflowError("too long"), CancelledError("stopped")):
        chat = make_chat(repositories, FakeChatModel(["local answer"], name="tiny"), FailingModel("other", error))
        with pytest.raises(type(error)):
            list(chat.stream(ChatRequest(message="Hi", model="other")))


def test_an_answer_that_began_is_not_replaced_but_kept(repositories: Repositories) -> None:
    failing = FailingModel("openai/x", ProviderError("cut off"), ["Half", " an"])
    chat = make_chat(repositories, FakeChatModel(name="tiny"), failing)
    with pytest.raises(ProviderError):
        list(chat.stream(ChatRequest(message="Hi", model="openai/x")))
    conversation = repositories.conversations.list("chat")[0].id
    assert [turn.message.content for turn in repositories.conversations.history(conversation)] == ["Hi", "Half an"]


def test_the_default_model_has_no_stand_in(repositories: Repositories) -> None:
    chat = make_chat(repositories, FailingModel("tiny", ProviderError("down")))
    with pytest.raises(ProviderError):
        list(chat.stream(ChatRequest(message="Hi")))


def test_a_closed_stream_keeps_what_was_said(repositories: Repositories) -> None:
    stream = make_chat(repositories, FakeChatModel(["one two three"])).stream(ChatRequest(message="Count."))
    first = next(stream)
    stream.close()
    stored = repositories.conversations.history(first.conversation_id)
    assert [turn.message.content for turn in stored] == ["Count.", "one"]


def test_an_unknown_conversation_is_not_found_and_nothing_is_stored(repositories: Repositories) -> None:
    with pytest.raises(NotFoundError):
        list(make_chat(repositories, FakeChatModel()).stream(ChatRequest(message="Hi", conversation="nothing")))
    assert list(repositories.conversations.list("chat")) == []


def test_what_was_left_out_is_said(repositories: Repositories) -> None:
    model = FakeChatModel(["short"], context_tokens=200)
    chat = make_chat(repositories, model)
    conversation, _ = whole(chat.stream(ChatRequest(message="old " * 30)))
    _, fits = whole(chat.stream(ChatRequest(message="newer " * 5, conversation=conversation)))
    assert fits.notice is not None
    assert "2 oldest messages" in fits.notice
    assert [message.content for message in model.requests[-1].messages] == [("newer " * 5).strip()]


def test_a_message_that_is_too_long_by_itself_is_refused(repositories: Repositories) -> None:
    chat = make_chat(repositories, FakeChatModel(context_tokens=200))
    with pytest.raises(ContextOverflowError) as caught:
        list(chat.stream(ChatRequest(message="word " * 300)))
    assert "Shorten" in str(caught.value.hint)


class ThinkingModel(FakeChatModel):
    """Says in its reasoning how many messages it got."""

    answer = "Yes."

    def stream(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Iterator[Delta]:
        self.requests.append(Request(tuple(messages), params))
        yield Delta("", reasoning=f"{len(messages)} ")
        yield Delta("", reasoning="messages")
        reason = FinishReason.STOP if self.answer else FinishReason.LENGTH
        completion = Completion(self.answer, reason, self.name, reasoning=f"{len(messages)} messages")
        yield Delta(self.answer, completion)


def test_reasoning_is_shown_and_stored_but_not_sent_back(repositories: Repositories) -> None:
    model = ThinkingModel()
    chat = make_chat(repositories, model)
    deltas = list(chat.stream(ChatRequest(message="Sure?")))
    assert "".join(delta.reasoning for delta in deltas) == "1 messages"
    assert "".join(delta.text for delta in deltas) == "Yes."
    conversation = deltas[-1].conversation_id
    stored = repositories.conversations.history(conversation)[-1]
    assert (stored.message.content, stored.details["reasoning"]) == ("Yes.", "1 messages")
    whole(chat.stream(ChatRequest(message="Really?", conversation=conversation)))
    assert [message.content for message in model.requests[-1].messages] == ["Sure?", "Yes.", "Really?"]


def test_reasoning_that_left_no_room_for_an_answer_is_explained(repositories: Repositories) -> None:
    model = ThinkingModel()
    model.answer = ""
    _, completion = whole(make_chat(repositories, model).stream(ChatRequest(message="Sure?")))
    assert completion.notice is not None
    assert "still reasoning" in completion.notice


def test_an_adapter_that_is_served_otherwise_than_trained_says_so(repositories: Repositories, tmp_path: Path) -> None:
    repositories.adapters.add(Adapter(new_id(), "shop", "tiny", tmp_path / "a.gguf", utc_now(), status="mismatch"))
    chat = make_chat(repositories, FakeChatModel(name="tiny"))
    _, completion = whole(chat.stream(ChatRequest(message="Hi", adapter="shop", allow_mismatch=True)))
    assert completion.adapter == "shop"
    assert "fine-tune it again" in completion.notice


def test_an_adapter_that_is_served_otherwise_than_trained_answers_only_when_asked_for(
    repositories: Repositories, tmp_path: Path
) -> None:
    repositories.adapters.add(Adapter(new_id(), "shop", "tiny", tmp_path / "a.gguf", utc_now(), status="mismatch"))
    with pytest.raises(ConflictError, match="as it was trained"):
        list(make_chat(repositories, FakeChatModel(name="tiny")).stream(ChatRequest(message="Hi", adapter="shop")))
    assert list(repositories.conversations.list("chat")) == []


def test_a_talk_with_an_agent_is_no_chat(repositories: Repositories) -> None:
    collection = repositories.collections.ensure("shop")
    agent = AgentConfig(new_id(), "Ada", "", collection.id, ("name",), utc_now())
    repositories.agents.add(agent)
    talk = repositories.conversations.start("agent", "Hello", agent.id)
    with pytest.raises(NotFoundError):
        list(make_chat(repositories, FakeChatModel()).stream(ChatRequest(message="Hi", conversation=talk.id)))
    assert list(repositories.conversations.history(talk.id)) == []
