"""The same question to several targets at once, side by side.

Lives here: running the targets in parallel, each with its own time limit and its own failure, and passing on what they say as
it comes. Does not live here: what the targets are (`engine.container`) or how they answer.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from engine.cancellation import CancelToken
from engine.domain import Answer, AnswerDelta, Completion, Message
from engine.errors import ErrorInfo, GenerationTimeout, NexusError
from engine.llm.base import ChatModel, GenerationParams
from engine.observability.tracing import in_current_trace, span, traced

Target = Callable[[CancelToken], Iterator[AnswerDelta]]
"""Answers the question; the last piece carries the whole answer. Stops when its token is set."""

GRACE_S = 2.0
"""How long targets that were told to stop may take to do so before they are left to end by themselves."""


@dataclass(frozen=True, slots=True)
class CompareEvent:
    """Something that one target did: said a piece of `text`, ended with an `answer`, or failed with an `error`."""

    target: str
    text: str = ""
    answer: Answer | None = None
    error: ErrorInfo | None = None

    @property
    def last(self) -> bool:
        """Whether the target has nothing more to say."""
        return self.answer is not None or self.error is not None


@dataclass(slots=True)
class _Run:
    """A target at work."""

    name: str
    thread: threading.Thread | None = None
    cancel: CancelToken = field(default_factory=CancelToken)
    ended: bool = False


@traced("compare", capture_input=False, capture_output=False)
def compare(targets: Mapping[str, Target], timeout_s: float) -> Iterator[CompareEvent]:
    """Run all targets in parallel and yield what they do, as it comes, until each has ended.

    A target that fails, or takes longer than `timeout_s` seconds, ends with an error; the others go on. Closing the iterator
    stops them all.
    """
    events: queue.SimpleQueue[CompareEvent] = queue.SimpleQueue()
    runs = {name: _Run(name) for name in targets}
    deadline = time.monotonic() + timeout_s
    for name, run in runs.items():
        work = in_current_trace(_work)
        run.thread = threading.Thread(target=work, args=(run, targets[name], events), name=f"compare-{name}", daemon=True)
        run.thread.start()
    try:
        yield from _collect(runs, events, deadline, timeout_s)
    finally:
        for run in runs.values():
            run.cancel.cancel()
        for run in runs.values():
            if run.thread is not None:
                run.thread.join(GRACE_S)


def model_target(model: ChatModel, question: str, params: GenerationParams) -> Target:
    """A model that answers the question by itself, as a target."""

    def answer(cancel: CancelToken) -> Iterator[AnswerDelta]:
        for delta in model.stream((Message("user", question),), replace(params, cancel=cancel)):
            yield AnswerDelta(delta.text, None if delta.completion is None else _as_answer(delta.completion))

    return answer


def _as_answer(completion: Completion) -> Answer:
    return Answer(
        text=completion.text,
        found=bool(completion.text.strip()),
        model=completion.model,
        adapter=completion.adapter,
        usage=completion.usage,
        timings=completion.timings,
        notice=completion.notice,
    )


def _collect(
    runs: Mapping[str, _Run], events: queue.SimpleQueue[CompareEvent], deadline: float, timeout_s: float
) -> Iterator[CompareEvent]:
    while any(not run.ended for run in runs.values()):
        try:
            event = events.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            yield from _time_out(runs, timeout_s)
            return
        if not runs[event.target].ended:
            runs[event.target].ended = event.last
            yield event


def _time_out(runs: Mapping[str, _Run], timeout_s: float) -> Iterator[CompareEvent]:
    for run in runs.values():
        if not run.ended:
            run.ended = True
            run.cancel.cancel()
            error = GenerationTimeout(f"no answer within {timeout_s:g} s", hint="Raise NEXUS_COMPARE_TIMEOUT_S.")
            yield CompareEvent(run.name, error=error.info())


def _work(run: _Run, target: Target, events: queue.SimpleQueue[CompareEvent]) -> None:
    with span(f"compare.{run.name}"):
        try:
            for delta in target(run.cancel):
                if delta.text or delta.answer is not None:
                    events.put(CompareEvent(run.name, delta.text, delta.answer))
        except NexusError as exc:
            events.put(CompareEvent(run.name, error=exc.info()))
        finally:
            if not run.cancel.cancelled:
                events.put(CompareEvent(run.name, error=NexusError("the target ended without an answer").info()))
