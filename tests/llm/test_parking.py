"""Finished conversations: parked outside the cache, limited in memory, and taken up again without being computed anew."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain import Message
from engine.llm.base import GenerationParams
from engine.llm.llamacpp import LlamaCppModel
from engine.llm.llamacpp.context import DecodingContext
from engine.llm.llamacpp.prefixes import ParkedSequences, ParkingSpace, common_prefix

TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=6).map(tuple)


@given(st.lists(st.tuples(TOKENS, st.integers(1, 9)), max_size=12), TOKENS)
def test_what_is_parked_is_found_and_never_takes_more_than_its_limit(entries: list[tuple], asked: tuple[int, ...]) -> None:
    parked = ParkedSequences(ParkingSpace(20))
    for tokens, size in entries:
        parked.park(tokens, b"x" * size)
        assert parked.size <= 20
    best, length = parked.best_for(asked)
    assert common_prefix(best, asked) == length
    if entries:
        newest, _ = entries[-1]
        assert length >= common_prefix(newest, asked)
    if length:
        parked.take(best)
        assert parked.best_for(best)[0] != best


def test_the_least_recently_parked_make_room() -> None:
    parked = ParkedSequences(ParkingSpace(3))
    for token in range(5):
        parked.park((token,), b"x")
    assert [parked.best_for((token,))[1] for token in range(5)] == [0, 0, 1, 1, 1]
    parked.park((9,), b"too long")
    assert parked.best_for((9,)) == ((), 0)


def test_what_cannot_fit_drives_nothing_out() -> None:
    parked = ParkedSequences(ParkingSpace(3))
    for token in range(3):
        parked.park((token,), b"x")
    parked.park((9,), b"too long")
    assert [parked.best_for((token,))[1] for token in (0, 1, 2, 9)] == [1, 1, 1, 0]


@given(st.lists(st.tuples(st.integers(0, 2), TOKENS, st.integers(1, 9)), max_size=20), st.integers(0, 2))
def test_all_contexts_of_a_model_park_within_one_limit(entries: list[tuple], closed: int) -> None:
    space = ParkingSpace(20)
    contexts = [ParkedSequences(space) for _ in range(3)]
    for number, tokens, size in entries:
        contexts[number].park(tokens, bytes([number]) * size)
        assert space.size == sum(context.size for context in contexts) <= 20
        assert contexts[number].look_at(tokens) == bytes([number]) * size
    contexts[closed].clear()
    assert contexts[closed].size == 0
    assert space.size == sum(context.size for context in contexts)


def test_the_least_recently_parked_make_room_whosever_they_are() -> None:
    space = ParkingSpace(3)
    first, second = ParkedSequences(space), ParkedSequences(space)
    for token in range(3):
        first.park((token,), b"x")
    second.park((7,), b"xx")
    assert [first.best_for((token,))[1] for token in range(3)] == [0, 0, 1]
    assert second.take((7,)) == b"xx"
    assert space.size == 1


@pytest.mark.models
@pytest.mark.parametrize(("limit", "read"), [(0, False), (1 << 30, True)])
def test_what_cannot_be_parked_is_not_read(chat_gguf: Path, monkeypatch: pytest.MonkeyPatch, limit: int, read: bool) -> None:
    sizes: list[tuple[int, int]] = []
    read_state = DecodingContext.read_state

    def reading(self: DecodingContext, sequence: int) -> bytes:
        expected = self.state_size(sequence)
        state = read_state(self, sequence)
        sizes.append((len(state), expected))
        return state

    monkeypatch.setattr("engine.llm.llamacpp.places.CELLS_KEPT", 50)
    monkeypatch.setattr(DecodingContext, "read_state", reading)
    model = LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=2, parked_bytes=limit)
    for word in ("tea ", "sea ", "bee "):
        model.complete([Message("user", word * 60)], GenerationParams(max_tokens=2))
    model.close()
    assert bool(sizes) is read
    assert all(size == expected for size, expected in sizes)


@pytest.mark.models
def test_a_conversation_goes_on_where_it_was_after_many_others(chat_gguf: Path) -> None:
    """There is room for three or four of these in the cache, and the first one comes back after seven others."""
    model = LlamaCppModel(chat_gguf, context_tokens=2048, max_sequences=2)
    params = GenerationParams(max_tokens=6)
    turns = [Message("user", "The kettle whistles, the tea is hot and the sea is calm. " * 20)]
    first = model.complete(turns, params)
    for number in range(7):
        model.complete([Message("user", f"{number} small boats sail past the harbour wall at noon. " * 20)], params)
    turns += [Message("assistant", first.text), Message("user", "And then?")]
    later = model.complete(turns, params)
    fresh = LlamaCppModel(chat_gguf, context_tokens=2048, max_sequences=2)
    expected = fresh.complete(turns, params)
    fresh.close()
    model.close()
    assert later.usage.cached_tokens > 0.8 * later.usage.prompt_tokens
    assert expected.usage.cached_tokens == 0
    assert later.text == expected.text
