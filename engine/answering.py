"""What an engine answers: in conversations, from documents, side by side, and as an agent.

Lives here: checking what is asked, choosing who answers, counting answers and failures. How an answer is made is in
`engine.chat`, `engine.rag`, `engine.compare` and `engine.agents`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from engine import requests
from engine.adapters import AdapterFiles
from engine.cancellation import CancelToken
from engine.chat import REPEAT_PENALTY
from engine.domain import Adapter, Answer, AnswerDelta, Completion
from engine.errors import NexusError
from engine.llm.base import GenerationParams
from engine.observability.metrics import Target
from engine.observability.tracing import span, traced
from engine.requests import checked
from engine.training.adapters.offering import mismatch

if TYPE_CHECKING:
    from engine.agents import AgentDelta
    from engine.chat import ChatDelta
    from engine.compare import CompareEvent

ANSWER_TOKENS = 256
"""Longest answer of each side of a comparison, in tokens."""


class Answering(AdapterFiles):
    """The operations of an engine that give answers."""

    def chat(
        self,
        message: str,
        *,
        model: str | None = None,
        adapter: str | None = None,
        conversation: str | None = None,
        cancel: CancelToken | None = None,
        allow_mismatch: bool = False,
    ) -> Iterator[ChatDelta]:
        """Answer a chat message, piece by piece; see `engine.chat.Chat.stream`.

        With `allow_mismatch`, also by an adapter that does not answer as it was trained.
        """
        request = checked(
            requests.ChatRequest,
            message=message,
            model=model,
            adapter=adapter,
            conversation=conversation,
            allow_mismatch=allow_mismatch,
        )
        with self._counting_failures("finetuned" if adapter else "base", model):
            for delta in self.chats.stream(request, cancel=cancel):
                if delta.completion is not None:
                    self._count("finetuned" if delta.completion.adapter else "base", delta.completion)
                yield delta

    @traced("ask")
    def ask(
        self,
        question: str,
        collection: str,
        *,
        model: str | None = None,
        adapter: str | None = None,
        cancel: CancelToken | None = None,
        keep: bool = True,
        allow_mismatch: bool = False,
    ) -> Iterator[AnswerDelta]:
        """Answer a question from a collection, piece by piece, with citations; with `keep`, both are stored (`asked`).

        What changed in the collection since the last question is indexed first; that is quick when nothing has.

        Raises:
            InputError: the question is empty or too long.
            NotFoundError: no such collection, model or adapter.
        """
        with span("ask.validate"):
            request = checked(
                requests.AskRequest,
                question=question,
                collection=collection,
                model=model,
                adapter=adapter,
                allow_mismatch=allow_mismatch,
            )
            name, tuned = self._responder(request)
            target = self.repositories.collections.by_name(request.collection)
        with self._counting_failures("rag", name):
            for delta in self.rag.stream(
                request.question,
                target.id,
                model=name,
                adapter=None if tuned is None else tuned.path,
                cancel=cancel,
                timeout_s=self.settings.answer_timeout_s,
            ):
                if delta.answer is None:
                    yield delta
                    continue
                answer = _named(delta.answer, tuned)
                self._count("rag", answer)
                if keep:
                    with span("ask.store"):
                        self.asked.keep(request.question, request.collection, answer)
                yield replace(delta, answer=answer)

    def compare(
        self,
        question: str,
        collection: str,
        adapter: str | None = None,
        *,
        model: str | None = None,
        allow_mismatch: bool = False,
    ) -> Iterator[CompareEvent]:
        """Ask base, fine-tuned and RAG the same question at once; see `engine.compare.compare`.

        Raises:
            InputError: the question is empty or too long.
            NotFoundError: no such collection, model or adapter.
        """
        from engine.compare import compare, model_target

        request = checked(
            requests.AskRequest,
            question=question,
            collection=collection,
            model=model,
            adapter=adapter,
            allow_mismatch=allow_mismatch,
        )
        self.repositories.collections.by_name(request.collection)
        name, tuned = self._responder(request)
        base = self.model(name)
        params = GenerationParams(max_tokens=ANSWER_TOKENS, timeout_s=self.settings.compare_timeout_s, thinking=False)
        targets = {"base": model_target(base, request.question, replace(params, repeat_penalty=REPEAT_PENALTY))}
        if tuned is not None:
            targets["finetuned"] = model_target(base, request.question, replace(params, adapter=tuned.path))
        targets["rag"] = lambda cancel: self.ask(
            request.question, request.collection, model=base.name, cancel=cancel, keep=False
        )
        for event in compare(targets, self.settings.compare_timeout_s):
            if event.error is not None and event.target != "rag":
                self.metrics.generation(base.name, cast(Target, event.target), event.error["code"])
            if event.answer is None or event.target == "rag":  # `ask` has counted that one
                yield event
                continue
            answer = _named(event.answer, tuned if event.target == "finetuned" else None)
            self._count(cast(Target, event.target), answer)
            yield replace(event, answer=answer)

    def agent_reply(
        self, agent: str, message: str, *, conversation: str | None = None, cancel: CancelToken | None = None
    ) -> Iterator[AgentDelta]:
        """Let an agent answer a customer's message, piece by piece; leads are stored on the way.

        Raises:
            InputError: the message is empty or too long.
            NotFoundError: no such agent or conversation.
        """
        request = checked(requests.ChatRequest, message=message, conversation=conversation)
        clerk = self.agents.agent(agent)
        model = clerk.config.model or self.settings.default_model
        with self._counting_failures("agent", model):
            for delta in clerk.stream(request.message, request.conversation, cancel=cancel):
                if delta.reply is not None:
                    outcome = "found" if delta.reply.found else "not_found"
                    self.metrics.generation(model, "agent", outcome, usage=delta.reply.usage)
                    self.metrics.answered("agent", delta.reply.timings.total_s)
                yield delta

    @contextmanager
    def _counting_failures(self, target: Target, model: str | None) -> Iterator[None]:
        """Count an answer that fails under its error's code."""
        try:
            yield
        except NexusError as exc:
            self.metrics.generation(model or self.settings.default_model, target, exc.code)
            raise

    def _count(self, target: Target, answer: Answer | Completion) -> None:
        outcome = answer.finish_reason.value if isinstance(answer, Completion) else "found" if answer.found else "not_found"
        first = answer.timings.first_token_s
        self.metrics.generation(answer.model, target, outcome, usage=answer.usage, first_token_s=first)
        self.metrics.answered(target, answer.timings.total_s)


def _named(answer: Answer, adapter: Adapter | None) -> Answer:
    """The answer with the adapter's name in place of its path, and a warning where it is not served as it was trained."""
    if adapter is None or answer.adapter is None:
        return answer
    notices = [notice for notice in (answer.notice, mismatch(adapter)) if notice]
    return replace(answer, adapter=adapter.name, notice=" ".join(notices) or None)
