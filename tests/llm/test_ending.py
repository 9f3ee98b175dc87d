"""How the local runtime ends: soon, whatever it is doing, and with an answer to everybody who waits."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.domain import Message
from engine.llm.base import GenerationParams
from engine.llm.llamacpp import LlamaCppModel
from engine.llm.llamacpp.prefix_store import PrefixFolder, PrefixStore

HELLO = (Message("user", "Hello"),)
FEW = GenerationParams(max_tokens=2)


def _ask_about_tea(model: LlamaCppModel) -> None:
    """Leaves a beginning that is worth storing."""
    instruction = Message("system", "You sell kettles and know all about water, steam and tea. " * 16)
    for question in ("Hi", "Which one is red?", "And what of the blue one?"):
        model.complete((instruction, Message("user", question)), FEW)


def _after(calls: int) -> Callable[[], bool]:
    """Says no so many times, then yes."""
    answers = iter([False] * calls)
    return lambda: next(answers, True)


# --- storing beginnings


@pytest.mark.parametrize("calls", range(5))
def test_a_beginning_whose_time_is_up_leaves_nothing_behind(tmp_path: Path, calls: int) -> None:
    store = PrefixStore(tmp_path, origin="model", limit_bytes=1 << 30)
    assert not store.save([1, 2, 3], bytes(40 << 20), _after(calls))
    assert list(tmp_path.glob("*")) == []
    assert store.best_for([1, 2, 3]) is None


def test_a_beginning_of_several_pieces_is_stored_whole(tmp_path: Path) -> None:
    state = bytes(range(256)) * (80 << 10)
    assert PrefixStore(tmp_path, origin="model", limit_bytes=1 << 30).save([1, 2, 3], state, _after(1000))
    reader = PrefixStore(tmp_path, origin="model", limit_bytes=1 << 30)
    found = reader.best_for([1, 2, 3])
    assert found is not None
    assert reader.load(found) == state


@pytest.mark.models
def test_what_there_is_no_time_to_store_is_counted(
    chat_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("engine.llm.llamacpp.scheduler.STORING_S", 0.0)
    model = LlamaCppModel(chat_gguf, context_tokens=2048, prefixes=PrefixFolder(tmp_path, 1 << 28))
    _ask_about_tea(model)
    with caplog.at_level(logging.INFO, "engine.llm.llamacpp"):
        model.close()
    assert list(tmp_path.iterdir()) == []
    assert any(record.getMessage().startswith("1 prompt beginning") for record in caplog.records)
