"""What every chat model offers, whichever library is behind it.

Lives here: the `ChatModel` protocol, the parameters of a generation and the constraints on its output. Strategies live in
`engine.llm.llamacpp` (the local runtime), `engine.llm.cloud` (providers and OpenAI-compatible servers) and
`engine.llm.fake` (tests).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from engine.cancellation import CancelToken
from engine.domain import Completion, Delta, Json, Message

ALL_THOUGHT = "The model thought for as long as the answer may be, and did not get to it. Allow a longer answer."
"""Notice of a completion that its limit ended within the reasoning."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """The output is a JSON value of this JSON schema. Strings and arrays without a limit get one (`engine.llm.constraints`)."""

    schema: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Regex:
    """The whole output matches this regular expression."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Lark:
    """The output is derived from this Lark grammar, in llguidance's dialect."""

    grammar: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The output is one of these texts."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """The output is a run of whole words of one of these texts, copied character by character."""

    texts: tuple[str, ...]


Constraint = JsonSchema | Regex | Lark | Choice | Span


@dataclass(frozen=True, slots=True)
class GenerationParams:
    """How to generate.

    `temperature` 0 is greedy. `adapter` is the path of a GGUF LoRA adapter for the model's base. `timeout_s` bounds the
    whole generation, waiting included; when it runs out the text so far is returned with `FinishReason.TIMEOUT`.
    `priority`: lower goes first; 0 for a person who waits, 10 for jobs.
    `prefix` is text that the answer begins with: it is decoded as part of the prompt and not repeated in the completion's text.
    `frequency_penalty` is taken off a token's score for each time it was used lately, `presence_penalty` once if it was.
    `logprobs`: with each token its log-probability, and as many of the likeliest at its place; None for none. They are of the
    model's own distribution, before penalties, temperature and constraints.
    `draft_from` are texts that the answer probably copies from: their words are proposed and checked several at a time, which
    changes the speed and not the answer.
    `thinking` says whether a local model may think before it answers, where its chat template lets one choose; None: as the
    template has it, but never under a constraint or after a prefix, which leave no place for it. Tokens of the reasoning count
    towards `max_tokens`: an answer that is short by nature is better asked for with False.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    adapter: Path | None = None
    constraint: Constraint | None = None
    timeout_s: float | None = None
    cancel: CancelToken | None = None
    priority: int = 0
    prefix: str = ""
    logprobs: int | None = None
    draft_from: tuple[str, ...] = ()
    thinking: bool | None = None

    @property
    def may_think(self) -> bool | None:
        """`thinking` as a chat template is told it: False where there is no place for a thought."""
        return False if self.constraint is not None or self.prefix else self.thinking


@dataclass(frozen=True, slots=True)
class Request:
    """A conversation to be answered, and how."""

    messages: tuple[Message, ...]
    params: GenerationParams = GenerationParams()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a chat model can do."""

    adapters: bool = False
    grammars: bool = False
    """Regex, Lark and Choice constraints are enforced while decoding."""
    json_schema: bool = False
    local: bool = True
    """No byte leaves this machine."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes of the languages that it was trained for, as its file says; empty: nothing is said."""


@runtime_checkable
class ChatModel(Protocol):
    """Answers conversations. All methods may be called from any thread at the same time."""

    @property
    def name(self) -> str:
        """The name under which the model is listed."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What this model can do."""
        ...

    @property
    def context_length(self) -> int:
        """Tokens that prompt and answer may take together."""
        ...

    def complete(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Completion:
        """Answer the conversation.

        Raises:
            ContextOverflowError: the conversation does not fit.
            ModelError, ProviderError: the model failed.
        """
        ...

    def stream(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Iterator[Delta]:
        """Answer piece by piece; the last piece carries the whole completion. Closing the iterator stops the generation."""
        ...

    def generate_many(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Answer many conversations, yielding (index, completion) as each ends, in any order."""
        ...

    def count_tokens(self, text: str) -> int:
        """The number of tokens of a text, special tokens off."""
        ...

    def close(self) -> None:
        """Give back memory and threads. A closed model refuses further calls with `ModelError`."""
        ...
