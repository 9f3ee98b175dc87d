"""The engine as the pages and the command line see it: every operation of the product, and nothing else.

Long work is submitted as a job and done by the worker of any process that has the home open.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine import requests
from engine.answering import Answering
from engine.domain import AgentConfig, Collection, FaqPair, FaqStatus, Lead
from engine.model_files import ModelFiles
from engine.planning import Planning
from engine.requests import checked

if TYPE_CHECKING:
    from engine.faq.importing import Imported
    from engine.knowledge.proof import Proof


class Engine(Answering, Planning, ModelFiles):
    """Everything that AI Nexus does, over one home folder."""

    # --- collections and review ----------------------------------------------------------------------------------------

    def collections(self) -> Sequence[Collection]:
        """All collections, by name."""
        return self.repositories.collections.list()

    def collection(self, name: str) -> Collection:
        """The collection of this name.

        Raises:
            NotFoundError: there is none.
        """
        return self.repositories.collections.by_name(name)

    def faqs(self, collection: str, status: FaqStatus | None = None) -> Sequence[FaqPair]:
        """The pairs of a collection, in the order in which they were made.

        Raises:
            NotFoundError: there is no such collection.
        """
        return self.repositories.faqs.list(self.collection(collection).id, status)

    def proof(self, pair: FaqPair) -> Proof | None:
        """The page that proves a pair, with a picture where there is one; see `engine.knowledge.proof.proof_of`."""
        from engine.knowledge.proof import proof_of

        return proof_of(pair, self.repositories, self.documents)

    def import_pairs(self, path: Path, collection: str) -> Imported:
        """Take pairs from a CSV or JSONL file into a collection, made if absent; see `engine.faq.importing.import_pairs`.

        Raises:
            InputError: the file or the name makes no sense.
            EmbeddingError: the encoder failed.
        """
        from engine.faq.importing import import_pairs

        name = checked(requests.IngestionRequest, collection=collection).collection
        return import_pairs(path, name, self.repositories, self.embedder)

    # --- agents --------------------------------------------------------------------------------------------------------

    def create_agent(
        self,
        name: str,
        collection: str,
        *,
        instructions: str = "",
        fields: Sequence[str] = requests.DEFAULT_FIELDS,
        model: str | None = None,
        adapter: str | None = None,
        allow_mismatch: bool = False,
    ) -> AgentConfig:
        """Create an agent and ingest its FAQs; nothing is left behind when that fails.

        Raises:
            InputError: a name or field is not allowed.
            ConflictError: the name is taken.
            NotFoundError: no such collection, model or adapter.
        """
        self._known_model(model)
        request = checked(
            requests.AgentRequest,
            name=name,
            collection=collection,
            instructions=instructions,
            fields=tuple(fields),
            model=model,
            adapter=adapter,
            allow_mismatch=allow_mismatch,
        )
        base, _ = self._responder(request)
        return self.agents.create(request.model_copy(update={"model": base}))

    def leads(self, agent: str | None = None) -> Sequence[Lead]:
        """All leads, or those of an agent, newest first.

        Raises:
            NotFoundError: there is no such agent.
        """
        repositories = self.repositories
        return repositories.leads.list(None if agent is None else repositories.agents.by_name(agent).id)
