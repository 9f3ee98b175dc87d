"""A remote chat model behind litellm."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace

from engine.cancellation import CancelToken
from engine.domain import Completion, Delta, FinishReason, Json, Message, Usage
from engine.errors import AdapterError, InputError, ModelError, ProviderError
from engine.llm.base import Capabilities, ChatModel, Constraint, GenerationParams, JsonSchema, Request
from engine.llm.cloud.access import Endpoint
from engine.llm.cloud.answer import estimated_tokens
from engine.llm.cloud.budget import Budget
from engine.llm.cloud.call import Call, Remote
from engine.llm.cloud.errors import RemoteFailure
from engine.llm.cloud.gate import gate_of
from engine.llm.cloud.library import load_litellm
from engine.llm.cloud.patience import RetryPolicy, Watch
from engine.llm.cloud.prices import Prices, TokenPrice, listed
from engine.llm.cloud.prompting import constrained_answer, correction, with_instructions
from engine.llm.constraints import violation

_REFUSED_FORM = (400, 415, 422)
"""Statuses of a server that does not take a request in this form."""


class LiteLlmModel(ChatModel):
    """A model of a cloud provider or of an OpenAI-compatible server, named `provider/model`.

    A constraint is handed to the provider where it takes JSON schemas; always the answer is checked, and asked for again
    with the reason when it does not keep to it.
    """

    def __init__(
        self,
        name: str,
        *,
        offline: bool,
        api_base: str | None = None,
        context_tokens: int = 8192,
        timeout_s: float = 120.0,
        retries: RetryPolicy = RetryPolicy(),
        concurrency: int = 4,
        price: TokenPrice | None = None,
        budget: Budget | None = None,
    ) -> None:
        """Describe the model; nothing is imported or connected yet.

        Args:
            name: `provider/model`, as litellm has it.
            offline: refuse all that is not on this machine.
            api_base: address of an OpenAI-compatible server.
            context_tokens: tokens of prompt and answer where litellm's price list does not know the model.
            timeout_s: longest wait for the server where a request sets none.
            retries: when to try again.
            concurrency: requests to the provider at the same time, of all its models in this process together.
            price: what a model costs that is not on litellm's price list.
            budget: records what is spent, and says what may be; None for neither.
        """
        self._name = name
        self._offline = offline
        self._endpoint = Endpoint.of(name, api_base)
        self._context_tokens = context_tokens
        self._timeout_s = timeout_s
        self._concurrency = concurrency
        self._prices = Prices(name, self._endpoint, price)
        self._remote = Remote(name, self._endpoint, gate_of(self._endpoint, concurrency), retries, self._prices, budget)
        self._takes_schemas: bool | None = None
        self._unpriced = threading.Lock()
        self._closed = threading.Event()

    @property
    def name(self) -> str:
        """The `provider/model` name."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """JSON schemas are kept to; other constraints are only checked afterwards. Local where the server is."""
        return Capabilities(json_schema=True, local=self._endpoint.loopback)

    @property
    def context_length(self) -> int:
        """Tokens of prompt and answer, from litellm's price list where it knows the model."""
        known = listed(self._name).get("max_input_tokens")
        return known if isinstance(known, int) else self._context_tokens

    def complete(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Completion:
        """Answer the conversation. See `ChatModel`.

        Raises:
            OfflineError: the server is not on this machine, and no one has allowed that.
            ConfigError: there is no key, or the provider refuses it.
            ContextOverflowError: the conversation does not fit.
            BudgetError: the answer could cost more than is left of the month's budget.
            ProviderError: the provider failed, or did not keep to the constraint.
        """
        return self._complete(messages, params, None)

    def stream(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Iterator[Delta]:
        """Answer piece by piece; with a constraint in one piece, after it was checked. See `complete`."""
        if params.constraint is not None:
            completion = self._complete(messages, params, None)
            yield Delta(completion.text, reasoning=completion.reasoning)
            yield Delta("", completion)
            return
        self._check(params)
        call = Call(self._remote, with_instructions(messages, params), params, self._watch(params, None))
        for delta in call.deltas():
            yield delta if delta.completion is None else replace(delta, completion=self._noted(delta.completion))

    def generate_many(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Answer many conversations, a few at a time. See `ChatModel`; an error of one of them ends all."""
        halt = CancelToken()
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="cloud")
        try:
            pending = {
                pool.submit(self._complete, request.messages, request.params, halt): index
                for index, request in enumerate(requests)
            }
            for future in as_completed(pending):
                yield pending[future], future.result()
        finally:
            halt.cancel()
            pool.shutdown(wait=False, cancel_futures=True)

    def count_tokens(self, text: str) -> int:
        """An estimate: providers count with vocabularies that are not on this machine."""
        return estimated_tokens(text)

    def close(self) -> None:
        """Refuse further calls, and end those that are under way."""
        self._closed.set()

    def _check(self, params: GenerationParams) -> None:
        if self._closed.is_set():
            raise ModelError("The model was closed.", hint="Load it again.")
        if params.max_tokens < 1:
            raise InputError(f"An answer needs at least one token, not {params.max_tokens}.")
        if params.adapter is not None:
            raise AdapterError(f"{self._name} cannot take a local adapter.", hint="Choose a local model.")
        self._endpoint.check_allowed(self._offline)
        self._endpoint.key()

    def _watch(self, params: GenerationParams, halt: CancelToken | None) -> Watch:
        return Watch(params, self._timeout_s, self._closed, self._remote.retries.clock, halt)

    def _complete(self, messages: Sequence[Message], params: GenerationParams, halt: CancelToken | None) -> Completion:
        """Answer one conversation, and stop when all are to stop."""
        self._check(params)
        watch = self._watch(params, halt)
        conversation = with_instructions(messages, params)
        if params.constraint is None:
            return self._noted(Call(self._remote, conversation, params, watch).complete())
        return self._noted(self._constrained(conversation, params, params.constraint, watch))

    def _constrained(
        self, conversation: list[Message], params: GenerationParams, constraint: Constraint, watch: Watch
    ) -> Completion:
        problem: str | None = None
        used = Usage()
        for _ in range(self._remote.retries.attempts):
            completion = self._formed(conversation, params, constraint, watch)
            used = _sum(used, completion.usage)
            answer = constrained_answer(constraint, completion.text)
            if completion.finish_reason in (FinishReason.CANCELLED, FinishReason.TIMEOUT):
                return replace(completion, usage=used)
            problem = violation(constraint, answer)
            # What was cut off by its limit would be cut off again.
            if problem is None or completion.finish_reason is FinishReason.LENGTH:
                return replace(completion, text=answer, usage=used)
            if not answer:
                break
            conversation = [*conversation, *correction(completion.text, problem)]
        raise ProviderError(f"{self._name} did not keep to the required form: {problem}", retryable=False)

    def _formed(
        self, conversation: list[Message], params: GenerationParams, constraint: Constraint, watch: Watch
    ) -> Completion:
        """Ask with the constraint as providers take it; without it where the server turns out not to."""
        form = self._response_format(constraint)
        try:
            return Call(self._remote, conversation, params, watch, form).complete()
        except RemoteFailure as exc:
            if form is None or self._endpoint.api_base is None or exc.status not in _REFUSED_FORM:
                raise
        completion = Call(self._remote, conversation, params, watch).complete()
        self._takes_schemas = False
        return completion

    def _response_format(self, constraint: Constraint) -> Mapping[str, Json] | None:
        """The constraint as providers take it, where this one does; of an unknown server that is tried."""
        if not isinstance(constraint, JsonSchema):
            return None
        if self._takes_schemas is None:
            self._takes_schemas = self._endpoint.api_base is not None or load_litellm().supports_response_schema(self._name)
        if not self._takes_schemas:
            return None
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(constraint.schema)}}

    def _noted(self, completion: Completion) -> Completion:
        """With a word, the first time, about a price that is not known."""
        if self._prices.known or not self._unpriced.acquire(blocking=False):
            return completion
        notice = (
            f"The price of {self._name} is not known and counts as 0. "
            "Set NEXUS_PRICE_INPUT_PER_MTOK and NEXUS_PRICE_OUTPUT_PER_MTOK to count it."
        )
        return replace(completion, notice=" ".join(filter(None, [completion.notice, notice])))


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.prompt_tokens + other.prompt_tokens,
        one.completion_tokens + other.completion_tokens,
        one.cached_tokens + other.cached_tokens,
        one.cost_usd + other.cost_usd,
    )
