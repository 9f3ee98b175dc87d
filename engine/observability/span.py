"""A span: one step of a trace, from when it began to when it ended."""

from __future__ import annotations

import secrets
import time
import traceback
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engine.domain import Json, Usage
from engine.observability.capture import captured, redact_text

MAX_TRACEBACK = 2000
"""Characters of a traceback that are kept: its end, which names the error."""


def new_span_id() -> str:
    """A UUID of version 7 (RFC 9562): sorted by time, as Opik asks for."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


@dataclass(slots=True, eq=False)
class Span:
    """A step that is being recorded. Its setters may be called from the thread that runs the step."""

    name: str
    trace_id: str
    span_id: str = field(default_factory=new_span_id)
    parent_id: str | None = None
    start: datetime = field(default_factory=lambda: datetime.now(UTC))
    end: datetime | None = None
    input: dict[str, Json] | None = None
    output: dict[str, Json] | None = None
    attributes: dict[str, Json] = field(default_factory=dict)
    usage: Usage | None = None
    model: str | None = None
    error: dict[str, str] | None = None
    recording: bool = True
    parent: Span | None = None
    counted: bool = False
    """Whether token counts were recorded here or in a step inside, so that no token is counted twice."""

    def set_input(self, value: object) -> None:
        """Record what the step works on."""
        if self.recording:
            self.input = _named(captured(value), "input")

    def set_output(self, value: object) -> None:
        """Record what the step gave back; token counts and model are taken from it where it has them."""
        if not self.recording:
            return
        self.output = _named(captured(value), "output")
        usage, model = getattr(value, "usage", None), getattr(value, "model", None)
        if isinstance(usage, Usage) and not self.counted:
            self.set_usage(usage, model if isinstance(model, str) and model else None)

    def set_usage(self, usage: Usage, model: str | None = None) -> None:
        """Record token counts, and the model that was used."""
        if self.recording:
            self.usage = usage
            self.model = model or self.model
            step: Span | None = self
            while step is not None and not step.counted:
                step.counted, step = True, step.parent

    def set(self, **attributes: object) -> None:
        """Record further facts about the step."""
        if self.recording:
            self.attributes.update({name: captured(value) for name, value in attributes.items()})

    def set_error(self, error: BaseException) -> None:
        """Record that the step failed."""
        if self.recording:
            trail = "".join(traceback.format_exception(error))[-MAX_TRACEBACK:]
            self.error = {
                "exception_type": type(error).__name__,
                "message": redact_text(str(error)[:1000]),
                "traceback": redact_text(trail),
            }


UNRECORDED = Span(name="", trace_id="", span_id="", recording=False)
"""Stands in for a span while tracing is off; its setters do nothing."""


def usage_counts(usage: Usage | None) -> dict[str, int] | None:
    """Token counts under the names that Opik knows."""
    if usage is None:
        return None
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _named(value: Json, name: str) -> dict[str, Json]:
    """Opik wants mappings; another value is put under `name`, as its `@track` does."""
    return value if isinstance(value, dict) else {name: value}
