"""A model that is asked to give its memory back, for a training that needs it, and answers again afterwards."""

import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from engine.domain import Message
from engine.llm.base import GenerationParams
from engine.llm.llamacpp import LlamaCppModel

HELLO = (Message("user", "Say hello."),)
FEW = GenerationParams(max_tokens=4)


@pytest.fixture
def model(chat_gguf: Path) -> Iterator[LlamaCppModel]:
    model = LlamaCppModel(chat_gguf, context_tokens=2048, max_sequences=1)
    yield model
    model.close()


def test_weights_are_given_back_and_the_next_answer_is_the_same(model: LlamaCppModel) -> None:
    before = model.complete(HELLO, FEW).text
    loaded = psutil.Process().memory_info().rss
    assert model.rest() is True
    assert loaded - psutil.Process().memory_info().rss > 50_000_000
    assert model.rest() is True  # once more changes nothing
    assert model.complete(HELLO, FEW).text == before


def test_an_answer_under_way_is_not_cut_short(model: LlamaCppModel) -> None:
    whole = model.complete(HELLO, GenerationParams(max_tokens=60)).text
    pieces = model.stream(HELLO, GenerationParams(max_tokens=60))
    text = next(pieces).text
    rested: list[bool] = []
    waiting = threading.Thread(target=lambda: rested.append(model.rest()))
    waiting.start()
    text += "".join(piece.text for piece in pieces)
    waiting.join(30)
    assert text == whole
    assert rested == [True]


def test_a_model_that_was_never_asked_or_was_closed_has_nothing_to_give(chat_gguf: Path) -> None:
    model = LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=1)
    assert model.rest() is True
    model.complete(HELLO, FEW)
    model.close()
    assert model.rest(wait_s=5) is True
