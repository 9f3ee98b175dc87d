"""The review of FAQ pairs: table, bulk actions, and one pair beside its proof."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from app.components.empty import empty_state
from app.components.faq_table import filter_controls, selection_table, table_height
from app.components.text import counted, plain
from app.resources import shared_engine
from app.state import tab_state
from engine.domain import Collection, FaqPair, FaqStatus
from engine.faq.review import MAX_ANSWER, MAX_QUESTION

MOST_ROWS = 12
STATUS_COLOURS: dict[FaqStatus, Literal["gray", "green", "red"]] = {
    FaqStatus.PENDING: "gray",
    FaqStatus.APPROVED: "green",
    FaqStatus.REJECTED: "red",
}


def faq_review(collection: Collection) -> None:
    """Let the person go through the pairs of a collection."""
    pairs = shared_engine().faqs(collection.name)
    if not pairs:
        empty_state("fact_check", "No pairs yet", "They appear here while a document is read.")
        return
    chosen_filter = filter_controls(pairs, key=f"faq-{collection.id}")
    shown = [pair for pair in pairs if chosen_filter.admits(pair)]
    if not shown:
        st.caption("No pair matches.")
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        # A selection is a set of row numbers: it must not outlive the rows it was made on.
        key = f"faq-table-{collection.id}-{tab_state().review_round}-{hash(tuple(pair.id for pair in shown))}"
        selected = selection_table(shown, key=key, height=table_height(len(shown), MOST_ROWS))
        with st.container(horizontal=True):
            _bulk_actions(shown, selected)
    with right:
        _detail(selected)


def _bulk_actions(shown: Sequence[FaqPair], selected: Sequence[FaqPair]) -> None:
    review = shared_engine().review
    # A pair with a remark needs a closer look, so it is not approved in bulk.
    pending = [pair for pair in shown if pair.status is FaqStatus.PENDING and not pair.reason]
    if st.button(f"Approve {len(selected)} selected", disabled=not selected, icon=":material/check:"):
        _done(review.approve([pair.id for pair in selected]), "approved", selected[0])
    if st.button(f"Reject {len(selected)} selected", disabled=not selected, icon=":material/close:"):
        _done(review.reject([pair.id for pair in selected]), "rejected", selected[0])
    if st.button(f"Approve all {len(pending)} pending shown", disabled=not pending, icon=":material/done_all:"):
        _done(review.approve([pair.id for pair in pending]), "approved", pending[0])


def _done(count: int, what: str, pair: FaqPair) -> None:
    """Say what was done, and have the search index follow in the background."""
    engine = shared_engine()
    engine.ingest(engine.repositories.collections.get(pair.collection_id).name)
    tab_state().review_round += 1
    st.toast(f"{counted(count, 'pair')} {what}.")
    st.rerun()


def _detail(selected: Sequence[FaqPair]) -> None:
    if len(selected) != 1:
        text = "Select a row to see its proof and to edit it." if not selected else f"{len(selected)} pairs selected."
        with st.container(border=True):
            st.caption(text)
        return
    pair = selected[0]
    with st.container(border=True):
        _proof(pair)
        _editor(pair)


def _proof(pair: FaqPair) -> None:
    place = pair.document if pair.page is None else f"{pair.document}, page {pair.page}"
    with st.container(horizontal=True):
        st.badge(pair.status.value, color=STATUS_COLOURS[pair.status])
        st.caption(f"{plain(place)} · score {pair.score:.2f}", width="content")
    if pair.heading:
        st.caption(f"Under “{plain(pair.heading)}”")
    st.markdown("**Quote from the document**")
    with st.container(border=True):
        st.text(pair.quote or "Imported without a quote.")
    if pair.reason:
        st.warning(plain(pair.reason), icon=":material/flag:")


def _editor(pair: FaqPair) -> None:
    review = shared_engine().review
    with st.form(f"edit-{pair.id}", border=False):
        question = st.text_area("Question", pair.question, height=68, max_chars=MAX_QUESTION)
        answer = st.text_area("Answer", pair.answer, height=100, max_chars=MAX_ANSWER)
        buttons = st.container(horizontal=True)
        if buttons.form_submit_button("Save", icon=":material/save:"):
            review.edit(pair.id, question=question, answer=answer)
            _done(1, "saved", pair)
        if pair.status is not FaqStatus.APPROVED and buttons.form_submit_button("Approve", icon=":material/check:"):
            _done(review.approve([pair.id]), "approved", pair)
        if pair.status is not FaqStatus.REJECTED and buttons.form_submit_button("Reject", icon=":material/close:"):
            _done(review.reject([pair.id]), "rejected", pair)
        if pair.status is not FaqStatus.PENDING and buttons.form_submit_button("Review again", icon=":material/undo:"):
            _done(review.reopen([pair.id]), "to be reviewed again", pair)
