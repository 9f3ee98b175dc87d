"""The curve of a fine-tune on the page: read once, small however long it gets, and true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from app.components.training_curve import MOST_POINTS, Curve, Story, thinned
from app.components.training_monitor import figures
from engine.db.session import Database
from engine.db.tables import JobEventRow
from engine.domain import Json, utc_now
from engine.jobs import JobQueue

LONG = 20_000
Row = Mapping[str, Json]


class Reports:
    """The reports of a job; counts those that are read."""

    def __init__(self, queue: JobQueue, job_id: str) -> None:
        self.queue, self.job_id, self.read = queue, job_id, 0

    def __call__(self, last: int) -> Iterator[tuple[int, Row]]:
        for report in self.queue.events_after(self.job_id, last):
            self.read += 1
            yield report


@pytest.fixture
def long_training(tmp_path: Path) -> Reports:
    """A job with twenty thousand steps, with a look at every thousandth."""
    database = Database(tmp_path / "nexus.db")
    queue = JobQueue(database)
    job = queue.submit("finetune", {})
    looks = {step: {"eval_loss": step / LONG, "samples": [{"answer": str(step)}]} for step in range(1000, LONG + 1, 1000)}
    rows = [{"step": step, "steps": 2 * LONG, "loss": 1 / step, **looks.get(step, {})} for step in range(1, LONG + 1)]
    with database.write() as session:
        session.execute(insert(JobEventRow), [{"job_id": job.id, "data": row, "created_at": utc_now()} for row in rows])
    return Reports(queue, job.id)


def test_a_refresh_reads_only_the_new_steps_of_a_long_training(long_training: Reports) -> None:
    story = Story()
    story.follow(long_training)
    assert long_training.read == LONG
    story.follow(long_training)
    assert long_training.read == LONG
    for step in range(LONG + 1, LONG + 4):
        long_training.queue.emit(long_training.job_id, {"step": step, "loss": 0.25})
    story.follow(long_training)
    assert long_training.read == LONG + 3
    assert story.last == {"step": LONG + 3, "loss": 0.25}
    assert story.held_out == 1.0
    assert story.look is not None
    assert story.look["step"] == LONG
    points = story.curve.rows()
    assert MOST_POINTS / 2 <= len(points) <= MOST_POINTS
    assert points[-1]["step"] == LONG + 3
    assert sum(point["eval_loss"] is not None for point in points) == LONG / 1000


def test_notices_are_told_once(long_training: Reports) -> None:
    story = Story()
    for _ in range(2):
        long_training.queue.emit(long_training.job_id, {"notice": "Memory ran out."})
    story.follow(long_training)
    assert story.notices == ["Memory ran out."]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=3 * MOST_POINTS))
def test_a_point_is_the_mean_of_its_steps(losses: list[float]) -> None:
    curve = Curve()
    for step, loss in enumerate(losses, start=1):
        curve.add({"step": step, "loss": loss})
    groups = [losses[at : at + curve.width] for at in range(0, len(losses), curve.width)]
    assert len(groups) <= MOST_POINTS
    assert [row["loss"] for row in curve.rows()] == pytest.approx([sum(group) / len(group) for group in groups])


def test_a_short_curve_stays_as_it_is() -> None:
    rows = [{"step": step, "loss": 1.0, "eval_loss": None, "learning_rate": 2e-4, "grad_norm": None} for step in range(1, 9)]
    assert thinned(rows) == rows


def test_steps_that_are_taken_again_replace_those_before() -> None:
    rows = thinned({"step": step, "loss": first} for first, step in ((1, 1), (1, 2), (1, 3), (1, 4), (2, 3)))
    assert [(row["step"], row["loss"]) for row in rows] == [(1, 1), (2, 1), (3, 2)]


@given(st.integers(1, 3 * MOST_POINTS), st.integers(1, 3 * MOST_POINTS))
def test_a_resumed_curve_is_in_order_and_ends_where_it_is(first: int, back_to: int) -> None:
    curve = Curve()
    for step in [*range(1, first + 1), *range(min(first, back_to), first + 2)]:
        curve.add({"step": step, "loss": 1.0})
    steps = [row["step"] for row in curve.rows()]
    assert steps == sorted(set(steps), key=int)
    assert steps[-1] == first + 1


def test_what_is_no_step_is_no_point() -> None:
    assert thinned([{"notice": "x"}, {"step": None}]) == []
    assert figures({"step": 3, "loss": 0.5}, 0.25) == {"Step": "3 of 0", "Loss": "0.500", "Held-out loss": "0.250"}
