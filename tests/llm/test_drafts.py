"""Guesses at what an answer copies."""

from hypothesis import given
from hypothesis import strategies as st

from engine.llm.llamacpp.drafts import FIRST, LONGEST, PAUSE, PromptLookup

TOKENS = st.lists(st.integers(0, 5), max_size=30)


def test_what_followed_in_the_text_is_guessed() -> None:
    lookup = PromptLookup([[1, 2, 3, 4, 5, 6]], 99)
    assert lookup.guess([9, 2, 3], 10) == [4, 5, 6]
    assert lookup.guess([9, 2, 3], 2) == [4, 5]


def test_a_token_that_is_there_twice_says_nothing_and_two_in_a_row_do() -> None:
    lookup = PromptLookup([[7, 1, 8, 1, 9]], 99)
    assert lookup.guess([1], 5) == []
    assert lookup.guess([8, 1], 5) == [9]


def test_a_guess_does_not_run_from_one_text_into_the_next() -> None:
    assert PromptLookup([[1, 2, 3], [4, 5]], 99).guess([1, 2], 5) == [3]


@given(st.lists(TOKENS, max_size=3), TOKENS, st.integers(0, 20))
def test_a_guess_is_a_run_of_one_of_the_texts(sources: list[list[int]], tokens: list[int], limit: int) -> None:
    guess = PromptLookup(sources, 999).guess(tokens, limit)
    assert len(guess) <= min(limit, FIRST)
    if guess:
        runs = {tuple(source[at : at + len(guess)]) for source in sources for at in range(len(source))}
        assert tuple(guess) in runs


def test_the_answers_own_phrases_are_guessed_and_the_prompts_are_not() -> None:
    lookup = PromptLookup([], 3)
    assert lookup.guess([1, 2, 3, 1, 2], 5) == []
    assert lookup.guess([1, 2, 3, 1, 2, 4, 5, 1, 2], 5) == [4, 5, 1, 2]
    assert lookup.guess([1, 2, 3, 1, 2, 4, 5, 1, 2, 6, 1, 2], 2) == [6, 1]


def test_right_guesses_grow_and_wrong_ones_shrink_and_pause() -> None:
    source = list(range(100))
    lookup = PromptLookup([source], 999)
    lengths = []
    for _ in range(3):
        guess = lookup.guess([10, 11], 99)
        lengths.append(len(guess))
        lookup.learn(len(guess), len(guess), 2)
    assert lengths == [FIRST, 2 * FIRST, LONGEST]
    lookup.learn(LONGEST, 0, 20)
    assert len(lookup.guess([10, 11], 99)) == LONGEST // 2
    lookup.learn(LONGEST // 2, 0, 2)
    assert lookup.guess([10, 11], 99) == []
    assert lookup.guess([0] * PAUSE + [10, 11], 99) != []
