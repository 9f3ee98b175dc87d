"""Grounded answers for an agent, with the default model standing in for one that fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from engine.agents.factory import Mind, ModelFor
from engine.cancellation import CancelToken
from engine.domain import AnswerDelta
from engine.errors import NexusError
from engine.llm.fallback import REPLACEABLE, fallen_back, must_raise


class Answers(Protocol):
    """What an agent needs of retrieval: `engine.rag.RagPipeline` has it."""

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
        """Answer a question from a collection; the last piece carries the whole answer."""
        ...


def grounded(
    answers: Answers,
    model_for: ModelFor,
    mind: Mind,
    question: str,
    collection_id: str,
    *,
    cancel: CancelToken | None,
    timeout_s: float,
) -> Iterator[AnswerDelta]:
    """Answer with the agent's model; when it fails before its first word, with the default one, saying so.

    Args:
        answers: finds passages and answers from them.
        model_for: gives the default model, for its name.
        mind: the agent's model and adapter.
        question: what the customer asked.
        collection_id: the agent's collection.
        cancel: stops the work.
        timeout_s: longest wait.

    Raises:
        NexusError: retrieval failed, or both models did.
    """
    sent = False
    try:
        for delta in answers.stream(
            question, collection_id, model=mind.model, adapter=mind.adapter, cancel=cancel, timeout_s=timeout_s
        ):
            sent = sent or bool(delta.text)
            yield _noticed(delta, mind.notice)
        return
    except REPLACEABLE as exc:
        if sent or mind.is_default or must_raise(exc):
            raise
        failure: NexusError = exc
    notice = fallen_back(failure, mind.model or "the adapter", model_for(None).name)
    for delta in answers.stream(question, collection_id, cancel=cancel, timeout_s=timeout_s):
        yield _noticed(delta, notice)


def _noticed(delta: AnswerDelta, notice: str | None) -> AnswerDelta:
    if notice is None or delta.answer is None:
        return delta
    joined = " ".join(filter(None, [notice, delta.answer.notice]))
    return replace(delta, answer=replace(delta.answer, notice=joined))
