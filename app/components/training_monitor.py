"""How a fine-tune goes: figures of its last step, curves, and what the model answers by now."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from app.components.loss_chart import loss_chart
from app.components.text import counted, duration, number, plain, shown_value, size, string
from app.components.training_curve import Row, Story
from app.resources import shared_engine
from app.state import tab_state
from engine.domain import Job, JobState, Json

SHORT_CHART = 140
_CURVES = (("Learning rate", "learning_rate"), ("Gradient norm, before clipping", "grad_norm"))


def training_monitor(job: Job) -> None:
    """Show a fine-tune that runs or is paused; of one that has ended what should be known, its curves are with its adapter."""
    if notice := string(job.result or {}, "notice"):
        st.warning(plain(notice), icon=":material/info:")
    stories = tab_state().stories
    if job.state not in (JobState.RUNNING, JobState.QUEUED, JobState.PAUSED):
        stories.pop(job.id, None)
        return
    story = stories.setdefault(job.id, Story())
    story.follow(partial(shared_engine().jobs.events_after, job.id))
    for text in story.notices:
        st.warning(plain(text), icon=":material/info:")
    if story.last is None:
        return
    _figures(story, story.last, running=job.state is JobState.RUNNING)
    rows = story.curve.rows()
    loss_chart(rows)
    _curves(rows)
    if story.curve.width > 1:
        st.caption(f"Each point is the mean of {counted(story.curve.width, 'step')}.")
    if story.look is not None:
        sample_answers(number(story.look, "step"), story.look.get("samples"))


def figures(last: Row, held_out: float | None) -> dict[str, str]:
    """What the last step tells, in words, and the held-out loss as it was measured last."""
    found = {
        "Step": f"{number(last, 'step') or 0:.0f} of {number(last, 'steps') or 0:.0f}",
        "Loss": shown_value(number(last, "loss"), "{:.3f}"),
        "Held-out loss": shown_value(held_out, "{:.3f}"),
        "Learning rate": shown_value(number(last, "learning_rate"), "{:.1e}"),
        "Gradient norm": shown_value(number(last, "grad_norm"), "{:.2f}"),
        "Tokens a second": shown_value(number(last, "tokens_per_s"), "{:,.0f}"),
        "Memory (most)": _memory(last, "memory", "memory_peak"),
        "GPU memory (most)": _memory(last, "gpu_memory", "gpu_memory_peak"),
        "GPU temperature": shown_value(number(last, "gpu_temperature"), "{:.0f} °C"),
    }
    return {label: text for label, text in found.items() if text}


def _figures(story: Story, last: Row, *, running: bool) -> None:
    left = number(last, "eta_s")
    with st.container(horizontal=True, gap="medium"):
        for label, text in figures(last, story.held_out).items():
            st.metric(label, text, width="content")
        if running and left is not None:
            st.metric("Time left", duration(left), width="content")


def _curves(rows: Sequence[Row]) -> None:
    for column, (title, name) in zip(st.columns(len(_CURVES)), _CURVES, strict=True):
        points = [(number(row, "step"), number(row, name)) for row in rows]
        known = [(step, value) for step, value in points if step is not None and value is not None]
        if len(known) > 1:
            with column:
                st.caption(title)
                data = {"step": [step for step, _ in known], title: [value for _, value in known]}
                st.line_chart(data, x="step", y=title, height=SHORT_CHART, y_label="")


def sample_answers(step: float | None, samples: Json) -> None:
    """What the model answered at a look; nothing where it was not asked."""
    if not isinstance(samples, list) or not samples:
        return
    st.markdown(f"**What it answers at step {step or 0:.0f}**")
    for sample in samples:
        if isinstance(sample, dict):
            kind = "learnt" if sample.get("taught") is True else "held out"
            st.markdown(f"{plain(string(sample, 'question'))} :gray[({kind})]")
            st.text(string(sample, "answer") or "…")
            st.caption(f"Expected: {plain(string(sample, 'expected'))}")


def _memory(row: Row, now: str, most: str) -> str:
    used, peak = number(row, now), number(row, most)
    return "" if used is None else size(used) if peak is None else f"{size(used)} ({size(peak)})"
