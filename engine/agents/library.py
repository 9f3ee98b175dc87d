"""The agents of a home: made, listed, found, deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.agents.agent import Collaborators, SmartAgent
from engine.agents.answering import Answers
from engine.agents.factory import ModelFor, Parts, provider_of
from engine.config import Settings
from engine.db.repositories import Repositories
from engine.domain import AgentConfig, new_id, utc_now
from engine.errors import ConflictError
from engine.knowledge.index import KnowledgeIndex
from engine.observability.tracing import span, traced
from engine.requests import AgentRequest
from engine.training.adapters.offering import Offering


def _nobody() -> None:
    """A new lead that nobody counts."""


class AgentLibrary:
    """Makes agents and gives them out. Safe to use from any thread."""

    def __init__(
        self,
        repositories: Repositories,
        index: KnowledgeIndex,
        rag: Answers,
        model: ModelFor,
        settings: Settings,
        *,
        lead_stored: Callable[[], None] = _nobody,
        offering: Offering | None = None,
    ) -> None:
        """Nothing is loaded yet.

        Args:
            repositories: configurations, conversations, leads.
            index: takes in an agent's FAQs.
            rag: answers from them.
            model: gives the chat model of a name; the default one for None.
            settings: whether remotes are allowed, and how long an answer may take.
            lead_stored: told of each new lead, such as to count it.
            offering: says which adapters may answer; by default, all that are served as they were trained.
        """
        self._repositories = repositories
        self._offering = offering or Offering()
        self._index = index
        self._collaborators = Collaborators(
            repositories,
            rag,
            Parts(model, repositories.adapters, settings.offline, self._offering),
            settings.answer_timeout_s,
            lead_stored,
        )

    @traced("agent.create")
    def create(self, request: AgentRequest) -> AgentConfig:
        """Take an agent's FAQs in and save its configuration, last: what fails before that leaves nothing behind.

        Raises:
            ConflictError: the name is taken, or the adapter differs from what was trained, and is not asked for as it is.
            AdapterError: its base has changed.
            NotFoundError: no such collection or adapter.
            EmbeddingError, StorageError, VectorStoreError: the FAQs could not be taken in.
        """
        if any(agent.name == request.name for agent in self._repositories.agents.list()):
            raise ConflictError(
                f"there is an agent {request.name!r} already", hint="Choose another name, or delete that agent."
            )
        collection = self._repositories.collections.by_name(request.collection)
        if request.adapter is not None:
            adapter = self._repositories.adapters.by_name(request.adapter)
            self._offering.require(adapter, allow_mismatch=request.allow_mismatch)
        with span("agent.ingest"):
            self._index.sync(collection.id)
        config = AgentConfig(
            id=new_id(),
            name=request.name,
            instructions=request.instructions,
            collection_id=collection.id,
            fields=tuple(dict.fromkeys(request.fields)),
            created_at=utc_now(),
            provider=provider_of(request.model),
            model=request.model,
            adapter=request.adapter,
        )
        with span("agent.save"):
            self._repositories.agents.add(config)
        return config

    def agent(self, name: str) -> SmartAgent:
        """The agent of this name.

        Raises:
            NotFoundError: there is none.
        """
        return SmartAgent(self._repositories.agents.by_name(name), self._collaborators)

    def list(self) -> Sequence[AgentConfig]:
        """All agents, by name."""
        return self._repositories.agents.list()

    def delete(self, name: str) -> None:
        """Remove an agent together with its conversations and leads; export the leads first if they are still wanted.

        Raises:
            NotFoundError: there is no such agent.
        """
        self._repositories.agents.delete(self._repositories.agents.by_name(name).id)
