"""The local runtime as a chat model."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue

from engine.domain import Completion, Delta, Message
from engine.errors import ContextOverflowError, InputError, ModelError, NexusError
from engine.llm.base import Capabilities, ChatModel, GenerationParams, Request
from engine.llm.llamacpp.fitting import BATCH_TOKENS, MOST_PARKED_MB
from engine.llm.llamacpp.generation import Event, Generation
from engine.llm.llamacpp.loading import ChooseWeights
from engine.llm.llamacpp.long_rope import LongRope, long_rope
from engine.llm.llamacpp.model_files.inspection import Inspection
from engine.llm.llamacpp.options import RuntimeOptions, Statistics
from engine.llm.llamacpp.prefix_store import PrefixFolder
from engine.llm.llamacpp.prompting.prompts import PromptBuilder
from engine.llm.llamacpp.scheduler import Scheduler, adapter_file
from engine.llm.llamacpp.tokens import Token
from engine.machine import usable_physical_cores

MAX_LOGPROBS = 20
"""As many as the large providers give."""

RESTING_S = 30.0
"""How long `rest` waits for answers under way."""

_AHEAD = 2
"""`generate_many` keeps this many times the live sequences in the queue, so that a free place is taken at once."""


class LlamaCppModel(ChatModel):
    """A GGUF model, decoded in this process by llama.cpp with continuous batching.

    Nothing is loaded before the first use; then the vocabulary stays until `close`, and the weights until they were idle
    for `idle_unload_s`. Base and adapters answer at the same time over one copy of the weights.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str | None = None,
        context_tokens: int = 8192,
        max_sequences: int = 8,
        threads: int | None = None,
        gpu_layers: int = -1,
        idle_unload_s: float = 900,
        batch: int = BATCH_TOKENS,
        parked_bytes: int = MOST_PARKED_MB << 20,
        weights: ChooseWeights | None = None,
        prefixes: PrefixFolder | None = None,
        inspection: Inspection | None = None,
        languages: tuple[str, ...] = (),
        long_positions: bool = False,
    ) -> None:
        """Describe the model; see `engine.config.Settings` for the limits.

        Args:
            path: a GGUF file.
            name: as listed; by default the file's name without its ending.
            context_tokens: cells of each context, shared by its sequences.
            max_sequences: generations that are decoded together.
            threads: processor threads; by default one for each physical core.
            gpu_layers: layers on the GPU where llama.cpp has one; -1 for all.
            idle_unload_s: seconds without a request after which the weights are given back.
            batch: tokens of one decode.
            parked_bytes: memory for conversations that no longer fit into the contexts.
            weights: gives the file to load in place of `path`, such as a copy in another format.
            prefixes: where the keys and values of instructions are left for the next time.
            inspection: lets the model's files through; by default one that remembers for as long as this process lives.
            languages: that it was trained for, ISO 639-1 codes; empty where the file does not say.
            long_positions: whether a LongRoPE model takes its long factors (`engine.llm.llamacpp.long_rope`).
        """
        self._name = name or path.stem
        self._languages = languages
        count = threads or usable_physical_cores()
        self._options = RuntimeOptions(
            path,
            context_tokens,
            max_sequences,
            count,
            gpu_layers,
            idle_unload_s,
            batch,
            parked_bytes,
            weights,
            prefixes,
            long_positions,
        )
        self._inspection = inspection or Inspection(path, gpu_layers=gpu_layers, threads=count)
        self._lock = threading.Lock()
        self._prompts: PromptBuilder | None = None
        self._scheduler: Scheduler | None = None
        self._rope: LongRope | None = None
        self._closed = False

    @property
    def name(self) -> str:
        """The name under which the model is listed."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """All of them: adapters and every kind of constraint, on this machine alone."""
        return Capabilities(adapters=True, grammars=True, json_schema=True, local=True, languages=self._languages)

    @property
    def context_length(self) -> int:
        """Tokens that prompt and answer may take together: the context's size, or what the model was trained for; of a
        LongRoPE model with short positions, what these were trained for."""
        trained = self._open()[0].vocabulary.trained_context
        if self._rope is not None:
            trained = self._rope.longest(long_positions=self._options.long_positions)
        return min(self._options.cells, trained) if trained else self._options.cells

    def complete(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Completion:
        """Answer the conversation. See `ChatModel`.

        Raises:
            InputError: a parameter or the constraint is not valid.
            ContextOverflowError: prompt and answer can never fit.
            AdapterError: the adapter cannot be used.
            ModelError: the model file cannot be used, or the model was closed.
        """
        ((_, completion),) = self.generate_many((Request(tuple(messages), params),))
        return completion

    def stream(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Iterator[Delta]:
        """Answer piece by piece. See `ChatModel` and `complete`."""
        events: SimpleQueue[Event] = SimpleQueue()
        generation = self._submit(messages, params, events.put)
        try:
            while True:
                delta = _unwrap(events.get())
                yield delta
                if delta.completion is not None:
                    return
        finally:
            generation.cancel()

    def generate_many(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Answer many conversations. See `ChatModel`; an error of one of them ends all."""
        ends: SimpleQueue[tuple[int, Completion | NexusError]] = SimpleQueue()
        running: dict[int, Generation] = {}
        upcoming = iter(enumerate(requests))
        try:
            for _ in requests:
                while len(running) < _AHEAD * self._options.max_live and (entry := next(upcoming, None)) is not None:
                    running[entry[0]] = self._submit(entry[1].messages, entry[1].params, _end_of(entry[0], ends))
                index, end = ends.get()
                del running[index]
                if isinstance(end, NexusError):
                    raise end
                yield index, end
        finally:
            for generation in running.values():
                generation.cancel()

    def count_tokens(self, text: str) -> int:
        """The number of tokens of a text, special tokens off."""
        return len(self._open()[0].text(text))

    def chat_prompt_tokens(self, messages: Sequence[Message]) -> list[Token]:
        """The prompt that this conversation becomes, with the header of the assistant's turn.

        Raises:
            ModelError: the model's chat template refuses the conversation.
        """
        return self._open()[0].chat(messages)

    @property
    def statistics(self) -> Statistics:
        """What the decode thread has done since the first use."""
        return self._open()[1].statistics

    def rest(self, wait_s: float = RESTING_S) -> bool:
        """Give the weights back as soon as nothing is asked for; the next request loads them again.

        Returns whether they are gone within `wait_s` seconds.
        """
        with self._lock:
            scheduler = self._scheduler
        return scheduler is None or scheduler.rest(wait_s)

    def close(self) -> None:
        """End what runs, free the weights, end the thread; within about two seconds. May be called again."""
        self._inspection.close()  # before the lock, which whoever waits for a first load may come to hold
        with self._lock:
            self._closed = True
            prompts, scheduler = self._prompts, self._scheduler
        if scheduler is not None:
            scheduler.close()
        if prompts is not None:
            prompts.close()

    def _open(self) -> tuple[PromptBuilder, Scheduler]:
        """The vocabulary's side and the decode thread's side, made on first use."""
        self._inspection.require_model()
        with self._lock:
            if self._closed:
                raise ModelError("The model was closed.", hint="Load it again.")
            if self._prompts is None or self._scheduler is None:
                self._rope = long_rope(self._options.path)
                self._prompts = PromptBuilder(self._options.path)
                self._scheduler = Scheduler(self._options, self._prompts.vocabulary)
                # These run, last first, when this object is collected and before the interpreter leaves, which a thread
                # in a decode would crash.
                weakref.finalize(self, self._prompts.close)
                weakref.finalize(self, self._scheduler.close)
            return self._prompts, self._scheduler

    def _submit(self, messages: Sequence[Message], params: GenerationParams, deliver: Callable[[Event], None]) -> Generation:
        _check(params)
        prompts, scheduler = self._open()
        prompt = prompts.chat(messages, thinking=params.may_think) + prompts.text(params.prefix)
        self._check_fit(len(prompt), params.max_tokens)
        adapter = None if params.adapter is None else adapter_file(params.adapter)
        if adapter is not None:
            self._inspection.require_adapter(adapter.path)
        grammar = prompts.grammar(params.constraint)
        sources = [prompts.text(text) for text in params.draft_from]
        generation = Generation(prompt, params, self._name, deliver, adapter, grammar, sources)
        scheduler.submit(generation)
        return generation

    def _check_fit(self, prompt_tokens: int, max_tokens: int) -> None:
        limit = self.context_length
        if prompt_tokens + max_tokens > limit:
            raise ContextOverflowError(
                f"The conversation takes {prompt_tokens} tokens and its answer up to {max_tokens}; the context holds {limit}.",
                hint=f"Shorten the conversation, or allow a shorter answer.{self._larger()}",
            )

    def _larger(self) -> str:
        """What a person can do who wants longer conversations with a model whose short positions end them."""
        if self._rope is None or self._options.long_positions:
            return ""
        return (
            f" For longer ones set NEXUS_CONTEXT_TOKENS to more than {self._rope.original}; adapters need a new training then."
        )


def _check(params: GenerationParams) -> None:
    penalties = params.repeat_penalty, params.frequency_penalty, params.presence_penalty
    if not all(map(math.isfinite, (params.temperature, params.top_p, params.min_p, *penalties))):
        raise InputError("Temperature, top-p, min-p and the penalties must be finite numbers.")
    if params.timeout_s is not None and math.isnan(params.timeout_s):
        raise InputError("The time limit must be a number.")
    if params.max_tokens < 1:
        raise InputError(f"An answer needs at least one token, not {params.max_tokens}.")
    if params.logprobs is not None and not 0 <= params.logprobs <= MAX_LOGPROBS:
        raise InputError(f"Log-probabilities can be had of 0 to {MAX_LOGPROBS} tokens at each place, not {params.logprobs}.")
    if params.repeat_penalty <= 0:
        raise InputError(f"The repeat penalty must be above zero, not {params.repeat_penalty}.")


def _unwrap(event: Event) -> Delta:
    if isinstance(event, NexusError):
        raise event
    return event


def _end_of(index: int, ends: SimpleQueue[tuple[int, Completion | NexusError]]) -> Callable[[Event], None]:
    """Passes on how a generation ended, and not its pieces: each would wake the asking thread for nothing."""

    def deliver(event: Event) -> None:
        end = event if isinstance(event, NexusError) else event.completion
        if end is not None:
            ends.put((index, end))

    return deliver
