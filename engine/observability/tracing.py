"""Traces: what every capability does, step by step, with Opik's `@track` semantics.

    @traced("rag.answer")
    def answer(question): ...

    with span("retrieve", limit=5) as step:
        step.set_output(hits)

The outermost span opens a trace, the ones inside become its children, in the same thread or in one that was started with
`in_current_trace`. Arguments and results are recorded as small JSON values without secrets (`capture`). Before
`configure_tracing`, or after `Tracing.close`, all of this costs next to nothing and records nothing.
"""

from __future__ import annotations

import atexit
import contextvars
import functools
import inspect
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import ParamSpec, Self, TypeVar, cast

from engine.config import Settings
from engine.observability.recorder import Recorder
from engine.observability.span import UNRECORDED, Span, new_span_id
from engine.observability.trace_file import TraceFile

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_current: contextvars.ContextVar[Span | None] = contextvars.ContextVar("nexus_current_span", default=None)
_active: Tracing | None = None


class Tracing:
    """Tracing that is switched on. It is closed at the latest when the interpreter ends."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        atexit.register(self.close)

    def warm_up(self, timeout_s: float = 0.0) -> bool:
        """Get ready now, in the background, rather than some seconds after the first trace. Optional; for long-lived processes.

        Args:
            timeout_s: how long to wait for it.

        Returns:
            Whether it is ready.
        """
        return self._recorder.warm_up(timeout_s)

    def begin(self) -> None:
        """A trace begins: from now on the writer is needed."""
        self._recorder.start()

    def record(self, step: Span) -> None:
        """Take a span that ended."""
        self._recorder.put(step)

    def close(self) -> None:
        """Write what is left, within about two seconds. May be called twice."""
        global _active
        if _active is self:
            _active = None
        atexit.unregister(self.close)
        self._recorder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None) -> None:
        self.close()


def configure_tracing(settings: Settings) -> Tracing:
    """Switch tracing on for this process; what was on before is closed.

    Traces go to `settings.events_dir`, and to `settings.opik_url` as well where that is set and offline mode is off.
    """
    global _active
    if _active is not None:
        _active.close()
    server = settings.opik_url if settings.opik_url and not settings.offline else None
    _active = Tracing(Recorder(TraceFile(settings.events_dir), server))
    return _active


@contextmanager
def span(name: str, /, **attributes: object) -> Iterator[Span]:
    """Record the block as a step of the current trace, or as a trace of its own where there is none.

    Args:
        name: what the step is, such as `rag.retrieve`.
        attributes: facts about it, recorded with it.
    """
    tracing = _active
    if tracing is None:
        yield UNRECORDED
        return
    with _Recording(name, tracing) as step:
        step.set(**attributes)
        token = _current.set(step)
        try:
            yield step
        finally:
            _current.reset(token)


def traced(name: str, *, capture_input: bool = True, capture_output: bool = True) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Record each call of a function as a span.

    The span of a generator function lasts until the generator ends or is closed, and its output is the last item. Token
    counts are taken from results that have a `usage`.

    Args:
        name: what the step is, such as `rag.answer`.
        capture_input: record the arguments.
        capture_output: record the result.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__}: asynchronous functions cannot be traced")
        if inspect.isgeneratorfunction(function):
            return cast("Callable[P, R]", _traced_generator(name, function, capture_input, capture_output))
        return _traced_function(name, function, capture_input, capture_output)

    return decorate


def _traced_function(name: str, function: Callable[P, R], capture_input: bool, capture_output: bool) -> Callable[P, R]:
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if _active is None:
            return function(*args, **kwargs)
        with span(name) as step:
            if capture_input:
                step.set_input(_arguments(signature, args, kwargs))
            result = function(*args, **kwargs)
            if capture_output:
                step.set_output(result)
            return result

    return run


def _traced_generator(
    name: str, function: Callable[P, Iterator[T]], capture_input: bool, capture_output: bool
) -> Callable[P, Iterator[T]]:
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        tracing = _active
        if tracing is None:
            yield from function(*args, **kwargs)
            return
        with _Recording(name, tracing) as step:
            if capture_input:
                step.set_input(_arguments(signature, args, kwargs))
            last: T | None = None
            try:
                for last in _inside(step, function(*args, **kwargs)):
                    yield last
            finally:
                if capture_output and last is not None:
                    step.set_output(getattr(last, "completion", None) or last)

    return run


def _inside(step: Span, items: Iterator[T]) -> Iterator[T]:
    """The items, each made while `step` is the current span; the consumer's code between them is not inside it."""
    try:
        while True:
            token = _current.set(step)
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                _current.reset(token)
            yield item
    finally:
        if isinstance(items, Generator):
            # What the function does when it is closed early belongs to the step as well.
            token = _current.set(step)
            try:
                items.close()
            finally:
                _current.reset(token)


class _Recording:
    """A block that is recorded as a step, with the error that ends it."""

    def __init__(self, name: str, tracing: Tracing) -> None:
        self._name = name
        self._tracing = tracing

    def __enter__(self) -> Span:
        parent = _current.get()
        if parent is None:
            self._tracing.begin()
            self._step = Span(name=self._name, trace_id=new_span_id())
        else:
            self._step = Span(name=self._name, trace_id=parent.trace_id, parent_id=parent.span_id, parent=parent)
        return self._step

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None) -> None:
        if isinstance(error, GeneratorExit):
            self._step.set(closed_early=True)
        elif error is not None:
            self._step.set_error(error)
        self._step.end = datetime.now(UTC)
        self._tracing.record(self._step)


def _arguments(signature: inspect.Signature, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, object]:
    """The arguments by name, without `self`; empty when the call does not fit (the call itself will say so)."""
    try:
        bound = signature.bind_partial(*args, **kwargs)
    except TypeError:
        return {}
    return {name: value for name, value in bound.arguments.items() if name not in ("self", "cls")}


def in_current_trace(function: Callable[P, R]) -> Callable[P, R]:
    """The function, bound to the trace that is current now, to be run in another thread (once at a time)."""
    context = contextvars.copy_context()

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return context.copy().run(function, *args, **kwargs)

    return run
