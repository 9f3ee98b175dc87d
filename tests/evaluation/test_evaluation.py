"""Evaluation: the figures, the split, and the run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cancellation import CancelToken
from engine.domain import FaqPair, FaqStatus, utc_now
from engine.embedding.fake import HashingEmbedder
from engine.errors import CancelledError, ModelError
from engine.evaluation import Example, evaluate, held_out
from engine.evaluation.metrics import exact_match, normalise, percentile, token_f1


def make_pair(number: int, chunk: str | None = None) -> FaqPair:
    return FaqPair(
        id=f"{number:04}",
        collection_id="c",
        question=f"Question {number}?",
        answer="Yes.",
        quote="Yes.",
        document_id="d",
        document="d.md",
        page=1,
        heading="",
        score=1.0,
        status=FaqStatus.APPROVED,
        reason="",
        model="m",
        created_at=utc_now(),
        chunk_id=chunk,
    )


@pytest.mark.parametrize(
    ("answer", "reference", "f1", "exact"),
    [
        ("The shop opens at nine.", "shop opens at nine", 1.0, 1.0),
        ("at nine", "The shop opens at nine", 2 * 1.0 * 0.5 / 1.5, 0.0),
        ("never", "at nine", 0.0, 0.0),
        ("", "", 1.0, 1.0),
        ("", "nine", 0.0, 0.0),
        ("nine nine nine", "nine", 2 * (1 / 3) * 1.0 / (1 / 3 + 1.0), 0.0),
        ("60 €", "60", 1.0, 1.0),
    ],
)
def test_squad_figures(answer: str, reference: str, f1: float, exact: float) -> None:
    assert token_f1(answer, reference) == pytest.approx(f1)
    assert exact_match(answer, reference) == exact


@given(st.text(max_size=60), st.text(max_size=60))
def test_f1_is_symmetric_bounded_and_one_for_equal_texts(left: str, right: str) -> None:
    assert token_f1(left, right) == pytest.approx(token_f1(right, left))
    assert 0.0 <= token_f1(left, right) <= 1.0
    assert token_f1(left, left) == 1.0
    assert normalise(normalise(left)) == normalise(left)


def test_percentile_is_a_value_of_the_list() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile(values, 0.0)) == (3.0, 5.0, 1.0)
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_few_pairs_are_all_for_training() -> None:
    assert held_out([make_pair(number) for number in range(9)], 0.5) == []


@given(st.lists(st.integers(0, 12), min_size=10, max_size=60), st.floats(0.01, 0.5))
def test_the_split_is_stable_small_and_keeps_passages_together(chunks: list[int], fraction: float) -> None:
    pairs = [make_pair(number, f"chunk {chunk}") for number, chunk in enumerate(chunks)]
    chosen = held_out(pairs, fraction)
    assert chosen == held_out(list(reversed(pairs)), fraction)[::-1]
    assert len(chosen) < len(pairs)
    out = {pair.chunk_id for pair in chosen}
    assert all(pair in chosen for pair in pairs if pair.chunk_id in out)
    if len(set(chunks)) > 1:
        assert chosen


def test_each_target_answers_each_question() -> None:
    examples = [Example("When do you open?", "At nine."), Example("When do you close?", "At five.")]

    def echo(question: str) -> tuple[str, bool]:
        return "At nine.", True

    def silent(question: str) -> tuple[str, bool]:
        return "", False

    report = evaluate(examples, {"echo": echo, "silent": silent}, embedder=HashingEmbedder())
    figures = {target.target: target for target in report.targets}
    assert (figures["echo"].examples, figures["echo"].exact_match, figures["echo"].answered) == (2, 0.5, 1.0)
    assert (figures["silent"].token_f1, figures["silent"].similarity, figures["silent"].answered) == (0.0, 0.0, 0.0)
    assert len(report.scores) == 4
    assert figures["echo"].latency_p95_s >= figures["echo"].latency_p50_s > 0


def test_a_failing_target_scores_nothing_and_the_rest_goes_on() -> None:
    def fails(question: str) -> tuple[str, bool]:
        raise ModelError("broken")

    report = evaluate([Example("q?", "a")], {"bad": fails, "good": lambda question: ("a", True)}, embedder=HashingEmbedder())
    bad, good = report.targets
    assert (bad.errors, bad.token_f1) == (1, 0.0)
    assert good.token_f1 == 1.0
    assert report.scores[0].error == "broken"


def test_a_cancelled_evaluation_stops() -> None:
    cancel = CancelToken()

    def answer(question: str) -> tuple[str, bool]:
        cancel.cancel()
        return "a", True

    with pytest.raises(CancelledError):
        evaluate([Example("q?", "a")] * 2, {"t": answer}, embedder=HashingEmbedder(), cancel=cancel)
