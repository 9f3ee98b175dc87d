"""Stored prompt beginnings: found, checked, limited; and with the real model, used after it was loaded again."""

import os
from pathlib import Path

import pytest

from engine.domain import Message
from engine.errors import NotFoundError
from engine.llm.base import GenerationParams, Request
from engine.llm.llamacpp import LlamaCppModel
from engine.llm.llamacpp.prefix_store import PrefixFolder, PrefixStore
from engine.llm.llamacpp.prefixes import MOST_NOTED, Beginnings
from engine.model_registry.files import INCOMING

STATE = bytes(range(256)) * 4


def _store(folder: Path, origin: str = "model", limit: int = 1 << 20) -> PrefixStore:
    return PrefixStore(folder, origin=origin, limit_bytes=limit)


def test_the_longest_beginning_is_found_again(tmp_path: Path) -> None:
    store = _store(tmp_path / "new")
    assert store.save([1, 2], STATE[:10])
    assert store.save([1, 2, 3], STATE)
    for reader in (store, _store(tmp_path / "new")):
        found = reader.best_for([1, 2, 3, 4])
        assert found is not None
        assert found.tokens == (1, 2, 3)
        assert reader.load(found) == STATE
        assert reader.best_for([1, 3]) is None


def test_a_state_of_another_model_is_not_used(tmp_path: Path) -> None:
    _store(tmp_path, "one").save([1, 2, 3], STATE)
    assert _store(tmp_path, "other").best_for([1, 2, 3]) is None


@pytest.mark.parametrize("place", [0, 200, -1])
def test_a_damaged_file_is_never_given_to_llama_cpp(tmp_path: Path, place: int) -> None:
    _store(tmp_path).save([1, 2, 3], STATE)
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(data)
    store = _store(tmp_path)
    found = store.best_for([1, 2, 3])
    if found is not None:
        with pytest.raises(NotFoundError):
            store.load(found)
        assert store.best_for([1, 2, 3]) is None
        assert not path.exists()


def test_a_file_that_vanished_is_said_to_be_gone(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.save([1, 2, 3], STATE)
    found = store.best_for([1, 2, 3])
    assert found is not None
    found.path.unlink()
    with pytest.raises(NotFoundError):
        store.load(found)


def test_the_least_recently_used_make_room(tmp_path: Path) -> None:
    store = _store(tmp_path, limit=3 * len(STATE))
    for number, name in enumerate(([1], [2])):
        store.save(name, STATE)
        found = store.best_for(name)
        assert found is not None
        os.utime(found.path, (number, number))
    found = store.best_for([1])
    assert found is not None
    store.load(found)
    assert store.save([3], STATE)
    assert [bool(store.best_for([n])) for n in (1, 2, 3)] == [True, False, True]
    assert not store.save([4], STATE * 4)


def test_what_killed_processes_left_unfinished_does_not_stay(tmp_path: Path) -> None:
    old, now = tmp_path / f"{INCOMING}a", tmp_path / f"{INCOMING}b"
    for path in (old, now):
        path.write_bytes(STATE)
    os.utime(old, (0, 0))
    _store(tmp_path)
    assert list(tmp_path.iterdir()) == [now]


def test_a_folder_that_cannot_be_written_stores_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not _store(tmp_path / "file" / "folder").save([1], STATE)


def test_beginnings_that_never_come_again_are_forgotten_before_those_that_do() -> None:
    noted = Beginnings()
    for number in range(4 * MOST_NOTED):
        noted.note([number])
        if number % 100 == 0:
            noted.note([7, 7])
        assert len(noted) <= MOST_NOTED
    assert noted.commonest(4) == [(7, 7)]


@pytest.mark.models
def test_an_instruction_is_not_computed_again_after_loading(chat_gguf: Path, tmp_path: Path) -> None:
    instruction = Message("system", "You sell kettles and know all about water, steam and tea. " * 16)
    params = GenerationParams(max_tokens=6)

    def model() -> LlamaCppModel:
        return LlamaCppModel(chat_gguf, context_tokens=2048, max_sequences=4, prefixes=PrefixFolder(tmp_path, 1 << 28))

    first = model()
    questions = ["Hi", "Which one is red?", "And what of the blue one?"]
    answers = [first.complete((instruction, Message("user", question)), params) for question in questions]
    first.close()
    assert len(list(tmp_path.iterdir())) == 1
    again = model()
    answer = again.complete((instruction, Message("user", questions[0])), params)
    later = list(again.generate_many([Request((instruction, Message("user", question)), params) for question in questions]))
    again.close()
    assert answer.usage.cached_tokens > 128
    assert answer.text == answers[0].text
    assert {completion.text for _, completion in later} == {answer.text for answer in answers}


@pytest.mark.models
def test_a_question_that_is_asked_again_and_again_is_not_left_on_disk(chat_gguf: Path, tmp_path: Path) -> None:
    question = [Message("user", "My secret is this. " + "It is long and nobody else may read it. " * 20)]
    model = LlamaCppModel(chat_gguf, context_tokens=2048, gpu_layers=0, prefixes=PrefixFolder(tmp_path, 64 << 20))
    for _ in range(4):  # such as somebody who wants another answer
        model.complete(question, GenerationParams(max_tokens=4))
    list(model.generate_many([Request(tuple(question), GenerationParams(max_tokens=4))] * 3))
    model.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.models
def test_a_conversation_is_not_left_on_disk(chat_gguf: Path, tmp_path: Path) -> None:
    model = LlamaCppModel(chat_gguf, context_tokens=2048, max_sequences=2, prefixes=PrefixFolder(tmp_path, 1 << 28))
    turns = [Message("user", "My name is Ada Lovelace and this is my life so far. " * 16)]
    for question in ("What is my name?", "And my age?", "Thank you."):
        answer = model.complete(turns, GenerationParams(max_tokens=8))
        turns += [Message("assistant", answer.text), Message("user", question)]
    model.close()
    assert list(tmp_path.iterdir()) == []
