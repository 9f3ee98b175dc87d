"""One evaluation: every target answers every question, and each answer is scored against its reference."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.cancellation import CancelToken
from engine.embedding.base import Embedder
from engine.errors import CancelledError, NexusError
from engine.evaluation.metrics import exact_match, percentile, token_f1
from engine.observability.tracing import traced

Respond = Callable[[str], tuple[str, bool]]
"""Answers a question; also says whether an answer was found."""

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Example:
    """A question whose answer is known."""

    question: str
    reference: str


@dataclass(frozen=True, slots=True)
class ExampleScore:
    """What a target answered to one question, and how good that was. `error` is empty unless the target failed."""

    target: str
    question: str
    reference: str
    answer: str
    found: bool
    exact_match: float
    token_f1: float
    similarity: float
    latency_s: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class TargetReport:
    """The figures of one target.

    Means over all examples, a failed one counting as 0; `similarity` is the mean cosine of answer and reference;
    `latency_p50_s` and `latency_p95_s` are percentiles over the answers that came.
    """

    target: str
    examples: int
    exact_match: float
    token_f1: float
    similarity: float
    answered: float
    latency_p50_s: float
    latency_p95_s: float
    errors: int


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """The figures of all targets, and every single answer."""

    targets: tuple[TargetReport, ...]
    scores: tuple[ExampleScore, ...]


@traced("evaluation.run", capture_input=False, capture_output=False)
def evaluate(
    examples: Sequence[Example],
    targets: Mapping[str, Respond],
    *,
    embedder: Embedder,
    progress: Progress = lambda done, message: None,
    cancel: CancelToken | None = None,
) -> EvaluationReport:
    """Ask every target every question, one after another so that latencies are comparable, and score the answers.

    A target that fails on a question scores 0 there, and the evaluation goes on.

    Raises:
        CancelledError: `cancel` was set.
        EmbeddingError: the encoder failed.
    """
    scores: list[ExampleScore] = []
    total = len(examples) * len(targets)
    # Questions in the outer loop: a drift of the machine's speed then meets all targets alike.
    for example in examples:
        for name, respond in targets.items():
            if cancel is not None and cancel.cancelled:
                raise CancelledError("the evaluation was stopped")
            progress(len(scores) / total, f"Question {len(scores) // len(targets) + 1} of {len(examples)}: {name}")
            scores.append(_score(name, example, respond, embedder))
    return EvaluationReport(tuple(_report(name, scores) for name in targets), tuple(scores))


def _score(target: str, example: Example, respond: Respond, embedder: Embedder) -> ExampleScore:
    started = time.perf_counter()
    try:
        answer, found = respond(example.question)
    except CancelledError:
        raise
    except NexusError as exc:
        return ExampleScore(target, example.question, example.reference, "", False, 0.0, 0.0, 0.0, 0.0, exc.message)
    latency = time.perf_counter() - started
    vectors = embedder.embed([answer, example.reference])
    return ExampleScore(
        target=target,
        question=example.question,
        reference=example.reference,
        answer=answer,
        found=found,
        exact_match=exact_match(answer, example.reference),
        token_f1=token_f1(answer, example.reference),
        similarity=float(vectors[0] @ vectors[1]) if answer.strip() else 0.0,
        latency_s=latency,
    )


def _report(target: str, scores: Sequence[ExampleScore]) -> TargetReport:
    own = [score for score in scores if score.target == target]
    latencies = [score.latency_s for score in own if not score.error]
    return TargetReport(
        target=target,
        examples=len(own),
        exact_match=_mean([score.exact_match for score in own]),
        token_f1=_mean([score.token_f1 for score in own]),
        similarity=_mean([score.similarity for score in own]),
        answered=_mean([float(score.found) for score in own]),
        latency_p50_s=percentile(latencies, 0.5) if latencies else 0.0,
        latency_p95_s=percentile(latencies, 0.95) if latencies else 0.0,
        errors=sum(1 for score in own if score.error),
    )


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else 0.0
