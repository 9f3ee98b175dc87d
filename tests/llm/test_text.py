"""Text from token bytes: whole characters, nothing from a stop text on, nothing lost."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.llm.llamacpp.prefixes import KeptSequence, KeptSequences, common_prefix
from engine.llm.llamacpp.text import TextAssembler

WORDS = st.text(st.sampled_from("ab€😀é"), max_size=30)


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]


@given(text=WORDS, cuts=st.lists(st.integers(0, 120), max_size=20))
def test_any_cut_gives_the_text_back(text: str, cuts: list[int]) -> None:
    assembler = TextAssembler()
    shown = [assembler.feed(piece) for piece in _pieces(text.encode(), cuts)] + [assembler.finish()]
    assert "".join(shown) == text == assembler.text


@given(
    text=WORDS, cuts=st.lists(st.integers(0, 120), max_size=20), stop=st.text(st.sampled_from("ab€"), min_size=1, max_size=4)
)
def test_nothing_from_a_stop_text_on_is_shown(text: str, cuts: list[int], stop: str) -> None:
    assembler = TextAssembler((stop,))
    shown = [assembler.feed(piece) for piece in _pieces(text.encode(), cuts)] + [assembler.finish()]
    assert "".join(shown) == text.partition(stop)[0]
    assert assembler.stopped is (stop in text)


def test_half_a_character_is_held_back_and_dropped_at_the_end() -> None:
    assembler = TextAssembler()
    assert assembler.feed(b"a\xf0\x9f") == "a"
    assert assembler.finish() == ""


def test_bytes_that_are_no_text_are_marked() -> None:
    assert TextAssembler().feed(b"a\xffb") == "a\ufffdb"


@given(st.lists(st.integers(0, 2), max_size=12), st.lists(st.integers(0, 2), max_size=12))
def test_the_common_prefix_is_the_longest(first: list[int], second: list[int]) -> None:
    length = common_prefix(first, second)
    assert first[:length] == second[:length]
    assert first[length : length + 1] != second[length : length + 1] or length == min(len(first), len(second))


def test_the_kept_sequence_with_the_most_in_common_is_found() -> None:
    kept = KeptSequences()
    one, two = KeptSequence(0, (1, 2, 3)), KeptSequence(1, (1, 2, 9, 9))
    kept.add(one)
    kept.add(two)
    assert kept.best_for([1, 2, 9, 5]) == (two, 3)
    assert kept.best_for([7]) == (None, 0)
    assert kept.oldest() is one
    kept.touch(one)
    assert kept.oldest() is two
    assert kept.oldest(spare=two) is one
