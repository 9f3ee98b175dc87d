"""The parts of an engine and how they are put together. `engine.container` offers what can be done with them.

A part is made when it is first used, so that a command pays only for what it needs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar, cast, overload

from engine.cancellation import CancelToken
from engine.config import Settings
from engine.db.repositories import Repositories
from engine.db.session import Database
from engine.handlers import handlers
from engine.jobs import JobQueue, Worker
from engine.machine import Machine
from engine.observability.logging import configure_logging
from engine.observability.metrics import Metrics
from engine.observability.tracing import configure_tracing
from engine.uploads import Uploads

if TYPE_CHECKING:
    from engine.agents import AgentLibrary
    from engine.asked import AskedQuestions
    from engine.chat import Chat
    from engine.embedding.base import Embedder
    from engine.faq.kept_questions import KeptQuestions
    from engine.faq.review import FaqReview
    from engine.knowledge.documents import DocumentLibrary
    from engine.knowledge.index import KnowledgeIndex
    from engine.llm.base import ChatModel
    from engine.llm.llamacpp.weights.copies import WeightCopies
    from engine.llm.registry import ChatModels
    from engine.model_registry.registry import ModelRegistry
    from engine.observability.traces import TraceLog
    from engine.rag import RagPipeline
    from engine.training.adapters.offering import Offering


T = TypeVar("T")

LOCAL = "local/"
"""May stand before the name of a model of this machine."""


class part(Generic[T]):  # noqa: N801  (used as a decorator)
    """A property that is made once, when it is first read, by whichever thread reads it first."""

    def __init__(self, make: Callable[[Wiring], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type[Wiring], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, wiring: None, owner: type[Wiring]) -> part[T]: ...

    @overload
    def __get__(self, wiring: Wiring, owner: type[Wiring]) -> T: ...

    def __get__(self, wiring: Wiring | None, owner: type[Wiring]) -> T | part[T]:
        """The value, made if need be."""
        if wiring is None:
            return self
        with wiring.lock:
            if self._name not in wiring.made:
                wiring.made[self._name] = self._make(wiring)
            return cast(T, wiring.made[self._name])


def _check_model_file(path: Path) -> None:
    """Whether llama.cpp may be given a file; imported here because most commands take in no model."""
    from engine.llm.llamacpp.model_files.model_check import check_model_file

    check_model_file(path)


class Wiring:
    """All parts over one home folder. Safe to use from any thread; close it at the end."""

    def __init__(self, settings: Settings, *, log_to_stderr: bool = False) -> None:
        """Open the home, made if absent.

        Args:
            settings: where things live and what is allowed.
            log_to_stderr: show warnings there as well as in the log file.

        Raises:
            StorageError: the home cannot be written.
        """
        self.lock = threading.RLock()
        self.made: dict[str, object] = {}
        self.settings = settings
        configure_logging(settings, stderr=log_to_stderr)
        self.database = Database(settings.database)
        self.repositories = Repositories.over(self.database)
        self.jobs = JobQueue(self.database, stale_s=settings.job_stale_s)
        self.metrics = Metrics()
        self._tracing = configure_tracing(settings)
        self._closing = CancelToken()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Begin to work on jobs, and serve metrics if that is switched on.

        Raises:
            ConfigError: the metrics port is taken; jobs are worked on all the same.
        """
        self.documents.remove_leftovers()
        self.uploads.remove_leftovers(self.jobs.staged_paths())
        self.worker.start()
        if self.settings.metrics_port is not None:
            self.metrics.serve(self.settings.metrics_port)

    def close(self) -> None:
        """Interrupt running jobs (they go on at the next start), unload models, write what is left. May be called twice."""
        self._closing.cancel()
        if self.has("worker"):
            self.worker.stop()
        if self.has("index"):
            self.index.close()
        if self.has("models"):
            self.models.close()
        self._tracing.close()
        self.database.close()

    def has(self, name: str) -> bool:
        """Whether a part was made."""
        return name in self.made

    @part
    def worker(self) -> Worker:
        """Runs the jobs of this home on threads of this process."""
        return Worker(
            self.jobs,
            handlers(self),
            heartbeat_s=self.settings.job_heartbeat_s,
            observer=self.metrics,
        )

    @part
    def machine(self) -> Machine:
        """What this machine has."""
        return Machine(self.settings.home)

    @part
    def registry(self) -> ModelRegistry:
        """What is in the models folder."""
        from engine.model_registry.file_hashes import HASHES, FileHashes
        from engine.model_registry.registry import ModelRegistry

        settings = self.settings
        defaults = settings.default_model, settings.default_encoder
        hashes = FileHashes(settings.cache_dir / HASHES)
        return ModelRegistry(settings.models_dir, defaults=defaults, check=_check_model_file, hashes=hashes)

    @part
    def weights(self) -> WeightCopies:
        """The copies of models in formats that this machine computes faster."""
        from engine.llm.llamacpp.weights.copies import WeightCopies

        return WeightCopies(self.settings.cache_dir, self.machine)

    @part
    def models(self) -> ChatModels:
        """The chat models that are loaded."""
        from engine.llm.registry import ChatModels

        return ChatModels(self.settings, self.registry.path, self.repositories.spending, self.machine)

    def model(self, name: str | None = None) -> ChatModel:
        """The chat model of this name, the default one for None.

        A local model has one instance, however its name is written.

        Raises:
            NotFoundError: there is no such model.
        """
        wanted = (name or self.settings.default_model).removeprefix(LOCAL)
        return self.models.get(wanted if "/" in wanted else self.registry.info(wanted).name)

    @part
    def offering(self) -> Offering:
        """Which adapters may answer."""
        from engine.llm.llamacpp.long_rope import has_long_positions
        from engine.training.adapters.offering import Offering

        tokens = self.settings.context_tokens
        return Offering(self.registry.sha256, lambda name: has_long_positions(self.registry.path(name), tokens))

    @part
    def embedder(self) -> Embedder:
        """The sentence encoder."""
        from engine.embedding.registry import create_embedder

        return create_embedder(self.settings.default_encoder, self.settings.models_dir)

    @part
    def uploads(self) -> Uploads:
        """Files that wait for their job."""
        return Uploads(self.settings)

    @part
    def documents(self) -> DocumentLibrary:
        """Documents and the collections that hold them."""
        from engine.knowledge.documents import DocumentLibrary
        from engine.knowledge.sizing import ModelSizings

        return DocumentLibrary(self.repositories, self.settings, ModelSizings(self.model))

    @part
    def index(self) -> KnowledgeIndex:
        """The vector indexes of all collections."""
        from engine.knowledge.index import KnowledgeIndex
        from engine.vectorstore.registry import open_store

        return KnowledgeIndex(self.repositories, lambda: self.embedder, partial(open_store, "faiss"), self.settings)

    @part
    def rag(self) -> RagPipeline:
        """Answers from documents."""
        from engine.rag import RagPipeline

        return RagPipeline(self.index, lambda: self.embedder, self.model, parameters=self._parameters)

    def _parameters(self, name: str | None) -> int:
        """The size of a model; 0 where a provider keeps it to itself."""
        wanted = (name or self.settings.default_model).removeprefix(LOCAL)
        return 0 if "/" in wanted else self.registry.info(wanted).parameters

    @part
    def chats(self) -> Chat:
        """Conversations with models."""
        from engine.chat import Chat

        return Chat(
            self.repositories.conversations,
            self.repositories.adapters,
            self.model,
            timeout_s=self.settings.answer_timeout_s,
            offering=self.offering,
        )

    @part
    def asked(self) -> AskedQuestions:
        """Questions that were asked of collections, and their answers."""
        from engine.asked import AskedQuestions

        return AskedQuestions(self.repositories.conversations)

    @part
    def agents(self) -> AgentLibrary:
        """Smart agents."""
        from engine.agents import AgentLibrary

        return AgentLibrary(
            self.repositories,
            self.index,
            self.rag,
            self.model,
            self.settings,
            lead_stored=self.metrics.lead_stored,
            offering=self.offering,
        )

    @part
    def review(self) -> FaqReview:
        """Review of FAQ pairs."""
        from engine.faq.review import FaqReview

        return FaqReview(
            self.repositories, self.metrics.faq_pairs, asks_the_same=lambda pair: self.kept_questions.best_like(pair)
        )

    @part
    def kept_questions(self) -> KeptQuestions:
        """Whether a collection has a question already."""
        from engine.faq.kept_questions import KeptQuestions

        return KeptQuestions(self.repositories.faqs, lambda: self.embedder)

    @part
    def traces(self) -> TraceLog:
        """What was recorded of past work."""
        from engine.observability.traces import TraceLog

        return TraceLog(self.settings.events_dir)
