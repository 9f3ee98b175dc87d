"""An answer while it comes in from a provider, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator

from engine.domain import Completion, Delta, FinishReason, Timings, TokenLogprob, Usage
from engine.errors import ProviderError
from engine.llm.base import ALL_THOUGHT, GenerationParams
from engine.llm.cloud.library import Chunk, StreamedToken, TokenCounts

BYTES_PER_TOKEN = 4
"""English text in the vocabularies of the large providers; good enough to plan with, and needs no download."""

LONGEST_TOKEN = 256
"""Characters. A server that sends more than the asked number of these does not keep to the limit."""

WITHHELD = "content_filter"


def estimated_tokens(text: str) -> int:
    """The tokens of a text, about."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


class IncomingAnswer:
    """Collects the pieces of one attempt."""

    def __init__(self, model: str, params: GenerationParams, prompt_tokens: int) -> None:
        """Nothing has come in yet.

        Args:
            model: as listed.
            params: what was asked for.
            prompt_tokens: an estimate, for when the provider does not say.
        """
        self._model = model
        self._params = params
        self._prompt_tokens = prompt_tokens
        self._raw = ""
        self._reasoning = ""
        self._logprobs: list[TokenLogprob] = []
        self._passed_on = 0
        self._ending: str | None = None
        self.counts: TokenCounts | None = None
        """What the provider counted; None until it said so."""

    @property
    def text(self) -> str:
        """The text so far, without the prefix that was asked for."""
        return self._raw.removeprefix(self._params.prefix)

    @property
    def has_begun(self) -> bool:
        """Whether anything has come in."""
        return bool(self._raw or self._reasoning)

    @property
    def too_long(self) -> bool:
        """Whether the server sends more than it was asked for, by far."""
        return len(self._raw) + len(self._reasoning) > self._params.max_tokens * LONGEST_TOKEN

    def add(self, chunk: Chunk) -> Iterator[Delta]:
        """Take a piece; gives what can be passed on. What may still be the prefix is held back."""
        self.counts = getattr(chunk, "usage", None) or self.counts
        for choice in chunk.choices:
            if choice.index != 0:
                continue
            self._raw += choice.delta.content or ""
            reasoning = getattr(choice.delta, "reasoning_content", None) or ""
            self._reasoning += reasoning
            self._logprobs += _logprobs_of(getattr(choice.logprobs, "content", None) or ())
            self._ending = choice.finish_reason or self._ending
            if reasoning:
                yield Delta("", reasoning=reasoning)
        if not self._may_be_prefix():
            yield from self.held_back()

    def held_back(self) -> Iterator[Delta]:
        """What was not passed on so far."""
        piece = self.text[self._passed_on :]
        self._passed_on += len(piece)
        if piece:
            yield Delta(piece)

    def usage(self) -> Usage:
        """The tokens so far, without their cost; estimated as long as the provider has not counted them."""
        counts = self.counts
        if counts is None:
            return Usage(self._prompt_tokens, estimated_tokens(self._raw) + estimated_tokens(self._reasoning))
        cached = getattr(counts.prompt_tokens_details, "cached_tokens", 0) if hasattr(counts, "prompt_tokens_details") else 0
        return Usage(counts.prompt_tokens or 0, counts.completion_tokens or 0, cached or 0)

    def reason(self, finished: bool) -> FinishReason:
        """Why the answer ended, by itself.

        Args:
            finished: the provider said that it did.

        Raises:
            ProviderError: it broke off, or there is no answer in it.
        """
        if self.too_long or self._ending == "length":
            return FinishReason.LENGTH
        if not finished or self._ending is None:
            raise ProviderError(f"{self._model} broke off in its answer.", hint="Try again later, or use a local model.")
        if not self._raw:
            self._check_empty(self._ending)
        return FinishReason.STOP

    def _check_empty(self, ending: str) -> None:
        if ending == WITHHELD:
            hint = "Put the question in other words, or use a local model."
            raise ProviderError(f"The provider's filter withheld the answer of {self._model}.", hint=hint, retryable=False)
        if ending in ("tool_calls", "function_call"):
            hint = "Use another model."
            raise ProviderError(f"{self._model} called a tool instead of answering.", hint=hint, retryable=False)
        if not self.usage().completion_tokens:
            raise ProviderError(f"{self._model} sent no readable answer.", hint="Try again later, or use a local model.")

    def completion(self, reason: FinishReason, cost_usd: float, timings: Timings) -> Completion:
        """The whole answer."""
        used = self.usage()
        usage = Usage(used.prompt_tokens, used.completion_tokens, used.cached_tokens, cost_usd)
        notice = "The provider's filter cut this answer short." if self._ending == WITHHELD else None
        if reason is FinishReason.LENGTH and self._reasoning and not self.text:
            notice = ALL_THOUGHT
        return Completion(
            self.text,
            reason,
            self._model,
            usage=usage,
            timings=timings,
            notice=notice,
            reasoning=self._reasoning,
            logprobs=self._logprobs_of_text(),
        )

    def _logprobs_of_text(self) -> tuple[TokenLogprob, ...]:
        """Those of the tokens after the prefix."""
        skipped, left = 0, len(self._raw) - len(self.text)
        for token in self._logprobs:
            if left <= 0:
                break
            left -= len(token.text)
            skipped += 1
        return tuple(self._logprobs[skipped:])

    def _may_be_prefix(self) -> bool:
        prefix = self._params.prefix
        return len(self._raw) < len(prefix) and prefix.startswith(self._raw)


def _logprobs_of(tokens: tuple[StreamedToken, ...]) -> list[TokenLogprob]:
    return [
        TokenLogprob(token.token, token.logprob, tuple((top.token, top.logprob) for top in token.top_logprobs or ()))
        for token in tokens
    ]
