"""How a fine-tune goes: figures of its last step, curves, and what the model answers by now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import streamlit as st

from app.components.loss_chart import loss_chart
from app.components.text import duration, number, plain, shown_value, size, string
from app.resources import shared_engine
from engine.domain import Job, JobState, Json

Row = Mapping[str, Json]

MOST_POINTS = 400
"""Steps that a chart shows; of more, every second, third … is left out."""
SHORT_CHART = 140
_CURVES = (("Learning rate", "learning_rate"), ("Gradient norm, before clipping", "grad_norm"))


def training_monitor(job: Job) -> None:
    """Show a fine-tune that runs or is paused; of one that has ended what should be known, its curves are with its adapter."""
    if notice := string(job.result or {}, "notice"):
        st.warning(plain(notice), icon=":material/info:")
    if job.state not in (JobState.RUNNING, JobState.QUEUED, JobState.PAUSED):
        return
    events = shared_engine().jobs.events(job.id)
    rows = steps_of(events)
    for text in dict.fromkeys(string(event, "notice") for event in events):
        if text:
            st.warning(plain(text), icon=":material/info:")
    if not rows:
        return
    _figures(rows, running=job.state is JobState.RUNNING)
    shown = rows[:: max(1, -(-len(rows) // MOST_POINTS))]
    loss_chart(_with_looks(shown, rows))
    _curves(shown)
    _answers(rows)


def steps_of(events: Iterable[Row]) -> list[Row]:
    """The last report of each step, in order: a training that was resumed takes some steps again."""
    rows: dict[float, Row] = {}
    for event in events:
        step = number(event, "step")
        if step is not None:
            rows = {at: row for at, row in rows.items() if at < step} if step in rows else rows
            rows[step] = event
    return [rows[step] for step in sorted(rows)]


def figures(rows: Sequence[Row]) -> dict[str, str]:
    """What the last step tells, in words; of the held-out loss the last one that was measured."""
    last = rows[-1]
    held_out = next((value for row in reversed(rows) if (value := number(row, "eval_loss")) is not None), None)
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


def _figures(rows: Sequence[Row], *, running: bool) -> None:
    left = number(rows[-1], "eta_s")
    with st.container(horizontal=True, gap="medium"):
        for label, text in figures(rows).items():
            st.metric(label, text, width="content")
        if running and left is not None:
            st.metric("Time left", duration(left), width="content")


def _curves(rows: Sequence[Row]) -> None:
    for column, (title, name) in zip(st.columns(len(_CURVES)), _CURVES, strict=True):
        points = [(number(row, "step"), number(row, name)) for row in rows]
        known = [(step, value) for step, value in points if step is not None and value is not None]
        if known:
            with column:
                st.caption(title)
                data = {"step": [step for step, _ in known], title: [value for _, value in known]}
                st.line_chart(data, x="step", y=title, height=SHORT_CHART, y_label="")


def _answers(rows: Sequence[Row]) -> None:
    """What the model answered at the last look."""
    look = next((row for row in reversed(rows) if row.get("samples")), None)
    samples = None if look is None else look.get("samples")
    if look is None or not isinstance(samples, list):
        return
    st.markdown(f"**What it answers at step {number(look, 'step') or 0:.0f}**")
    for sample in samples:
        if isinstance(sample, dict):
            kind = "learnt" if sample.get("taught") is True else "held out"
            st.markdown(f"{plain(string(sample, 'question'))} :gray[({kind})]")
            st.text(string(sample, "answer") or "…")
            st.caption(f"Expected: {plain(string(sample, 'expected'))}")


def _with_looks(shown: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """The rows of a chart, with all of those on which the held-out loss was measured."""
    chosen = {id(row) for row in shown}
    return [row for row in rows if id(row) in chosen or number(row, "eval_loss") is not None]


def _memory(row: Row, now: str, most: str) -> str:
    used, peak = number(row, now), number(row, most)
    return "" if used is None else size(used) if peak is None else f"{size(used)} ({size(peak)})"
