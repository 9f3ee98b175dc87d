"""Agents over a real database and index, with scripted answers and models."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.agents import AgentLibrary
from engine.cancellation import CancelToken
from engine.config import Settings
from engine.db.repositories import Repositories
from engine.domain import Answer, AnswerDelta, Citation, Collection, FaqPair, FaqStatus, new_id, utc_now
from engine.embedding.fake import HashingEmbedder
from engine.errors import NotFoundError
from engine.knowledge.index import KnowledgeIndex
from engine.llm.base import ChatModel
from engine.llm.fake import FakeChatModel
from engine.llm.llamacpp import LlamaCppModel
from engine.vectorstore.faiss_store import FaissStore

HOURS = Answer("We open at nine.", True, (Citation("guide.md", 1, "We open at nine.", 0.9),), model="fake")
SILENCE = Answer("The documents do not say.", False)


class ScriptedAnswers:
    """Stands in for retrieval: says what it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.script: list[Answer | Exception] = [HOURS]
        self.silent_about: tuple[str, ...] = ()
        self.streamed: list[str] | None = None
        self.questions: list[str] = []
        self.models: list[str | None] = []

    def stream(
        self,
        question: str,
        collection_id: str,
        *,
        model: str | None = None,
        adapter: Path | None = None,
        cancel: CancelToken | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[AnswerDelta]:
        self.questions.append(question)
        self.models.append(model)
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(said, Exception):
            raise said
        if any(word in question for word in self.silent_about):
            said = SILENCE
        for text in self.streamed or [f"{word} " for word in said.text.split(" ")]:
            yield AnswerDelta(text)
        yield AnswerDelta("", said)


@pytest.fixture(scope="session")
def chat_model(chat_gguf: Path) -> Iterator[LlamaCppModel]:
    """The real default model."""
    model = LlamaCppModel(chat_gguf, context_tokens=4096, max_sequences=2)
    yield model
    model.close()


@pytest.fixture
def shop(repositories: Repositories) -> Collection:
    collection = repositories.collections.ensure("shop")
    repositories.faqs.add(
        [
            faq(collection, "When does the shop open?", "The shop opens at nine on weekdays."),
            faq(collection, "How long is the warranty of a piano?", "Every piano has a warranty of ten years."),
            faq(collection, "Can I return a piano?", "Pianos can be returned within thirty days."),
        ]
    )
    return collection


def faq(collection: Collection, question: str, answer: str) -> FaqPair:
    return FaqPair(
        id=new_id(),
        collection_id=collection.id,
        question=question,
        answer=answer,
        quote=answer,
        document_id=None,
        document="handbook",
        page=None,
        heading="",
        score=1.0,
        status=FaqStatus.APPROVED,
        reason="",
        model="",
        created_at=utc_now(),
    )


@pytest.fixture
def index(repositories: Repositories, settings: Settings) -> KnowledgeIndex:
    return KnowledgeIndex(repositories, HashingEmbedder, FaissStore, settings)


@pytest.fixture
def answers() -> ScriptedAnswers:
    return ScriptedAnswers()


@pytest.fixture
def models() -> dict[str | None, ChatModel]:
    """The chat models by name; None is the default one."""
    return {None: FakeChatModel(["none"], name="default")}


@pytest.fixture
def counted() -> list[str]:
    """One item for each new lead that was reported."""
    return []


@pytest.fixture
def library(
    repositories: Repositories,
    index: KnowledgeIndex,
    answers: ScriptedAnswers,
    models: dict[str | None, ChatModel],
    settings: Settings,
    counted: list[str],
) -> AgentLibrary:
    return AgentLibrary(
        repositories, index, answers, models_by_name(models), settings, lead_stored=lambda: counted.append("lead")
    )


def models_by_name(models: dict[str | None, ChatModel]) -> Callable[[str | None], ChatModel]:
    def get(name: str | None) -> ChatModel:
        if name not in models:
            raise NotFoundError(f"no model {name!r}")
        return models[name]

    return get
