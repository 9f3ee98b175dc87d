"""What a person sees of a fine-tune that runs or is paused, and the buttons that steer it."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from app.components.loss_chart import joined
from engine.container import Engine
from engine.domain import Job, JobState, JobWish

OWNER = "host:1:test"
ROW = {
    "steps": 10,
    "loss": 1.5,
    "eval_loss": None,
    "learning_rate": 2e-4,
    "grad_norm": 0.75,
    "tokens_per_s": 512.0,
    "memory": 1_900_000_000,
    "memory_peak": 2_100_000_000,
    "gpu_temperature": 61,
    "eta_s": 42.0,
}
OpenPage = Callable[[str], AppTest]


@pytest.fixture
def training(engine: Engine, hostile: str) -> Job:
    """A fine-tune at its fourth step, with a look at the second."""
    job = engine.jobs.submit("finetune", {"name": "second", "collection": "Handbook"})
    engine.jobs.claim(OWNER, ["finetune"])
    sample = {"question": hostile, "expected": hostile, "answer": hostile, "taught": False}
    for step in range(1, 5):
        look = {"eval_loss": 2.25, "samples": [sample]} if step == 2 else {}
        engine.jobs.emit(job.id, {**ROW, "step": step, **look})
    engine.jobs.emit(job.id, {"notice": "Memory ran out at step 3."})
    return engine.jobs.get(job.id)


def metrics(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def test_figures_curves_answers_and_notices(training: Job, open_page: OpenPage, hostile: str) -> None:
    page = open_page("finetune")
    shown = metrics(page)
    assert shown["Loss"] == "1.500"
    assert shown["Held-out loss"] == "2.250"
    assert shown["Learning rate"] == "2.0e-04"
    assert shown["Gradient norm"] == "0.75"
    assert shown["Memory (most)"] == "1.9 GB (2.1 GB)"
    assert shown["GPU temperature"] == "61 °C"
    assert shown["Time left"] == "42 s"
    assert "GPU memory (most)" not in shown
    charts = [*page.get("vega_lite_chart"), *page.get("arrow_vega_lite_chart")]
    assert len(charts) == 3
    assert any(text.value == hostile for text in page.text)
    assert any("Memory ran out" in warning.value for warning in page.warning)
    assert not page.exception


def test_pause_and_stop(engine: Engine, training: Job, open_page: OpenPage) -> None:
    page = open_page("finetune")
    page.button(key=f"pause-{training.id}").click().run()
    assert engine.jobs.get(training.id).wish is JobWish.PAUSE
    assert page.button(key=f"stop-{training.id}").disabled
    engine.jobs.park(training.id, OWNER, "Paused at step 4 of 10.")
    page = open_page("finetune")
    assert metrics(page)["Loss"] == "1.500"
    assert "Time left" not in metrics(page)
    page.button(key=f"stop-{training.id}").click().run()
    woken = engine.jobs.get(training.id)
    assert (woken.state, woken.wish) == (JobState.QUEUED, JobWish.STOP)


def test_a_paused_fine_tune_is_resumed_or_cancelled(engine: Engine, training: Job, open_page: OpenPage) -> None:
    engine.jobs.pause(training.id)
    engine.jobs.park(training.id, OWNER, "Paused")
    page = open_page("finetune")
    page.button(key=f"resume-{training.id}").click().run()
    assert engine.jobs.get(training.id).state is JobState.QUEUED
    engine.jobs.pause(training.id)
    page = open_page("finetune")
    page.button(key=f"cancel-{training.id}").click().run()
    assert engine.jobs.get(training.id).state is JobState.ABORTED


def test_what_should_be_known_of_one_that_has_ended(engine: Engine, training: Job, open_page: OpenPage) -> None:
    engine.jobs.succeed(training.id, OWNER, {"adapter": "second", "notice": "Training ended at step 4, because of *NaN*."})
    page = open_page("finetune")
    assert any("Training ended at step 4" in warning.value for warning in page.warning)
    assert "Loss" not in metrics(page)


def test_the_held_out_loss_is_a_line_between_its_looks() -> None:
    assert joined([1, 2, 4, 5, 6], [None, 3.0, None, None, 1.0]) == [None, 3.0, 2.0, 1.5, 1.0]
    assert joined([1, 2], [None, 1.0]) == [None, 1.0]
    assert joined([], []) == []
