"""Which examples belong together, and which groups are held out."""

from collections import defaultdict
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.training.datasets.split import LEAST_EXAMPLES, MOST_ANSWERED_ALIKE, Row, groups_of, held_out_groups

ROWS = st.lists(
    st.builds(
        Row,
        source=st.sampled_from(["", "", "page 1", "page 2", "page 3"]),
        question=st.sampled_from(["What does it cost?", "How much is the plan?", "When do you open?", "?", "Öffnet ihr?"])
        | st.text(max_size=12),
        answer=st.sampled_from(["", "Yes.", "It costs five euros a month."]) | st.text(max_size=12),
    ),
    max_size=40,
)


def together(*rows: Row) -> bool:
    return len(set(groups_of(list(rows)))) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Row("c1", "When do you open?", "At nine."), Row("c1", "What does it cost?", "Five euros.")),
        (Row("c1", "When do you open?", "At nine."), Row("c2", "when DO you open", "At ten.")),
        (Row("", "How much does the plan cost?", "5"), Row("", "What does the plan cost?", "6")),
        (Row("", "How much is it?", "It costs five euros a month."), Row("", "Price?", "It costs  five euros a month")),
        (Row("", "How long is the warranty?", "2 years"), Row("", "How long does the warranty last?", "2 years")),
    ],
)
def test_one_passage_one_question_and_one_fact_are_one_group(one: Row, other: Row) -> None:
    assert together(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Row("c1", "When do you open?", "At nine."), Row("c2", "What does it cost?", "Five euros.")),
        (Row("", "What does plan 1 cost?", "5 euros"), Row("", "What does plan 2 cost?", "6 euros")),
        (Row("", "Is breakfast included?", "Yes."), Row("", "May dogs come along?", "Yes.")),
        (Row("", "", ""), Row("", "What does it cost?", "")),
    ],
)
def test_different_facts_are_different_groups(one: Row, other: Row) -> None:
    assert not together(one, other)


def test_groups_are_joined_in_a_chain() -> None:
    assert together(Row("c1", "Where is it?", "a"), Row("c2", "where is it", "b"), Row("c2", "What does it cost?", "c"))


def test_a_label_joins_nothing() -> None:
    answer = "This one belongs to the first class"
    rows = [Row("", f"Text number {number}", answer) for number in range(MOST_ANSWERED_ALIKE + 1)]
    assert len(set(groups_of(rows))) == len(rows)
    assert len(set(groups_of(rows[1:]))) == 1


@given(ROWS, st.floats(0.0, 0.5), st.randoms(use_true_random=False))
def test_groups_and_choice_do_not_depend_on_the_order(rows: list[Row], fraction: float, random: Random) -> None:
    shuffled = list(enumerate(rows))
    random.shuffle(shuffled)
    groups = groups_of(rows)
    again = dict(zip((index for index, _ in shuffled), groups_of([row for _, row in shuffled]), strict=True))
    assert [again[index] for index in range(len(rows))] == groups
    assert held_out_groups(groups, fraction) == held_out_groups([groups[index] for index, _ in shuffled], fraction)


@given(ROWS, st.floats(0.01, 0.5))
def test_nothing_stands_on_both_sides(rows: list[Row], fraction: float) -> None:
    groups = groups_of(rows)
    out = held_out_groups(groups, fraction)
    sides: dict[tuple[str, str], set[bool]] = defaultdict(set)
    for row, group in zip(rows, groups, strict=True):
        if row.source:
            sides["source", row.source].add(group in out)
        sides["question", row.question].add(group in out)
        sides["answer", row.answer if len(row.answer.split()) >= 5 else group].add(group in out)
    assert all(len(side) == 1 for side in sides.values())
    if len(rows) >= LEAST_EXAMPLES and len(set(groups)) > 1:
        assert out
        assert out < set(groups)
    else:
        assert not out


@given(st.lists(st.integers(0, 30), min_size=LEAST_EXAMPLES, max_size=80), st.floats(0.01, 0.5))
def test_no_more_is_held_out_than_was_asked_for_where_groups_are_small_enough(numbers: list[int], fraction: float) -> None:
    groups = [str(number) for number in numbers]
    out = held_out_groups(groups, fraction)
    held = sum(group in out for group in groups)
    smallest = min(groups.count(group) for group in groups)
    assert held <= max(1, round(fraction * len(groups)), smallest)
