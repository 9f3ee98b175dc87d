"""Reasoning is kept apart from the answer, however the tokens fall."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.llm.llamacpp.reasoning import MARKS, Marks, ReplyReader, marks_of

THINK, MISTRAL, GEMMA = MARKS


def read(reply: bytes, size: int = 3, *, marks: Marks | None = THINK, opened: bool = False, stop: tuple[str, ...] = ()):
    """What a reader makes of a reply that comes in tokens of so many bytes: the answer, the reasoning, the reader."""
    reader = ReplyReader(stop, marks, opened=opened)
    said = [reader.feed(reply[at : at + size]) for at in range(0, len(reply), size)]
    said.append(reader.finish())
    text, reasoning = "".join(piece.text for piece in said), "".join(piece.reasoning for piece in said)
    assert (text, reasoning) == (reader.text, reader.reasoning)
    return text, reasoning, reader


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
@pytest.mark.parametrize(
    ("reply", "opened", "answer", "reasoning"),
    [
        (b"<think>\nHm, 2 < 3.\n</think>\n\nThree.", False, "Three.", "Hm, 2 < 3."),
        (b"Hm.\n</think>\n\nThree.", True, "Three.", "Hm."),
        (b"\n\n<think>Hm.</think>Three. ", False, "Three. ", "Hm."),
        (b"<think>\n\n</think>\n\nThree.", False, "Three.", ""),
        (b"Three.", False, "Three.", ""),
        (b" Three <think>is</think> it", False, " Three <think>is</think> it", ""),
        (b"<think>never closed </thi", False, "", "never closed </thi"),
        (b"never closed  ", True, "", "never closed"),
        (b"<thin air", False, "<thin air", ""),
        (b"<thi", False, "<thi", ""),
        ("<think>日本</think>é".encode(), False, "é", "日本"),
        (b"<think>a</think>", False, "", "a"),
        (b"", True, "", ""),
    ],
)
def test_marks_in_the_text(size: int, reply: bytes, opened: bool, answer: str, reasoning: str) -> None:
    assert read(reply, size, opened=opened)[:2] == (answer, reasoning)


@given(
    reply=st.text(st.sampled_from("<think>/ \nx"), max_size=40),
    opened=st.booleans(),
    cuts=st.lists(st.integers(1, 9), min_size=1),
)
def test_how_the_tokens_fall_does_not_matter(reply: str, opened: bool, cuts: list[int]) -> None:
    whole = read(reply.encode(), 1000, opened=opened)[:2]
    reader, rest = ReplyReader((), THINK, opened=opened), reply.encode()
    for at in cuts:
        reader.feed(rest[:at])
        rest = rest[at:]
    reader.feed(rest)
    reader.finish()
    assert (reader.text, reader.reasoning) == whole


def test_reasoning_is_passed_on_as_it_comes() -> None:
    reader = ReplyReader((), THINK, opened=True)
    assert [reader.feed(piece).reasoning for piece in (b"One", b" two", b" <", b"3")] == ["One", " two", "", " <3"]


def test_special_tokens_may_be_the_marks_and_are_never_shown() -> None:
    reader = ReplyReader((), MISTRAL)
    tokens = [
        (b"[THINK]", True),
        (b"Hm", False),
        (b"<s>", True),
        (b".", False),
        (b"[/THINK]", True),
        (b"<s>", True),
        (b"Yes", False),
    ]
    said = [reader.feed(piece, special=special) for piece, special in tokens]
    assert ("".join(piece.text for piece in said), "".join(piece.reasoning for piece in said)) == ("Yes", "Hm.")


@pytest.mark.parametrize("size", [1, 4, 100])
@pytest.mark.parametrize(
    ("reply", "answer", "reasoning"),
    [
        (b"<|channel>thought\nHm, 2 < 3.\n<channel|>Three.", "Three.", "Hm, 2 < 3."),
        (b"<|channel>thought\n<channel|>Three.", "Three.", ""),
        (b"Three <|channel>", "Three <|channel>", ""),
        (b"<|channel>thought\nnever closed", "", "never closed"),
    ],
)
def test_the_marks_of_gemma(size: int, reply: bytes, answer: str, reasoning: str) -> None:
    assert read(reply, size, marks=GEMMA)[:2] == (answer, reasoning)


def test_stop_texts_end_the_answer_alone() -> None:
    text, reasoning, reader = read(b"<think>a. b.</think>c. d", stop=(".",))
    assert (text, reasoning, reader.stopped) == ("c", "a. b.", True)


def test_without_marks_all_is_the_answer() -> None:
    assert read(b"<think>x</think>\n y", marks=None)[:2] == ("<think>x</think>\n y", "")


def test_the_template_says_which_marks_a_model_has() -> None:
    assert marks_of("{{ content.split('</think>')[-1] }}") == THINK
    assert marks_of("[THINK]{{ thought }}[/THINK]") == MISTRAL
    assert marks_of("{{ '<|channel>thought\n<channel|>' }}") == GEMMA
    assert marks_of("{{ '<|channel|>analysis<|message|>' }}") is None
    assert marks_of("{{ content }}") is None
    assert marks_of(None) is None
