"""What the model sees of data, and what is said about them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain import Message
from engine.errors import InputError
from engine.training.datasets.encoding import ChatEncoder, open_encoder
from engine.training.datasets.examples import TrainingExample, examples_from_pairs, make_dataset, with_held_out
from engine.training.datasets.preview import MOST_MEASURED, DatasetPreview, few_note, preview_dataset

CONTEXT = 512
PAIR = TrainingExample.from_pair("When do you open?", "At 8:30.")


@pytest.fixture(scope="module")
def encoder(tiny_gguf: Path) -> Iterator[ChatEncoder]:
    with open_encoder(tiny_gguf) as encoder:
        yield encoder


def look(encoder: ChatEncoder, *examples: TrainingExample, limit: int = 400, shown: int = 5) -> DatasetPreview:
    return preview_dataset(make_dataset(examples, 0.0), encoder, limit, shown=shown)


def test_the_text_is_that_of_the_template_and_the_answer_alone_is_learnt(encoder: ChatEncoder) -> None:
    (shown,) = look(encoder, PAIR).examples
    masked = "<|im_start|>user\nWhen do you open?<|im_end|>\n<|im_start|>assistant\n"
    assert "".join(piece.text for piece in shown.pieces if not piece.learnt) == masked
    assert "".join(piece.text for piece in shown.pieces if piece.learnt) == "At 8:30.<|im_end|>"
    assert [piece.text for piece in shown.pieces if piece.special].count("<|im_end|>") == 2
    assert (shown.tokens, shown.learnt_tokens) == (len(encoder.encode_example(PAIR).tokens), len("At 8:30.") + 1)


def test_what_people_type_is_never_a_control_token(encoder: ChatEncoder) -> None:
    (shown,) = look(encoder, TrainingExample.from_pair("<|im_end|> or <b>?", "<|im_start|>")).examples
    assert sum(piece.special for piece in shown.pieces) == 4
    assert "<|im_start|><|im_end|>" in "".join(piece.text for piece in shown.pieces if piece.learnt)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_every_character_is_shown_once(encoder: ChatEncoder, question: str, answer: str) -> None:
    example = TrainingExample.from_pair(question, answer)
    pieces = encoder.pieces(encoder.encode_example(example))
    assert "".join(piece.text for piece in pieces if piece.learnt and not piece.special) == example.answer
    assert f"user\n{example.question}" in "".join(piece.text for piece in pieces if not piece.special)


def test_what_is_too_long_is_counted_and_shown_as_it_is_cut(encoder: ChatEncoder) -> None:
    long_answer = TrainingExample.from_pair("Why?", "x" * 300)
    long_question = TrainingExample.from_pair("y" * 300, "No.")
    found = look(encoder, PAIR, long_answer, long_question, limit=200)
    assert (found.truncated, found.skipped, found.measured) == (1, 1, 3)
    cut = found.examples[1]
    assert cut.truncated
    assert cut.tokens == 200
    assert not any(piece.special for piece in cut.pieces if piece.learnt)
    assert not any(piece.learnt for piece in found.examples[2].pieces)
    assert any("1 answer will be cut" in note for note in found.notes)
    assert any("1 example will be left out" in note for note in found.notes)


def test_no_example_is_longer_than_the_context(encoder: ChatEncoder) -> None:
    example = TrainingExample.from_pair("Why?", "x" * 2 * CONTEXT)
    assert look(encoder, example, limit=10_000).max_length == CONTEXT
    assert len(encoder.encode([example], 10_000).items[0].tokens) == CONTEXT


def test_a_held_out_part_that_is_too_long_is_no_reason_to_stop(encoder: ChatEncoder) -> None:
    example = TrainingExample.from_pair("y" * 300, "No.")
    assert encoder.encode([example], 200, required=False).skipped == 1
    with pytest.raises(InputError, match="200 tokens"):
        encoder.encode([example], 200)


def test_figures(encoder: ChatEncoder) -> None:
    pairs = [(f"Question {number}?", f"Answer {number}.") for number in range(20)]
    examples = [*with_held_out(examples_from_pairs(pairs), 0.2), PAIR, PAIR, TrainingExample(PAIR.prompt, "At 9.")]
    found = look(encoder, *examples)
    assert (found.learnt, found.held_out, found.duplicates, found.conflicts, found.groups) == (18, 4, 1, 1, 21)
    assert sum(count for _, count in found.histogram()) == found.measured == 18
    assert found.histogram()[-1][0] >= found.lengths[-1] == found.length_at(1.0) >= found.length_at(0.5)
    assert any("different answers" in note for note in found.notes)
    assert found.to_json()["learnt"] == 18


def test_a_base_without_a_chat_template_is_a_remark(encoder: ChatEncoder) -> None:
    assert any("no chat template" in note for note in look(encoder, PAIR).notes)


def test_one_of_each_kind_is_shown_first(encoder: ChatEncoder) -> None:
    later = TrainingExample((*PAIR.prompt, Message("assistant", "At 8:30."), Message("user", "Why?")), "So.", "", "follow-up")
    examples = [*examples_from_pairs((f"Question {number}?", "Yes.") for number in range(9)), later]
    assert [example.kind for example in look(encoder, *examples, shown=3).examples] == ["pair", "follow-up", "pair"]
    assert len(look(encoder, *examples, shown=50).examples) == 10


def test_very_many_examples_are_sampled(encoder: ChatEncoder) -> None:
    examples = examples_from_pairs((f"Question {number}?", f"{number}") for number in range(MOST_MEASURED + 1))
    found = look(encoder, *examples)
    assert (found.learnt, found.measured) == (MOST_MEASURED + 1, MOST_MEASURED // 2 + 1)


def test_few_examples_are_a_remark() -> None:
    assert "Only 3 examples" in (few_note(3) or "")
    assert "1 example:" in (few_note(1) or "")
    assert few_note(10) is None
