"""A chunk from a text, and a chat model that says what a test tells it to."""

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from engine.domain import Chunk, Completion, Delta, FinishReason, Message
from engine.llm.base import Capabilities, ChatModel, GenerationParams, Request

Answering = Callable[[str], str]


class ToldModel:
    """Answers each request with what `answer` makes of the last message; remembers what it was asked."""

    def __init__(self, answer: Answering, *, backwards: bool = False) -> None:
        self.answer = answer
        self.backwards = backwards
        self.requests: list[Request] = []
        self._lock = threading.Lock()

    name = "told"
    context_length = 2048
    capabilities = Capabilities(grammars=True)

    def complete(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Completion:
        with self._lock:
            self.requests.append(Request(tuple(messages), params))
        return Completion(self.answer(messages[-1].content), FinishReason.STOP, self.name)

    def stream(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Iterator[Delta]:
        completion = self.complete(messages, params)
        yield Delta(completion.text, completion)

    def generate_many(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        order = range(len(requests))
        for position in reversed(order) if self.backwards else order:
            yield position, self.complete(requests[position].messages, requests[position].params)

    def count_tokens(self, text: str) -> int:
        return len(text) // 4

    def close(self) -> None:
        pass


@pytest.fixture
def told() -> Callable[..., ToldModel]:
    """Makes a model from a function of the prompt."""
    model = ToldModel(str)
    assert isinstance(model, ChatModel)
    return ToldModel


@pytest.fixture
def chunk_of() -> Callable[..., Chunk]:
    """Makes a chunk that is a whole page."""

    def make(text: str, *headings: str, index: int = 0, page: int = 1) -> Chunk:
        return Chunk(f"chunk{index}", "document", index, page, 0, len(text), text, headings)

    return make
