"""What handlers need of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engine.config import Settings
from engine.db.repositories import Repositories
from engine.machine import Machine
from engine.observability.metrics import Metrics
from engine.uploads import Uploads

if TYPE_CHECKING:
    from engine.embedding.base import Embedder
    from engine.knowledge.documents import DocumentLibrary
    from engine.knowledge.index import KnowledgeIndex
    from engine.llm.base import ChatModel
    from engine.llm.llamacpp.weights.copies import WeightCopies
    from engine.llm.registry import ChatModels
    from engine.model_registry.registry import ModelRegistry
    from engine.rag import RagPipeline
    from engine.training.adapters.offering import Offering


class Parts(Protocol):
    """The engine as its handlers see it. Parts are made when they are first used."""

    @property
    def settings(self) -> Settings:
        """The settings."""
        ...

    @property
    def repositories(self) -> Repositories:
        """What is stored."""
        ...

    @property
    def uploads(self) -> Uploads:
        """Files that wait for their job."""
        ...

    @property
    def metrics(self) -> Metrics:
        """Counters."""
        ...

    @property
    def documents(self) -> DocumentLibrary:
        """Documents of collections."""
        ...

    @property
    def index(self) -> KnowledgeIndex:
        """Vector indexes."""
        ...

    @property
    def embedder(self) -> Embedder:
        """The sentence encoder."""
        ...

    @property
    def registry(self) -> ModelRegistry:
        """Model files."""
        ...

    @property
    def weights(self) -> WeightCopies:
        """Copies of models in faster formats."""
        ...

    @property
    def offering(self) -> Offering:
        """Which adapters may answer."""
        ...

    @property
    def machine(self) -> Machine:
        """What this machine has."""
        ...

    @property
    def models(self) -> ChatModels:
        """The chat models that are loaded."""
        ...

    @property
    def rag(self) -> RagPipeline:
        """Answers from documents."""
        ...

    def model(self, name: str | None = None) -> ChatModel:
        """A chat model; the default one for None."""
        ...
