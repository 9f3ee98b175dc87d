"""Score base, fine-tuned and RAG answers on questions whose answers are known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import cast

from engine.domain import Adapter, Collection, FaqPair, Json, Message
from engine.errors import ConflictError
from engine.evaluation import EvaluationReport, Example, held_out
from engine.evaluation import evaluate as run_evaluation
from engine.evaluation.evaluate import Respond
from engine.handlers.finetuning_data import trainable, trained_questions
from engine.handlers.parts import Parts
from engine.jobs import JobContext
from engine.llm.base import GenerationParams
from engine.observability.tracing import span, traced
from engine.requests import EvaluationRequest
from engine.training.adapters.offering import mismatch
from engine.training.datasets import dataset_files

ANSWER_TOKENS = 160
"""Longest answer of a model, in tokens; FAQ answers are a sentence or two."""
SHARE = 0.2
"""Share of a collection's pairs that is asked when no adapter has kept any back."""


@dataclass(frozen=True, slots=True)
class _Questions:
    """What is asked. `seen` says that a fine-tuned target was trained on some of it, so its figures are no test."""

    examples: tuple[Example, ...]
    collection: Collection | None = None
    seen: bool = False
    notice: str | None = None


@traced("evaluate", capture_input=False)
def evaluate(parts: Parts, context: JobContext) -> Mapping[str, Json]:
    """Ask every target every question, store the figures and every single answer.

    Raises:
        ConflictError: there is nothing to ask.
        NotFoundError: a collection, adapter or model is gone.
        CancelledError: someone stopped the job.
    """
    request = EvaluationRequest.model_validate(context.job.payload)
    context.progress(0.0, "Choosing questions")
    questions = _questions(parts, request)
    if request.collection is not None and "rag" in request.targets:
        parts.index.sync(cast(Collection, questions.collection).id, cancel=context.cancel)
    targets = {name: _respond(parts, context, request, questions, name) for name in request.targets}
    report = run_evaluation(
        questions.examples, targets, embedder=parts.embedder, progress=context.progress, cancel=context.cancel
    )
    _write_scores(parts, context.job.id, report)
    warnings = [mismatch(adapter) for adapter in _adapters(parts, request.targets)]
    questions = replace(questions, notice=" ".join(filter(None, [questions.notice, *warnings])) or None)
    summary = _summary(request, questions, report)
    stored = parts.repositories.evaluations.add(
        summary, collection_id=questions.collection.id if questions.collection else None, job_id=context.job.id
    )
    if request.dataset is not None:
        parts.uploads.discard(request.dataset)
    return {"evaluation": stored.id, **summary}


def _questions(parts: Parts, request: EvaluationRequest) -> _Questions:
    collection = None if request.collection is None else parts.repositories.collections.by_name(request.collection)
    if request.dataset is not None:
        rows = dataset_files.read_examples(parts.uploads.path(request.dataset))
        examples = tuple(Example(row.question, row.answer) for row in rows)
        return _of_file(parts, request, examples[: request.limit], collection)
    return _from_collection(parts, request, cast(Collection, collection))


def _of_file(
    parts: Parts, request: EvaluationRequest, examples: tuple[Example, ...], collection: Collection | None
) -> _Questions:
    """The questions of a file, and whether a fine-tuned target has been trained on some of them."""
    known: set[str] = set()
    for adapter in _adapters(parts, request.targets):
        known |= trained_questions(parts, adapter)
    seen = sum(1 for example in examples if example.question in known)
    notice = f"An adapter was trained on {seen} of these {len(examples)} questions: there it shows what it remembers."
    return _Questions(examples, collection, seen > 0, notice if seen else None)


def _adapters(parts: Parts, targets: Sequence[str]) -> list[Adapter]:
    names = [target.removeprefix("adapter:") for target in targets if target.startswith("adapter:")]
    return [parts.repositories.adapters.by_name(name) for name in names]


def _from_collection(parts: Parts, request: EvaluationRequest, collection: Collection) -> _Questions:
    pairs, notice = trainable(parts.repositories.faqs.list(collection.id))
    if not pairs:
        raise ConflictError(f"the collection {collection.name!r} has no pairs to ask", hint="Extract or approve some.")
    kept_back = _kept_back(parts, request.targets, collection)
    unseen = [pair for pair in pairs if kept_back is not None and pair.id in kept_back]
    chosen = unseen or held_out(pairs, SHARE) or pairs
    seen = kept_back is not None and not unseen
    if seen:
        notice = "The adapter was trained on these questions: its figures show what it remembers, not what it can work out."
    return _Questions(_examples(chosen)[: request.limit], collection, seen, notice)


def _kept_back(parts: Parts, targets: Sequence[str], collection: Collection) -> set[str] | None:
    """The pairs that no adapter among the targets was trained on; None when no target was trained on this collection."""
    kept: set[str] | None = None
    for adapter in _adapters(parts, targets):
        if adapter.collection_id == collection.id:
            own = set(cast(list[str], adapter.card.get("held_out", [])))
            kept = own if kept is None else kept & own
    return kept


def _examples(pairs: Sequence[FaqPair]) -> tuple[Example, ...]:
    return tuple(Example(pair.question, pair.answer) for pair in pairs)


def _respond(parts: Parts, context: JobContext, request: EvaluationRequest, questions: _Questions, target: str) -> Respond:
    if target == "rag":
        return _rag(parts, context, request, cast(Collection, questions.collection))
    adapter = None if target == "base" else parts.repositories.adapters.by_name(target.removeprefix("adapter:"))
    if adapter is not None:
        parts.offering.require(adapter, allow_mismatch=True)  # measuring it is a way to look at it
    model = parts.model(request.model or (adapter.base_model if adapter else None))
    params = GenerationParams(
        max_tokens=ANSWER_TOKENS,
        adapter=None if adapter is None else adapter.path,
        timeout_s=parts.settings.answer_timeout_s,
        cancel=context.cancel,
        priority=10,
        thinking=False,  # a thought would use up the tokens of an answer that is short
    )

    def respond(question: str) -> tuple[str, bool]:
        with span(f"evaluate.{target}"):
            return model.complete((Message("user", question),), params).text.strip(), True

    return respond


def _rag(parts: Parts, context: JobContext, request: EvaluationRequest, collection: Collection) -> Respond:
    def respond(question: str) -> tuple[str, bool]:
        # The pairs themselves are not searched: they hold the reference answers.
        answer = parts.rag.answer(
            question,
            collection.id,
            model=request.model,
            use_faqs=False,
            timeout_s=parts.settings.answer_timeout_s,
            cancel=context.cancel,
        )
        return answer.text, answer.found

    return respond


def _summary(request: EvaluationRequest, questions: _Questions, report: EvaluationReport) -> dict[str, Json]:
    targets: list[Json] = [cast(dict[str, Json], asdict(target)) for target in report.targets]
    return {
        "collection": request.collection,
        "dataset": None if request.dataset is None else request.dataset.name,
        "examples": len(questions.examples),
        "held_out": not questions.seen,
        "notice": questions.notice,
        "targets": targets,
    }


def _write_scores(parts: Parts, job_id: str, report: EvaluationReport) -> None:
    """One line for each answer, in a file of its own that DuckDB can read."""
    folder = parts.settings.events_dir
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps({"job": job_id, **asdict(score)}, ensure_ascii=False) + "\n" for score in report.scores)
    (folder / f"evaluations-{job_id}.jsonl").write_text(lines, encoding="utf-8")
