"""A remote chat model behind litellm."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from types import ModuleType
from typing import cast

from engine.domain import CancelToken, Completion, Delta, FinishReason, Json, Message
from engine.errors import AdapterError, InputError, ModelError, ProviderError
from engine.llm.base import Capabilities, ChatModel, Constraint, GenerationParams, JsonSchema, Request
from engine.llm.cloud.access import Endpoint
from engine.llm.cloud.answer import Chunk, IncomingAnswer
from engine.llm.cloud.errors import retry_after, translate
from engine.llm.cloud.prompting import constrained_answer, correction, with_instructions
from engine.llm.constraints import violation

BYTES_PER_TOKEN = 4
"""English text in the vocabularies of the large providers; good enough to plan with, and needs no download."""

LONGEST_WAIT_S = 30.0
"""Longest pause before a request is tried again, whatever the provider asks for."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try, and how long to wait before the second attempt; each further wait is twice as long."""

    attempts: int = 3
    first_wait_s: float = 0.5
    concurrency: int = 4
    """Requests of `generate_many` that run at the same time."""


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
    ) -> None:
        """Describe the model; nothing is imported or connected yet.

        Args:
            name: `provider/model`, as litellm has it.
            offline: refuse all that is not on this machine.
            api_base: address of an OpenAI-compatible server.
            context_tokens: tokens of prompt and answer where litellm's price list does not know the model.
            timeout_s: longest wait for the server where a request sets none.
            retries: when to try again.
        """
        self._name = name
        self._offline = offline
        self._endpoint = Endpoint.of(name, api_base)
        self._context_tokens = context_tokens
        self._timeout_s = timeout_s
        self._retries = retries
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
        known = load_litellm().model_cost.get(self._name) or load_litellm().model_cost.get(self._name.partition("/")[2]) or {}
        return int(known.get("max_input_tokens") or self._context_tokens)

    def complete(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Completion:
        """Answer the conversation. See `ChatModel`.

        Raises:
            OfflineError: the server is not on this machine, and no one has allowed that.
            ConfigError: there is no key, or the provider refuses it.
            ContextOverflowError: the conversation does not fit.
            ProviderError: the provider failed, or did not keep to the constraint.
        """
        *_, last = self.stream(messages, params)
        return cast(Completion, last.completion)

    def stream(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Iterator[Delta]:
        """Answer piece by piece; with a constraint in one piece, after it was checked. See `complete`."""
        self._check(params)
        if params.constraint is not None:
            completion = self._complete_constrained(messages, params, params.constraint)
            yield Delta(completion.text)
            yield Delta("", completion)
        else:
            yield from self._stream_free(with_instructions(messages, params), params, None)

    def generate_many(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Answer many conversations, a few at a time. See `ChatModel`; an error of one of them ends all."""
        halt = CancelToken()
        pool = ThreadPoolExecutor(self._retries.concurrency, thread_name_prefix="cloud")
        try:
            pending = {pool.submit(self._complete_unless, halt, request): index for index, request in enumerate(requests)}
            for future in as_completed(pending):
                yield pending[future], future.result()
        finally:
            halt.cancel()
            pool.shutdown(wait=False, cancel_futures=True)

    def count_tokens(self, text: str) -> int:
        """An estimate: providers count with vocabularies that are not on this machine."""
        return -(-len(text.encode()) // BYTES_PER_TOKEN)

    def close(self) -> None:
        """Refuse further calls, and end streams at their next piece."""
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

    def _complete_unless(self, halt: CancelToken, request: Request) -> Completion:
        """Answer one request of many, and stop when all are to stop."""
        deltas = self.stream(request.messages, request.params)
        for delta in deltas:
            if delta.completion is not None:
                return delta.completion
            if halt.cancelled:
                break
        return Completion("", FinishReason.CANCELLED, self._name)

    def _complete_constrained(
        self, messages: Sequence[Message], params: GenerationParams, constraint: Constraint
    ) -> Completion:
        conversation = with_instructions(messages, params)
        response_format = self._response_format(constraint)
        problem: str | None = None
        for _ in range(self._retries.attempts):
            *_, last = self._stream_free(conversation, params, response_format)
            completion = cast(Completion, last.completion)
            if completion.finish_reason in (FinishReason.CANCELLED, FinishReason.TIMEOUT):
                return completion
            answer = constrained_answer(constraint, completion.text)
            problem = violation(constraint, answer)
            if problem is None:
                return replace(completion, text=answer)
            conversation = [*conversation, *correction(completion.text, problem)]
        raise ProviderError(f"{self._name} did not keep to the required form: {problem}", retryable=False)

    def _response_format(self, constraint: Constraint) -> Mapping[str, Json] | None:
        """The constraint as providers take it, where this one does."""
        if not isinstance(constraint, JsonSchema):
            return None
        if self._endpoint.api_base is None and not load_litellm().supports_response_schema(self._name):
            return None
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(constraint.schema)}}

    def _stream_free(
        self, messages: Sequence[Message], params: GenerationParams, response_format: Mapping[str, Json] | None
    ) -> Iterator[Delta]:
        """Stream; try again after a failure that is worth it, as long as no text was passed on."""
        answer = IncomingAnswer(self._name, params, self._timeout_s)
        for attempt in range(self._retries.attempts):
            try:
                yield from self._stream_once(answer, messages, params, response_format)
            except ProviderError as exc:
                wait_s = self._wait_before(attempt, exc)
                if answer.text or wait_s is None or wait_s > answer.remaining_s():
                    raise
                answer.restart()
                self._closed.wait(wait_s)
            else:
                return

    def _wait_before(self, attempt: int, exc: ProviderError) -> float | None:
        """Seconds until the next attempt; None when there is to be none."""
        if not exc.retryable or attempt + 1 >= self._retries.attempts:
            return None
        asked = retry_after(exc.__cause__)
        return min(self._retries.first_wait_s * 2**attempt if asked is None else asked, LONGEST_WAIT_S)

    def _stream_once(
        self,
        answer: IncomingAnswer,
        messages: Sequence[Message],
        params: GenerationParams,
        response_format: Mapping[str, Json] | None,
    ) -> Iterator[Delta]:
        import openai

        try:
            with closing(_Response(self._request(answer, messages, params, response_format))) as response:
                for chunk in response:
                    yield from _delta_of(answer.add(chunk))
                    if self._closed.is_set():
                        raise ModelError("The model was closed while it answered.", hint="Ask again.")
                    if answer.ended_early:
                        break
        except openai.OpenAIError as exc:
            if not answer.ended_early:
                raise translate(exc, self._endpoint.provider) from exc
        yield from _delta_of(answer.finish())
        yield Delta("", answer.completion(load_litellm()))

    def _request(
        self,
        answer: IncomingAnswer,
        messages: Sequence[Message],
        params: GenerationParams,
        response_format: Mapping[str, Json] | None,
    ) -> Iterator[Chunk]:
        options: dict[str, object] = {"top_p": params.top_p} if params.top_p < 1 else {}
        if params.stop:
            options["stop"] = list(params.stop)
        if response_format is not None:
            options["response_format"] = response_format
        response: Iterator[Chunk] = load_litellm().completion(
            model=self._name,
            messages=[{"role": message.role, "content": message.content} for message in messages],
            api_base=self._endpoint.api_base,
            api_key=self._endpoint.key(),
            max_tokens=params.max_tokens,
            temperature=params.temperature,
            stream=True,
            stream_options={"include_usage": True},
            timeout=max(answer.remaining_s(), 0.01),
            num_retries=0,
            max_retries=0,
            drop_params=True,
            **options,
        )
        return response


class _Response:
    """A streamed response whose connection can be closed, which litellm's own object leaves to its inner one."""

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[Chunk]:
        return self._chunks

    def close(self) -> None:
        """Give the connection back."""
        close = getattr(getattr(self._chunks, "completion_stream", None), "close", None)
        if close is not None:
            close()


def _delta_of(text: str) -> Iterator[Delta]:
    if text:
        yield Delta(text)


@lru_cache(maxsize=1)
def load_litellm() -> ModuleType:
    """litellm, kept from fetching its price list and from reporting its use."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    return cast(ModuleType, litellm)
