"""The composition root: `Engine(settings)` wires every part; the pages and the command line call it and nothing else.

Parts are made when they are first used, so that a command pays only for what it needs. Long work is submitted as a job and
done by the worker of any process that has the home open.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Literal, Self

from pydantic import BaseModel

from engine import requests
from engine.config import Settings
from engine.db.repositories import Repositories
from engine.db.session import Database
from engine.domain import AgentConfig, CancelToken, Collection, FaqPair, FaqStatus, Job, Lead
from engine.errors import ConflictError, NexusError
from engine.handlers import HandlerContext, handlers
from engine.jobs import JobQueue, Worker
from engine.observability.metrics import Metrics
from engine.observability.tracing import configure_tracing
from engine.requests import StagedFile, checked
from engine.uploads import Uploads

if TYPE_CHECKING:
    from engine.agents import AgentDelta, AgentLibrary
    from engine.chat import Chat, ChatDelta
    from engine.compare import CompareEvent
    from engine.embedding.base import Embedder
    from engine.faq.review import FaqReview
    from engine.knowledge import DocumentLibrary, KnowledgeIndex
    from engine.llm.base import ChatModel
    from engine.llm.registry import ChatModels
    from engine.model_registry import ModelRegistry
    from engine.observability.traces import TraceLog
    from engine.rag import AnswerDelta, RagPipeline

Preset = Literal["quick", "balanced", "thorough"]


class Engine:
    """Everything that AI Nexus does, over one home folder. Safe to call from any thread; close it at the end."""

    def __init__(self, settings: Settings) -> None:
        """Open the home, made if absent.

        Raises:
            StorageError: the home cannot be written.
        """
        self.settings = settings
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
        """Begin to work on jobs, and serve metrics if that is switched on."""
        self.worker.start()
        if self.settings.metrics_port is not None:
            self.metrics.serve(self.settings.metrics_port)

    def close(self) -> None:
        """Interrupt running jobs (they go on at the next start), unload models, write what is left. May be called twice."""
        self._closing.cancel()
        if "worker" in self.__dict__:
            self.worker.stop()
        if "models" in self.__dict__:
            self.models.close()
        self._tracing.close()
        self.database.close()

    # --- parts ---------------------------------------------------------------------------------------------------------

    @cached_property
    def worker(self) -> Worker:
        """Runs the jobs of this home on threads of this process."""
        return Worker(
            self.jobs,
            handlers(HandlerContext.of(self)),
            heartbeat_s=self.settings.job_heartbeat_s,
            observer=lambda job, seconds: self.metrics.job_ended(job.kind, job.state.value, seconds),
        )

    @cached_property
    def registry(self) -> ModelRegistry:
        """What is in the models folder."""
        from engine.model_registry import ModelRegistry

        return ModelRegistry(self.settings.models_dir)

    @cached_property
    def models(self) -> ChatModels:
        """The chat models that are loaded."""
        from engine.llm.registry import ChatModels

        return ChatModels(self.settings, self.registry.path)

    def model(self, name: str | None = None) -> ChatModel:
        """The chat model of this name, the default one for None.

        Raises:
            NotFoundError: there is no such model.
        """
        return self.models.get(name or self.settings.default_model)

    @cached_property
    def embedder(self) -> Embedder:
        """The sentence encoder."""
        from engine.embedding.registry import create_embedder

        return create_embedder("sentence-transformers", self.settings.models_dir / self.settings.default_encoder)

    @cached_property
    def uploads(self) -> Uploads:
        """Files that wait for their job."""
        return Uploads(self.settings)

    @cached_property
    def documents(self) -> DocumentLibrary:
        """Documents and the collections that hold them."""
        from engine.knowledge import DocumentLibrary

        return DocumentLibrary(self.repositories, self.settings)

    @cached_property
    def index(self) -> KnowledgeIndex:
        """The vector indexes of all collections."""
        from engine.knowledge import KnowledgeIndex
        from engine.vectorstore.registry import open_store

        return KnowledgeIndex(self.repositories, lambda: self.embedder, open_store, self.settings)

    @cached_property
    def rag(self) -> RagPipeline:
        """Answers from documents."""
        from engine.rag import RagPipeline

        return RagPipeline(self.index, lambda: self.embedder, self.model)

    @cached_property
    def chats(self) -> Chat:
        """Conversations with models."""
        from engine.chat import Chat

        return Chat(
            self.repositories.conversations, self.repositories.adapters, self.model, timeout_s=self.settings.answer_timeout_s
        )

    @cached_property
    def agents(self) -> AgentLibrary:
        """Smart agents."""
        from engine.agents import AgentLibrary

        return AgentLibrary(self.repositories, self.index, self.rag, self.model, self.settings)

    @cached_property
    def review(self) -> FaqReview:
        """Review of FAQ pairs."""
        from engine.faq.review import FaqReview

        return FaqReview(self.repositories)

    @cached_property
    def traces(self) -> TraceLog:
        """What was recorded of past work."""
        from engine.observability.traces import TraceLog

        return TraceLog(self.settings.events_dir)

    # --- jobs ----------------------------------------------------------------------------------------------------------

    def extract(
        self,
        files: Sequence[Path | tuple[str, BinaryIO]],
        collection: str,
        *,
        model: str | None = None,
        max_pairs: int | None = None,
    ) -> Job:
        """Submit a job that reads files into a collection (made if absent) and extracts FAQ pairs from them.

        Args:
            files: paths, or uploads as (name, open binary file).
            collection: the collection's name.
            model: chat model; None: the default one.
            max_pairs: stop after so many pairs.

        Raises:
            InputError: a name is not allowed, or a file is missing, empty or too large.
            NotFoundError: there is no such model.
            StorageError: no room.
        """
        options = checked(requests.ExtractionOptions, collection=collection, model=model, max_pairs=max_pairs)
        self._known_model(model)
        staged: list[StagedFile] = []
        try:
            for file in files:
                staged.append(self.uploads.stage_file(file) if isinstance(file, Path) else self.uploads.stage(*file))
            request = checked(requests.ExtractionRequest, **options.model_dump(), files=tuple(staged))
            return self._submit("extract", request)
        except NexusError:
            for waiting in staged:
                self.uploads.discard(waiting)
            raise

    def finetune(
        self,
        name: str,
        *,
        collection: str | None = None,
        dataset: Path | None = None,
        base: str | None = None,
        preset: Preset = "quick",
        holdout: float = 0.1,
    ) -> Job:
        """Submit a job that fine-tunes a LoRA adapter on a collection's pairs or on a dataset file.

        Args:
            name: the adapter's name; must be free.
            collection: train on its approved pairs.
            dataset: train on this JSONL or CSV file instead.
            base: base model; None: the default one.
            preset: how long and thoroughly to train.
            holdout: share of a collection's pairs that is kept for evaluation.

        Raises:
            InputError: a value is not allowed.
            ConflictError: the name is taken, or the collection has no pairs.
            NotFoundError: no such collection or model.
        """
        self._known_model(base)
        if self.repositories.adapters.exists(name):
            raise ConflictError(f"there is an adapter {name!r} already", hint="Choose another name.")
        if collection is not None and self.repositories.collections.by_name(collection).faq_count == 0:
            raise ConflictError(f"the collection {collection!r} has no FAQ pairs", hint="Extract some first.")
        request = checked(
            requests.FinetuneRequest,
            name=name,
            collection=collection,
            dataset=None if dataset is None else self.uploads.stage_file(dataset),
            base=base,
            preset=preset,
            holdout=holdout,
        )
        return self._submit("finetune", request, lock="gpu")

    def evaluate(
        self,
        targets: Sequence[str],
        *,
        collection: str | None = None,
        dataset: Path | None = None,
        model: str | None = None,
        limit: int | None = None,
    ) -> Job:
        """Submit a job that scores targets (`base`, `rag`, `adapter:NAME`) on held-out pairs or on a dataset file.

        Raises:
            InputError: a value is not allowed.
            NotFoundError: no such collection, model or adapter.
        """
        self._known_model(model)
        for target in targets:
            if target.startswith("adapter:"):
                self.repositories.adapters.by_name(target.removeprefix("adapter:"))
        if collection is not None:
            self.repositories.collections.by_name(collection)
        request = checked(
            requests.EvaluationRequest,
            collection=collection,
            dataset=None if dataset is None else self.uploads.stage_file(dataset),
            targets=tuple(targets),
            model=model,
            limit=limit,
        )
        return self._submit("evaluate", request)

    def ingest(self, collection: str) -> Job:
        """Submit a job that brings a collection's vector index up to date.

        Raises:
            NotFoundError: there is no such collection.
        """
        self.repositories.collections.by_name(collection)
        return self._submit("ingest", checked(requests.IngestionRequest, collection=collection))

    def watch(self, job_id: str, *, every_s: float = 0.2) -> Iterator[Job]:
        """Yield a job whenever its row has changed, until it has ended.

        Raises:
            NotFoundError: there is no such job.
        """
        last: Job | None = None
        while not self._closing.cancelled:
            job = self.jobs.get(job_id)
            if job != last:
                yield job
            if job.state.ended:
                return
            last = job
            time.sleep(every_s)

    def _submit(self, kind: str, request: BaseModel, *, lock: str | None = None) -> Job:
        job = self.jobs.submit(kind, request.model_dump(mode="json"), lock=lock)
        if "worker" in self.__dict__:
            self.worker.notify()
        return job

    def _known_model(self, name: str | None) -> None:
        if name is not None and "/" not in name:
            self.registry.path(name)

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

    # --- answers -------------------------------------------------------------------------------------------------------

    def chat(
        self,
        message: str,
        *,
        model: str | None = None,
        adapter: str | None = None,
        conversation: str | None = None,
        cancel: CancelToken | None = None,
    ) -> Iterator[ChatDelta]:
        """Answer a chat message, piece by piece; see `engine.chat.Chat.stream`."""
        request = checked(requests.ChatRequest, message=message, model=model, adapter=adapter, conversation=conversation)
        yield from self.chats.stream(request, cancel=cancel)

    def ask(
        self,
        question: str,
        collection: str,
        *,
        model: str | None = None,
        adapter: str | None = None,
        cancel: CancelToken | None = None,
    ) -> Iterator[AnswerDelta]:
        """Answer a question from a collection, piece by piece, with citations.

        The index is brought up to date first; that is quick when nothing has changed.

        Raises:
            InputError: the question is empty or too long.
            NotFoundError: no such collection, model or adapter.
        """
        request = checked(requests.AskRequest, question=question, collection=collection, model=model, adapter=adapter)
        target = self.collection(request.collection)
        self.index.sync(target.id, cancel=cancel)
        yield from self.rag.stream(
            request.question,
            target.id,
            model=request.model,
            adapter=self._adapter_path(request.adapter),
            cancel=cancel,
            timeout_s=self.settings.answer_timeout_s,
        )

    def compare(
        self, question: str, collection: str, adapter: str | None = None, *, model: str | None = None
    ) -> Iterator[CompareEvent]:
        """Ask base, fine-tuned and RAG the same question at once; see `engine.compare.compare`.

        Raises:
            InputError: the question is empty or too long.
            NotFoundError: no such collection, model or adapter.
        """
        from engine.compare import compare
        from engine.comparison_targets import targets

        request = checked(requests.AskRequest, question=question, collection=collection, model=model, adapter=adapter)
        yield from compare(request.question, targets(self, request), self.settings.compare_timeout_s)

    def agent_reply(
        self, agent: str, message: str, *, conversation: str | None = None, cancel: CancelToken | None = None
    ) -> Iterator[AgentDelta]:
        """Let an agent answer a customer's message, piece by piece; leads are stored on the way.

        Raises:
            InputError: the message is empty or too long.
            NotFoundError: no such agent or conversation.
        """
        request = checked(requests.ChatRequest, message=message, conversation=conversation)
        yield from self.agents.agent(agent).stream(request.message, request.conversation, cancel=cancel)

    def _adapter_path(self, name: str | None) -> Path | None:
        return None if name is None else self.repositories.adapters.by_name(name).path

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
    ) -> AgentConfig:
        """Create an agent and ingest its FAQs; nothing is left behind when that fails.

        Raises:
            InputError: a name or field is not allowed.
            ConflictError: the name is taken.
            NotFoundError: no such collection, model or adapter.
        """
        self._known_model(model)
        self._adapter_path(adapter)
        request = checked(
            requests.AgentRequest,
            name=name,
            collection=collection,
            instructions=instructions,
            fields=tuple(fields),
            model=model,
            adapter=adapter,
        )
        return self.agents.create(request)

    def leads(self, agent: str | None = None) -> Sequence[Lead]:
        """All leads, or those of an agent, newest first.

        Raises:
            NotFoundError: there is no such agent.
        """
        repositories = self.repositories
        return repositories.leads.list(None if agent is None else repositories.agents.by_name(agent).id)
