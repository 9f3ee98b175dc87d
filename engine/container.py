"""The engine as the pages and the command line see it: every operation of the product, and nothing else.

Long work is submitted as a job and done by the worker of any process that has the home open.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from pydantic import BaseModel

from engine import requests
from engine.chat import REPEAT_PENALTY
from engine.domain import AgentConfig, Answer, AnswerDelta, CancelToken, Collection, Completion, FaqPair, FaqStatus, Job, Lead
from engine.errors import ConflictError, NexusError
from engine.llm.base import GenerationParams
from engine.observability.metrics import Target
from engine.requests import StagedFile, checked
from engine.wiring import Wiring

if TYPE_CHECKING:
    from engine.agents import AgentDelta
    from engine.chat import ChatDelta
    from engine.compare import CompareEvent

Preset = Literal["quick", "balanced", "thorough"]

ANSWER_TOKENS = 256
"""Longest answer of each side of a comparison, in tokens."""


class Engine(Wiring):
    """Everything that AI Nexus does, over one home folder."""

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
        if self.has("worker"):
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
        for delta in self.chats.stream(request, cancel=cancel):
            if delta.completion is not None:
                self._count("finetuned" if delta.completion.adapter else "base", delta.completion)
            yield delta

    def ask(
        self,
        question: str,
        collection: str,
        *,
        model: str | None = None,
        adapter: str | None = None,
        cancel: CancelToken | None = None,
        keep: bool = True,
    ) -> Iterator[AnswerDelta]:
        """Answer a question from a collection, piece by piece, with citations; with `keep`, both are stored (`asked`).

        The index is brought up to date first; that is quick when nothing has changed.

        Raises:
            InputError: the question is empty or too long.
            NotFoundError: no such collection, model or adapter.
        """
        request = checked(requests.AskRequest, question=question, collection=collection, model=model, adapter=adapter)
        target = self.collection(request.collection)
        self.index.sync(target.id, cancel=cancel)
        for delta in self.rag.stream(
            request.question,
            target.id,
            model=request.model,
            adapter=self._adapter_path(request.adapter),
            cancel=cancel,
            timeout_s=self.settings.answer_timeout_s,
        ):
            if delta.answer is not None:
                self._count("rag", delta.answer)
                if keep:
                    self.asked.keep(request.question, request.collection, delta.answer)
            yield delta

    def compare(
        self, question: str, collection: str, adapter: str | None = None, *, model: str | None = None
    ) -> Iterator[CompareEvent]:
        """Ask base, fine-tuned and RAG the same question at once; see `engine.compare.compare`.

        Raises:
            InputError: the question is empty or too long.
            NotFoundError: no such collection, model or adapter.
        """
        from engine.compare import compare, model_target

        request = checked(requests.AskRequest, question=question, collection=collection, model=model, adapter=adapter)
        self.collection(request.collection)
        tuned = None if adapter is None else self.repositories.adapters.by_name(adapter)
        base = self.model(request.model or (tuned.base_model if tuned else None))
        params = GenerationParams(max_tokens=ANSWER_TOKENS, timeout_s=self.settings.compare_timeout_s)
        targets = {"base": model_target(base, request.question, replace(params, repeat_penalty=REPEAT_PENALTY))}
        if tuned is not None:
            targets["finetuned"] = model_target(base, request.question, replace(params, adapter=tuned.path))
        targets["rag"] = lambda cancel: self.ask(
            request.question, request.collection, model=base.name, cancel=cancel, keep=False
        )
        for event in compare(targets, self.settings.compare_timeout_s):
            if event.answer is not None and event.target != "rag":  # `ask` has counted that one
                self._count(cast(Target, event.target), event.answer)
            yield _with_adapter_name(event, adapter)

    def agent_reply(
        self, agent: str, message: str, *, conversation: str | None = None, cancel: CancelToken | None = None
    ) -> Iterator[AgentDelta]:
        """Let an agent answer a customer's message, piece by piece; leads are stored on the way.

        Raises:
            InputError: the message is empty or too long.
            NotFoundError: no such agent or conversation.
        """
        request = checked(requests.ChatRequest, message=message, conversation=conversation)
        for delta in self.agents.agent(agent).stream(request.message, request.conversation, cancel=cancel):
            if delta.reply is not None:
                self.metrics.answered("agent", delta.reply.timings.total_s)
            yield delta

    def _count(self, target: Target, answer: Answer | Completion) -> None:
        outcome = answer.finish_reason.value if isinstance(answer, Completion) else "found" if answer.found else "not_found"
        first = answer.timings.first_token_s
        self.metrics.generation(answer.model, target, outcome, usage=answer.usage, first_token_s=first)
        self.metrics.answered(target, answer.timings.total_s)

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


def _with_adapter_name(event: CompareEvent, name: str | None) -> CompareEvent:
    """The event with the adapter's name in place of its path."""
    if event.answer is None or event.answer.adapter is None:
        return event
    return replace(event, answer=replace(event.answer, adapter=name))
