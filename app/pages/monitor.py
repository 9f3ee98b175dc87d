"""Monitor: jobs, traces, metrics and the log."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st

from app.components.boundary import guarded
from app.components.empty import empty_state
from app.components.faq_table import ROW_HEIGHT, table_height
from app.components.jobs import is_active, job_card, job_title
from app.components.log_tail import log_tail
from app.components.text import clock, counted, duration
from app.components.trace_tree import show_trace
from app.resources import shared_engine
from engine.domain import Job
from engine.observability.logging import LOG_FILE

POLL_S = 1.0
MOST_JOBS = 200
LOG_LINES = 200


def render() -> None:
    """Show the page."""
    st.title("Monitor")
    jobs, traces, metrics, log = st.tabs(["Jobs", "Traces", "Metrics", "Log"])
    with jobs:
        any_active = any(is_active(job) for job in shared_engine().jobs.list(limit=MOST_JOBS))
        st.fragment(_jobs, run_every=POLL_S if any_active else None)(any_active)
    with traces:
        _traces()
    with metrics:
        _metrics()
    with log:
        _log()


@guarded
def _jobs(active_before: bool) -> None:
    jobs = shared_engine().jobs.list(limit=MOST_JOBS)
    if any(is_active(job) for job in jobs) != active_before:
        st.rerun()
    if not jobs:
        empty_state("pending_actions", "No jobs yet", "Extraction, fine-tuning and evaluation run as jobs.")
        return
    for job in jobs:
        if is_active(job):
            job_card(job)
    event = st.dataframe(
        _job_rows(jobs),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key="monitor-jobs",
        height=table_height(len(jobs), 12),
    )
    for row in event.selection.rows:
        if row < len(jobs):
            _job_details(jobs[row])


def _job_rows(jobs: Sequence[Job]) -> dict[str, list[str | float | None]]:
    return {
        "Job": [job_title(job) for job in jobs],
        "State": [job.state.value for job in jobs],
        "Progress": [f"{job.progress:.0%}" for job in jobs],
        "Message": [job.message for job in jobs],
        "Attempts": [f"{job.attempts} of {job.max_attempts}" for job in jobs],
        "Made": [clock(job.created_at) for job in jobs],
        "Took": [_took(job) for job in jobs],
        "Identifier": [job.id for job in jobs],
    }


def _took(job: Job) -> str:
    if job.started_at is None or job.finished_at is None:
        return ""
    return duration((job.finished_at - job.started_at).total_seconds())


def _job_details(job: Job) -> None:
    if not is_active(job):
        job_card(job)
    left, right = st.columns(2)
    left.caption("Request")
    left.json(dict(job.payload))
    right.caption("Result")
    right.json(dict(job.result or {}))


def _traces() -> None:
    log = shared_engine().traces
    recent = log.recent()
    if not recent:
        empty_state("account_tree", "No traces yet", "Every answer and every job leaves one, on this machine only.")
        return
    left, right = st.columns([2, 3], gap="medium")
    with left:
        event = st.dataframe(
            {
                "Trace": [trace.name for trace in recent],
                "Began": [clock(trace.start)[11:] for trace in recent],
                "Took": [duration(trace.seconds) for trace in recent],
                "Steps": [trace.span_count for trace in recent],
                "Errors": [trace.error_count for trace in recent],
            },
            hide_index=True,
            on_select="rerun",
            selection_mode="single-row",
            key="monitor-traces",
            height=table_height(len(recent), 14),
        )
    with right:
        chosen = event.selection.rows[0] if event.selection.rows else 0
        show_trace(log.spans(recent[min(chosen, len(recent) - 1)].trace_id))
    with st.expander("All steps by name"):
        steps = log.summary()
        st.dataframe(
            {
                "Step": [step.name for step in steps],
                "Count": [step.count for step in steps],
                "Errors": [step.errors for step in steps],
                "Median": [duration(step.p50_s) for step in steps],
                "95th percentile": [duration(step.p95_s) for step in steps],
                "Tokens in": [step.prompt_tokens for step in steps],
                "Tokens out": [step.completion_tokens for step in steps],
            },
            hide_index=True,
        )


def _metrics() -> None:
    metrics = shared_engine().metrics
    rows = [row for row in metrics.snapshot() if not math.isnan(row.value)]
    st.caption(f"{counted(len(rows), 'value')} of this process since it started.")
    st.dataframe(
        {
            "Metric": [row.metric for row in rows],
            "Labels": [row.labels for row in rows],
            "Value": [row.value for row in rows],
            "Meaning": [row.description for row in rows],
        },
        hide_index=True,
        row_height=ROW_HEIGHT,
        height=table_height(len(rows), 16),
    )
    port = shared_engine().settings.metrics_port
    st.caption("For Prometheus: set NEXUS_METRICS_PORT." if port is None else f"Served at `http://127.0.0.1:{port}/metrics`.")
    with st.expander("Prometheus text"):
        st.code(metrics.render().decode(), language=None, height=400)


def _log() -> None:
    path = shared_engine().settings.logs_dir / LOG_FILE
    st.caption(f"The last {LOG_LINES} lines of `{path}`.")
    lines = log_tail(path, LOG_LINES)
    st.button("Read again", icon=":material/refresh:")
    st.code("\n".join(lines) or "The log is empty.", language=None, height=520, wrap_lines=True)
