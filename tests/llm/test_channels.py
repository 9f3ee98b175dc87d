"""Replies in channels, as gpt-oss gives them, come apart into reasoning and answer."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.llm.llamacpp.channels import ChannelReader

MARK = re.compile(rb"(<\|\w+\|>)")
Piece = tuple[bytes, bool]


def pieces(reply: str, size: int = 1000) -> list[Piece]:
    """A reply as tokens: each mark one special token, text in tokens of so many bytes."""
    found: list[Piece] = []
    for part in MARK.split(reply.encode()):
        if MARK.fullmatch(part):
            found.append((part, True))
        else:
            found += [(part[at : at + size], False) for at in range(0, len(part), size)]
    return found


def read(tokens: list[Piece], *, answering: bool = False, stop: tuple[str, ...] = ()) -> tuple[str, str, ChannelReader]:
    reader = ChannelReader(stop, answering=answering)
    said = []
    for piece, special in tokens:
        said.append(reader.feed(piece, special=special))
        if reader.stopped:
            break
    said.append(reader.finish())
    text, reasoning = "".join(piece.text for piece in said), "".join(piece.reasoning for piece in said)
    assert (text, reasoning) == (reader.text, reader.reasoning)
    return text, reasoning, reader


ANALYSIS, FINAL = "<|channel|>analysis<|message|>", "<|start|>assistant<|channel|>final<|message|>"


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize(
    ("reply", "answer", "reasoning"),
    [
        (f"{ANALYSIS}Hm, é.<|end|>{FINAL}2 + 2 = 4 ☕", "2 + 2 = 4 ☕", "Hm, é."),
        (f"{ANALYSIS}One.<|end|><|start|>assistant{ANALYSIS}Two.<|end|>{FINAL}Yes", "Yes", "One.\n\nTwo."),
        (f"{ANALYSIS}cut off", "", "cut off"),
        (f"{ANALYSIS}Hm<|end|><|start|>assis", "", "Hm"),
        ("<|channel|>final<|message|>Yes", "Yes", ""),
        ("<|channel|>final <|constrain|>json<|message|>{}", "{}", ""),
        ("<|channel|>commentary to=functions.f<|message|>{}<|end|>", "", "{}"),
        ("<|message|>Yes", "Yes", ""),
        (f"{ANALYSIS}Hm<|end|>{FINAL}Yes<|end|>{ANALYSIS}never read", "Yes", "Hm"),
        ("Just an answer.", "Just an answer.", ""),
        ("", "", ""),
    ],
)
def test_what_is_said_in_which_channel(reply: str, answer: str, reasoning: str, size: int) -> None:
    assert read(pieces(reply, size))[:2] == (answer, reasoning)


def test_names_of_marks_in_the_text_are_text() -> None:
    tokens = [*pieces(ANALYSIS), (b"a<|end|>", False), *pieces(f"<|end|>{FINAL}"), (b"b<|end|>c", False)]
    assert read(tokens)[:2] == ("b<|end|>c", "a<|end|>")


def test_after_the_header_in_the_prompt_all_is_the_answer() -> None:
    assert read(pieces("Yes."), answering=True)[:2] == ("Yes.", "")


def test_stop_texts_end_the_answer_alone() -> None:
    text, reasoning, reader = read(pieces(f"{ANALYSIS}a. b<|end|>{FINAL}c. d", 1), stop=(".",))
    assert (text, reasoning, reader.stopped) == ("c", "a. b", True)


def test_reasoning_and_answer_are_passed_on_as_they_come() -> None:
    reader = ChannelReader()
    said = [reader.feed(piece, special=special) for piece, special in pieces(f"{ANALYSIS}Hm", 1)]
    assert [piece.reasoning for piece in said][-2:] == ["H", "m"]


@given(st.lists(st.sampled_from(["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>", "final", "x", " "])))
def test_any_order_of_marks_is_read(parts: list[str]) -> None:
    text, reasoning, _ = read(pieces("".join(parts)))
    assert "<|" not in text + reasoning
