"""An extraction as people start and follow it: the language of its pairs, pairs as they arrive, and what was found out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app.components.jobs import is_active
from app.components.text import counted, number, plain, shortened, string
from app.resources import shared_engine
from engine.domain import Job, Json
from engine.errors import NexusError
from engine.faq.language import LANGUAGES

MOST_NEWEST = 3
MOST_CHARACTERS = 110
AS_DOCUMENT = "as the document"


def language_picker(model: str | None, *, key: str) -> str | None:
    """Let the person choose the language of the pairs, of those that a model knows; None is that of the document, first."""
    try:
        known = shared_engine().pair_languages(model)
    except NexusError:
        known = LANGUAGES  # what is wrong with the model is said when it is used
    if st.session_state.get(key) not in known:
        st.session_state.pop(key, None)
    return st.selectbox(
        "Language of the pairs",
        [None, *known],
        key=key,
        format_func=lambda code: AS_DOCUMENT if code is None else known[code],
        help="In another language than the document's the model words the answers too. Compare each with its quote.",
    )


def extraction_details(job: Job) -> None:
    """Show more of an extraction below its progress; other jobs have no more to show."""
    if job.kind != "extract":
        return
    if is_active(job):
        _arriving(job)
    for line in string(job.result or {}, "notice").splitlines():
        st.caption(f":material/info: {plain(line)}")


def _arriving(job: Job) -> None:
    """How many pairs there are, how fast they come, and the newest of them."""
    events = shared_engine().jobs.events(job.id)
    ids = [faq_id for event in events for faq_id in _ids(event)]
    if not ids:
        return
    rate = number(events[-1], "per_minute")
    speed = "" if rate is None else f" · {rate:,.0f} a minute"
    name = string(job.payload, "collection")
    newest = shared_engine().repositories.faqs.list(shared_engine().collection(name).id, ids=ids[-MOST_NEWEST:])
    lines = [f"{counted(len(ids), 'new pair')} to review{speed}. The newest:"]
    lines += [f"{plain(shortened(pair.question, MOST_CHARACTERS))}" for pair in reversed(newest)]
    st.caption("  \n".join(lines))


def _ids(event: Mapping[str, Json]) -> Sequence[str]:
    pairs = event.get("pairs")
    return [str(faq_id) for faq_id in pairs] if isinstance(pairs, list) else []
