"""An answer while it comes in from a provider, piece by piece."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Protocol

from engine.domain import Completion, FinishReason, Timings, Usage
from engine.errors import ProviderError
from engine.llm.base import GenerationParams


class _Delta(Protocol):
    content: str | None


class _ChunkChoice(Protocol):
    delta: _Delta
    finish_reason: str | None


class Chunk(Protocol):
    """A piece of a streamed answer, as litellm gives it; the last one also has `usage`."""

    choices: list[_ChunkChoice]


class IncomingAnswer:
    """Collects the pieces, and knows when it must end."""

    def __init__(self, model: str, params: GenerationParams, default_timeout_s: float) -> None:
        self._model = model
        self._params = params
        self._started = time.monotonic()
        self._limit = params.timeout_s if params.timeout_s is not None else default_timeout_s
        self._raw = ""
        self._passed_on = 0
        self._first_token: float | None = None
        self._reason: FinishReason | None = None
        self._usage = (0, 0)

    @property
    def text(self) -> str:
        """The text so far, without the prefix that was asked for."""
        return self._raw.removeprefix(self._params.prefix)

    def restart(self) -> None:
        """Forget what an attempt brought that failed."""
        self._raw, self._passed_on, self._reason = "", 0, None

    def remaining_s(self) -> float:
        """Seconds until the time is up."""
        return self._limit - (time.monotonic() - self._started)

    @property
    def out_of_time(self) -> bool:
        """Whether the time that the request set is up; a server that is slow by itself is a failure instead."""
        return self._params.timeout_s is not None and self.remaining_s() <= 0

    @property
    def ended_early(self) -> bool:
        """Whether nobody waits for the rest."""
        return self._interruption() is not None

    def add(self, chunk: Chunk) -> str:
        """Take a piece; returns the text that can be passed on. What may still be the prefix is held back."""
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            self._usage = (usage.prompt_tokens or 0, usage.completion_tokens or 0)
        for choice in chunk.choices[:1]:
            self._raw += choice.delta.content or ""
            if choice.finish_reason:
                self._reason = FinishReason.LENGTH if choice.finish_reason == "length" else FinishReason.STOP
        if self._raw and self._first_token is None:
            self._first_token = time.monotonic()
        return "" if self._may_be_prefix() else self._pass_on()

    def finish(self) -> str:
        """What was held back, at the end."""
        return self._pass_on()

    def completion(self, library: ModuleType) -> Completion:
        """The whole answer.

        Args:
            library: litellm, for its price list.

        Raises:
            ProviderError: the provider sent nothing that can be read.
        """
        reason = self._interruption() or self._reason
        if reason is None or (not self._raw and reason is FinishReason.STOP and not self._usage[1]):
            raise ProviderError(f"{self._model} sent no readable answer.", hint="Try again later, or use a local model.")
        prompt, completion = self._usage
        usage = Usage(prompt, completion, cost_usd=_cost(library, self._model, prompt, completion))
        now = time.monotonic()
        first = (self._first_token or now) - self._started
        return Completion(self.text, reason, self._model, usage=usage, timings=Timings(0.0, first, now - self._started))

    def _interruption(self) -> FinishReason | None:
        cancel = self._params.cancel
        if cancel is not None and cancel.cancelled:
            return FinishReason.CANCELLED
        return FinishReason.TIMEOUT if self.out_of_time else None

    def _may_be_prefix(self) -> bool:
        prefix = self._params.prefix
        return len(self._raw) < len(prefix) and prefix.startswith(self._raw)

    def _pass_on(self) -> str:
        piece = self.text[self._passed_on :]
        self._passed_on += len(piece)
        return piece


def _cost(library: ModuleType, model: str, prompt_tokens: int, completion_tokens: int) -> float:
    """Price in US dollars by litellm's list; 0 where the model is not on it."""
    known = library.model_cost.get(model) or library.model_cost.get(model.partition("/")[2]) or {}
    prompt = float(known.get("input_cost_per_token") or 0.0) * prompt_tokens
    return prompt + float(known.get("output_cost_per_token") or 0.0) * completion_tokens
