"""The process in which chat templates run. Started by `engine.llm.llamacpp.prompting.rendering`, as a script.

A template is a program from a file that may be hostile. Jinja's sandbox keeps it from reaching anything, but not from
repeating a text a thousand million times, or from comparing nested lists for hours inside one call of the interpreter. So it
runs here, where memory and processor time are bounded and the worst it can do is to end this process.

One line of JSON in, one out. It imports nothing of the engine: it starts in a tenth of a second.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

MEMORY_BYTES = 1 << 29
"""Address space of this process, interpreter included, where the system can limit it."""

_FAILURES = (TemplateError, ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, SyntaxError, TypeError)
"""What compiling and running a template can raise: its own refusals, and any mistake of its author."""


class _GenerationBlock(Extension):
    """`{% generation %} … {% endgeneration %}`, with which some templates mark the assistant's part for training."""

    tags = {"generation"}  # noqa: RUF012  # Jinja's own way

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Leave only what is inside."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    """Jinja as Transformers sets it up for chat templates, which are written against that."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, autoescape=False, extensions=["jinja2.ext.loopcontrols", _GenerationBlock]
    )
    environment.filters["tojson"] = _to_json
    functions: dict[str, Callable[[str], str]] = {"raise_exception": _refuse, "strftime_now": _now}
    environment.globals.update(functions)
    return environment


@lru_cache(maxsize=16)
def _compiled(source: str) -> Template:
    return _environment().from_string(source)


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Plain JSON, where Jinja's own filter would escape it for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: str) -> str:
    raise TemplateError(message)


def _now(pattern: str) -> str:
    return datetime.now().astimezone().strftime(pattern)


def answer(request: Mapping[str, object]) -> dict[str, str]:
    """The rendered `text` of a request, or the `error` that its template ended with."""
    source, variables, limit = request["template"], request["variables"], request["limit"]
    if not isinstance(source, str) or not isinstance(variables, dict) or not isinstance(limit, int):
        return {"error": "the request is not understood"}
    pieces: list[str] = []
    length = 0
    try:
        for piece in _compiled(source).generate(variables):
            length += len(piece)
            if length > limit:
                return {"error": "it makes a prompt that is far too long"}
            pieces.append(piece)
    except (*_FAILURES, ValueError, OSError) as exc:
        return {"error": (str(exc) or type(exc).__name__)[:500]}
    return {"text": "".join(pieces)}


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit; the time limit holds there, too
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


@contextlib.contextmanager
def _limited_time(seconds: float) -> Iterator[None]:
    """Have the system end this process after so much processor time, also within a single call of the interpreter."""
    import signal

    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def main() -> None:
    """Answer requests until the other side is gone."""
    _limit_memory()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        with _limited_time(request["seconds"]):
            reply = json.dumps(answer(request))
        sys.stdout.buffer.write(reply.encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
