"""An extraction as people start and follow it: the language of its pairs, pairs as they arrive, and what was found out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app.components.text import counted, plain, shortened, string
from app.resources import shared_engine
from engine.domain import Job, JobState, Json
from engine.errors import NexusError
from engine.faq.language import LANGUAGES

MOST_CHARACTERS = 80
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
    if job.state is JobState.RUNNING:
        _newest(job)
    for line in string(job.result or {}, "notice").splitlines():
        st.caption(f":material/info: {plain(line)}")


def _newest(job: Job) -> None:
    """The pair that came last. Always one line: what stands below must not move while somebody reads it."""
    ids = [faq_id for event in shared_engine().jobs.events(job.id) for faq_id in _ids(event)]
    name = string(job.payload, "collection")
    found = shared_engine().repositories.faqs.list(shared_engine().collection(name).id, ids=ids[-1:]) if ids else []
    question = plain(shortened(found[0].question, MOST_CHARACTERS)) if found else "none yet"
    st.caption(f"{counted(len(ids), 'new pair')} to review, below. The newest: {question}")


def _ids(event: Mapping[str, Json]) -> Sequence[str]:
    pairs = event.get("pairs")
    return [str(faq_id) for faq_id in pairs] if isinstance(pairs, list) else []
