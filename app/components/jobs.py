"""Background work as people see it: progress, time left, cancel, resume, result or error, live while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

import streamlit as st

from app.components.boundary import guarded, show_stored_error
from app.components.text import ago, duration, plain, shortened, string
from app.resources import shared_engine
from engine.domain import CONTROLLABLE, Job, JobState, JobWish, utc_now
from engine.jobs.wishes import RESUMABLE

Colour = Literal["gray", "blue", "green", "red", "orange"]

TITLES = {
    "extract": "Extract FAQ pairs",
    "ingest": "Index",
    "finetune": "Fine-tune",
    "rehearse": "Measure a fine-tune",
    "evaluate": "Evaluate",
    "optimise": "Speed up",
    "add-model": "Add a model",
    "export-adapter": "Export the adapter",
    "import-adapter": "Import an adapter",
}
COLOURS: dict[JobState, Colour] = {
    JobState.QUEUED: "gray",
    JobState.RUNNING: "blue",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.ABORTED: "orange",
    JobState.CANCELLED: "orange",
    JobState.PAUSED: "gray",
}
POLL_S = 1.0
SHOWN_FOR = timedelta(minutes=15)
"""How long the card of an ended job stays on the page that started it; the Monitor keeps it."""
MOST_CARDS = 6
TELLING = 0.1
"""Progress from which the time that is left is told: until then it is mostly that of reading files and loading a model."""

Details = Callable[[Job], None]
"""Shows more of a job below its progress, such as a loss curve."""


def is_active(job: Job) -> bool:
    """Whether the job waits or runs."""
    return not job.state.ended


def is_unfinished(job: Job) -> bool:
    """Whether there is more to do: the job waits, runs, or is paused."""
    return is_active(job) or job.state is JobState.PAUSED


def is_working(kinds: Iterable[str]) -> bool:
    """Whether a job of one of these kinds waits or runs."""
    return bool(_active_ids(_shown(kinds)))


def job_title(job: Job) -> str:
    """What the job does, to what."""
    files = job.payload.get("files")
    names = [string(file, "name") for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    subject = ", ".join(names) or string(job.payload, "name") or string(job.payload, "collection")
    title = TITLES.get(job.kind, job.kind)
    return f"{title}: {subject}" if subject else title


def job_cards(
    kinds: Sequence[str],
    details: Details | None = None,
    *,
    ended: bool = True,
    watch: Callable[[], object] = lambda: None,
) -> None:
    """Cards of the active and (with `ended`) the lately ended jobs of some kinds; they follow the work until it ends.

    The whole page runs again when a job begins or ends, and when what `watch` gives has changed.
    """
    active = _active_ids(_shown(kinds))
    fragment = st.fragment(_cards, run_every=POLL_S if active else None)
    fragment(tuple(kinds), (active, watch()), details, ended, watch)


def _shown(kinds: Iterable[str]) -> list[Job]:
    since = utc_now() - SHOWN_FOR
    jobs = [job for kind in kinds for job in shared_engine().jobs.list(kind, limit=50)]
    recent = [job for job in jobs if is_unfinished(job) or (job.finished_at is not None and job.finished_at > since)]
    recent.sort(key=lambda job: job.created_at, reverse=True)
    active = sorted((job for job in recent if is_active(job)), key=_turn)
    ended = [job for job in recent if not is_active(job)]
    return [*active, *ended][: max(MOST_CARDS, len(active))]


def _turn(job: Job) -> tuple[bool, datetime]:
    """What runs comes first, then what waits, in the order in which it will be done."""
    return job.state is JobState.QUEUED, job.created_at


def _active_ids(jobs: Iterable[Job]) -> frozenset[str]:
    return frozenset(job.id for job in jobs if is_active(job))


@guarded
def _cards(
    kinds: Sequence[str],
    before: tuple[frozenset[str], object],
    details: Details | None,
    ended: bool,
    watch: Callable[[], object],
) -> None:
    jobs = _shown(kinds)
    if (_active_ids(jobs), watch()) != before:
        st.rerun()  # the whole page: what the job made belongs to other parts of it, and polling may end
    waiting = [job for job in jobs if job.state is JobState.QUEUED]
    done = [job for job in jobs if job.state is JobState.SUCCEEDED and ended]
    for job in jobs:
        if job.state is JobState.RUNNING or (ended and job.state in RESUMABLE):
            job_card(job, details)
    _folded("Waiting", waiting, details)
    _folded("Lately done", done, details)


def _folded(title: str, jobs: Sequence[Job], details: Details | None) -> None:
    """Cards of jobs that there is little to say of; several are folded away, so that what stands below stays in view."""
    if len(jobs) == 1:
        job_card(jobs[0], details)
    elif jobs:
        with st.expander(f"{title}: {len(jobs)}", key=f"jobs-{title}"):
            for job in jobs:
                job_card(job, details)


def job_card(job: Job, details: Details | None = None) -> None:
    """One job: state, progress, time left, buttons, and its error if it has one."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(job.state.value, color=COLOURS[job.state])
            st.markdown(f"**{plain(shortened(job_title(job), 70))}**", width="content")
            st.caption(" · ".join(filter(None, (_times(job), _outcome(job)))), width="stretch")
            _buttons(job)
        if job.state is JobState.RUNNING:
            st.progress(job.progress, text=plain(_progress_text(job)))
        if job.error is not None:
            show_stored_error(job.error)
        if details is not None:
            details(job)


def _times(job: Job) -> str:
    parts = [ago(job.created_at)]
    if job.started_at is not None and job.finished_at is not None:
        parts.append(f"took {duration((job.finished_at - job.started_at).total_seconds())}")
    if job.attempts > 1:
        parts.append(f"attempt {job.attempts} of {job.max_attempts}")
    return " · ".join(parts)


def _outcome(job: Job) -> str:
    """The figures of a job that has ended well."""
    figures = {name: value for name, value in (job.result or {}).items() if isinstance(value, int) and value}
    return plain(", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in figures.items()))


def _progress_text(job: Job) -> str:
    if job.cancel_requested:
        return "Stopping"
    if job.wish is not None:
        return "Pausing" if job.wish is JobWish.PAUSE else "Ending with what was learnt"
    known = job.eta_s is not None and job.progress >= TELLING
    left = f" · about {duration(job.eta_s or 0.0)} left" if known else ""
    return f"{job.message}{left}"


def _buttons(job: Job) -> None:
    queue = shared_engine().jobs
    if job.kind in CONTROLLABLE:
        _wish_buttons(job)
    if job.state in RESUMABLE and st.button("Resume", key=f"resume-{job.id}", icon=":material/play_circle:"):
        queue.resume(job.id)
        st.rerun()
    if is_unfinished(job) and st.button(
        "Cancel", key=f"cancel-{job.id}", disabled=job.cancel_requested, icon=":material/stop_circle:"
    ):
        queue.cancel(job.id)
        st.rerun()


def _wish_buttons(job: Job) -> None:
    """Pause, and end with what was learnt."""
    queue, asked = shared_engine().jobs, job.cancel_requested or job.wish is not None
    if is_active(job) and st.button("Pause", key=f"pause-{job.id}", disabled=asked, icon=":material/pause_circle:"):
        queue.pause(job.id)
        st.rerun()
    stoppable = job.state is JobState.RUNNING or (job.state is JobState.PAUSED and job.started_at is not None)
    help_text = "End now, and make an adapter of the best that was learnt so far."
    if stoppable and st.button(
        "Stop and keep", key=f"stop-{job.id}", disabled=asked, icon=":material/check_circle:", help=help_text
    ):
        queue.stop(job.id)
        st.rerun()
