"""Agents are made whole or not at all, and go with all that is theirs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.agents import AgentLibrary
from engine.agents.factory import Parts, make_mind, provider_of
from engine.config import Settings
from engine.db.repositories import Repositories
from engine.domain import Adapter, AgentConfig, Collection, CollectionStatus, new_id, utc_now
from engine.errors import ConfigError, ConflictError, EmbeddingError, NotFoundError
from engine.knowledge.index import KnowledgeIndex
from engine.llm.base import ChatModel
from engine.llm.fake import FakeChatModel
from engine.requests import AgentRequest
from engine.vectorstore.faiss_store import FaissStore

if TYPE_CHECKING:
    from tests.agents.conftest import ScriptedAnswers


def test_creating_an_agent_takes_its_faqs_in(library: AgentLibrary, repositories: Repositories, shop: Collection) -> None:
    config = library.create(AgentRequest(name="clerk", collection="shop", fields=("name", "email", "name")))
    assert config.fields == ("name", "email")
    assert config.collection_id == shop.id
    assert repositories.collections.get(shop.id).status is CollectionStatus.READY
    assert library.list() == [config]
    assert library.agent("clerk").config == config


def test_a_name_that_is_taken_is_refused(library: AgentLibrary, shop: Collection) -> None:
    library.create(AgentRequest(name="clerk", collection="shop"))
    with pytest.raises(ConflictError):
        library.create(AgentRequest(name="clerk", collection="shop"))
    assert len(library.list()) == 1


@pytest.mark.parametrize("wrong", [{"collection": "nowhere"}, {"collection": "shop", "adapter": "nothing"}])
def test_an_agent_of_what_does_not_exist_is_refused(library: AgentLibrary, shop: Collection, wrong: dict[str, str]) -> None:
    with pytest.raises(NotFoundError):
        library.create(AgentRequest(name="clerk", **wrong))
    assert library.list() == []


def test_when_the_faqs_cannot_be_taken_in_nothing_is_left_behind(
    repositories: Repositories, settings: Settings, answers: ScriptedAnswers, shop: Collection
) -> None:
    def broken() -> None:
        raise EmbeddingError("no encoder")

    index = KnowledgeIndex(repositories, broken, FaissStore, settings)  # type: ignore[arg-type]
    library = AgentLibrary(repositories, index, answers, lambda _: FakeChatModel(), settings)
    with pytest.raises(EmbeddingError):
        library.create(AgentRequest(name="clerk", collection="shop"))
    assert library.list() == []


def test_deleting_an_agent_takes_its_leads_and_conversations_along(
    library: AgentLibrary, repositories: Repositories, shop: Collection
) -> None:
    library.create(AgentRequest(name="clerk", collection="shop"))
    library.create(AgentRequest(name="other", collection="shop"))
    library.agent("clerk").reply("I'm Ana")
    library.agent("other").reply("I'm Bob")
    library.delete("clerk")
    assert [lead.fields for lead in repositories.leads.list()] == [{"name": "Bob"}]
    assert len(repositories.conversations.list("agent")) == 1
    with pytest.raises(NotFoundError):
        library.agent("clerk")
    with pytest.raises(NotFoundError):
        library.delete("clerk")


# --- the factory -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def parts(repositories: Repositories) -> Parts:
    models: dict[str | None, ChatModel] = {None: FakeChatModel(name="default"), "big": FakeChatModel(name="big")}

    def get(name: str | None) -> ChatModel:
        if name is not None and "/" in name:
            return FakeChatModel(name=name)
        if name not in models:
            raise NotFoundError(f"no model {name!r}")
        return models[name]

    return Parts(get, repositories.adapters, offline=False)


def config_of(model: str | None = None, adapter: str | None = None) -> AgentConfig:
    return AgentConfig(new_id(), "clerk", "", "c", ("name",), utc_now(), provider_of(model), model, adapter)


def test_the_provider_is_part_of_the_models_name() -> None:
    assert [provider_of(name) for name in (None, "big", "openai/gpt-4o", "groq/llama")] == ["local", "local", "openai", "groq"]


def test_an_agent_thinks_with_the_model_that_was_configured(parts: Parts) -> None:
    assert make_mind(config_of(), parts).is_default
    mind = make_mind(config_of("big"), parts)
    assert (mind.chat.name, mind.model, mind.notice) == ("big", "big", None)


def test_a_provider_with_a_key_is_used(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a secret")
    mind = make_mind(config_of("openai/gpt-4o"), parts)
    assert (mind.chat.name, mind.model, mind.notice) == ("openai/gpt-4o", "openai/gpt-4o", None)
    assert "a secret" not in repr(mind)


@pytest.mark.parametrize("model", ["openai/gpt-4o", "gone", "mystery/model"])
def test_what_cannot_be_had_is_replaced_by_the_default_model_with_a_notice(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    mind = make_mind(config_of(model), parts)
    assert mind.is_default
    assert (mind.notice or "").endswith("Answered by default instead.")


def test_an_adapter_of_another_base_is_not_used(parts: Parts, repositories: Repositories, settings: Settings) -> None:
    path = settings.adapters_dir / "a.gguf"
    repositories.adapters.add(Adapter(new_id(), "tuned", "default", path, utc_now()))
    mind = make_mind(config_of(adapter="tuned"), Parts(lambda _: FakeChatModel(name="default"), parts.adapters, True))
    assert mind.adapter == Path(path)
    assert make_mind(config_of("big", "tuned"), parts).notice is not None


def test_without_a_default_model_there_is_nothing_to_fall_back_to(repositories: Repositories) -> None:
    def none(_: str | None) -> ChatModel:
        raise ConfigError("no model at all")

    with pytest.raises(ConfigError):
        make_mind(config_of(), Parts(none, repositories.adapters, True))
