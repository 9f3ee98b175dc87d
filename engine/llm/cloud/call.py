"""One question to a provider: attempts, waits between them, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.domain import Completion, Delta, Json, Message, Timings
from engine.errors import ModelError, ProviderError
from engine.llm.base import GenerationParams
from engine.llm.cloud.access import Endpoint
from engine.llm.cloud.answer import IncomingAnswer, estimated_tokens
from engine.llm.cloud.budget import Budget, Reservation
from engine.llm.cloud.errors import RemoteFailure, translate
from engine.llm.cloud.gate import Gate
from engine.llm.cloud.library import Response, load_litellm
from engine.llm.cloud.options import request_options
from engine.llm.cloud.patience import RetryPolicy, Watch
from engine.llm.cloud.prices import Prices
from engine.llm.cloud.reader import Reader

TOKENS_PER_MESSAGE = 4
"""What a chat template puts around a message, about."""

LONGEST_CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Remote:
    """A model of a provider, and the rules for asking it."""

    name: str
    endpoint: Endpoint
    gate: Gate
    retries: RetryPolicy
    prices: Prices
    budget: Budget | None


class Call:
    """Asks once and again until there is an answer."""

    def __init__(
        self,
        remote: Remote,
        messages: Sequence[Message],
        params: GenerationParams,
        watch: Watch,
        response_format: Mapping[str, Json] | None = None,
    ) -> None:
        self._remote = remote
        self._messages = messages
        self._params = params
        self._watch = watch
        self._response_format = response_format
        self._prompt_tokens = sum(estimated_tokens(message.content) + TOKENS_PER_MESSAGE for message in messages)
        self._cost_usd = 0.0
        self._queued_s = 0.0
        self._first_token_s: float | None = None

    def complete(self) -> Completion:
        """The whole answer. An attempt that breaks off is made again.

        Raises:
            ModelError, ConfigError, ContextOverflowError, ProviderError, BudgetError: see `ChatModel`.
        """
        completion: Completion | None = None
        for delta in self._deltas(whole=True):
            completion = delta.completion
        if completion is None:
            raise ModelError("The answer ended without a result.")
        return completion

    def deltas(self) -> Iterator[Delta]:
        """The answer piece by piece. See `complete`, but that nothing is tried again once a piece was passed on."""
        return self._deltas(whole=False)

    def _deltas(self, *, whole: bool) -> Iterator[Delta]:
        for attempt in range(1, self._remote.retries.attempts + 1):
            passed_on = False
            try:
                for delta in self._attempt():
                    passed_on = True
                    yield delta
            except ProviderError as exc:
                wait_s = self._wait_before(attempt, exc)
                if wait_s is None or (passed_on and not whole):
                    raise
                self._watch.pause(wait_s)
            else:
                return

    def _wait_before(self, attempt: int, exc: ProviderError) -> float | None:
        """Seconds until the next attempt; None when there is to be none."""
        asked = exc.retry_after_s if isinstance(exc, RemoteFailure) else None
        wait_s = self._remote.retries.wait_before(attempt, asked) if exc.retryable else None
        return wait_s if wait_s is not None and wait_s < self._watch.remaining_s else None

    def _attempt(self) -> Iterator[Delta]:
        """One request and its answer, within what the budget and the gate allow."""
        load_litellm()  # it takes seconds: not with a place in the gate
        reservation = self._reserve()
        answer = IncomingAnswer(self._remote.name, self._params, self._prompt_tokens)
        reader: Reader | None = None
        try:
            if self._enter():
                reader = Reader(self._send, self._remote.gate.leave, self._remote.endpoint.provider)
                yield from self._read(reader, answer)
            yield self._last(answer, reader)
        finally:
            self._settle(reservation, self._cost_of(answer, reader))
            if reader is not None:
                reader.abandon()

    def _reserve(self) -> Reservation | None:
        remote = self._remote
        if remote.budget is None:
            return None
        most = remote.prices.estimate(self._prompt_tokens, self._params.max_tokens)
        return remote.budget.reserve(remote.name, remote.prices, most)

    def _settle(self, reservation: Reservation | None, cost_usd: float) -> None:
        self._cost_usd += cost_usd
        if self._remote.budget is not None and reservation is not None:
            self._remote.budget.settle(reservation, cost_usd)

    def _enter(self) -> bool:
        came = self._watch.elapsed_s
        entered = self._remote.gate.enter(self._params.priority, self._watch.is_over)
        self._queued_s += self._watch.elapsed_s - came
        return entered

    def _read(self, reader: Reader, answer: IncomingAnswer) -> Iterator[Delta]:
        import httpx
        import openai

        try:
            for chunk in reader.chunks(self._watch.is_over):
                deltas = list(answer.add(chunk))
                if answer.has_begun and self._first_token_s is None:
                    self._first_token_s = self._watch.elapsed_s
                yield from deltas
                if answer.too_long:
                    break
        except (openai.OpenAIError, httpx.HTTPError) as exc:
            if self._watch.interruption is None:
                # Not `from exc`: the provider may have put the key into its text, which then stood in every traceback.
                raise translate(exc, self._remote.endpoint.provider) from None
        yield from answer.held_back()

    def _last(self, answer: IncomingAnswer, reader: Reader | None) -> Delta:
        watch = self._watch
        watch.check_open()
        reason = watch.interruption
        if reason is None and watch.remaining_s <= 0:
            raise ProviderError(f"{self._remote.name} did not answer in time.", hint="Try again later, or use a local model.")
        reason = reason or answer.reason(finished=reader is not None and reader.finished)
        total_s = watch.elapsed_s
        first_s = total_s if self._first_token_s is None else self._first_token_s
        cost_usd = self._cost_usd + self._cost_of(answer, reader)
        return Delta("", answer.completion(reason, cost_usd, Timings(self._queued_s, first_s, total_s)))

    def _cost_of(self, answer: IncomingAnswer, reader: Reader | None) -> float:
        """US dollars of an attempt; what a server refused to answer costs nothing."""
        if reader is None or not reader.may_cost:
            return 0.0
        return self._remote.prices.cost(answer.usage(), answer.counts)

    def _send(self) -> Response:
        import httpx

        endpoint, params = self._remote.endpoint, self._params
        left = max(self._watch.remaining_s, 0.01)
        response: Response = load_litellm().completion(
            model=self._remote.name,
            messages=[{"role": message.role, "content": message.content} for message in self._messages],
            api_base=endpoint.api_base,
            api_key=endpoint.key(),
            max_tokens=params.max_tokens,
            temperature=params.temperature,
            stream=True,
            stream_options={"include_usage": True},
            timeout=httpx.Timeout(left, connect=min(left, LONGEST_CONNECT_S)),
            num_retries=0,
            max_retries=0,
            drop_params=True,
            **request_options(endpoint.provider, params, self._response_format),
        )
        return response
