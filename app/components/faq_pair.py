"""One pair: its texts, what is to be known of it, what can be done with it, and its links to pairs that ask the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from app.components import faq_actions
from app.components.text import counted, plain, shortened
from app.resources import shared_engine
from app.state import tab_state
from engine.domain import DUPLICATE_REASON, FaqPair, FaqQuery, FaqStatus
from engine.faq.review import MAX_ANSWER, MAX_QUESTION

STATUS_COLOURS: dict[FaqStatus, Literal["gray", "green", "red"]] = {
    FaqStatus.PENDING: "gray",
    FaqStatus.APPROVED: "green",
    FaqStatus.REJECTED: "red",
}
MOST_LINKS = 8
MOST_CHARACTERS = 70
FOCUS = """<script>{
  let left = 40;
  const timer = setInterval(() => {
    const field = document.querySelector('.st-key-KEY textarea');
    if (field) field.focus();
    if (field || --left === 0) clearInterval(timer);
  }, 50);
}</script>"""
"""Puts the cursor into a field as soon as it is there."""


def pair_card(pair: FaqPair, *, then: str | None) -> None:
    """Show a pair. `then` is the pair to open when this one is decided."""
    with st.container(border=True):
        if tab_state().review.editing == pair.id:
            _editor(pair)
            return
        _texts(pair)
        _buttons(pair, then)
        _links(pair)


def _texts(pair: FaqPair) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.badge(pair.status.value, color=STATUS_COLOURS[pair.status])
        if pair.duplicate_of is not None:
            st.badge("duplicate", color="orange")
        if pair.reason and pair.status is FaqStatus.PENDING:
            st.badge("look at it", icon=":material/flag:", color="orange")
    st.markdown(f"#### {plain(pair.question)}", anchors=False)
    st.text(pair.answer)
    if pair.reason:
        st.warning(plain(pair.reason), icon=":material/flag:")
    if pair.quote and " ".join(pair.quote.split()) != " ".join(pair.answer.split()):
        st.caption("Quote from the document")
        with st.container(border=True):
            st.text(pair.quote)


def _buttons(pair: FaqPair, then: str | None) -> None:
    with st.container(horizontal=True, gap="xsmall"):
        if pair.status is not FaqStatus.APPROVED:
            st.button(
                "Approve",
                shortcut="A",
                type="primary",
                icon=":material/check:",
                on_click=faq_actions.approve,
                args=(pair, then),
            )
        if pair.status is not FaqStatus.REJECTED:
            st.button("Reject", shortcut="X", icon=":material/close:", on_click=faq_actions.reject, args=(pair, then))
        st.button("Edit", shortcut="E", icon=":material/edit:", on_click=faq_actions.edit, args=(pair,))
        if pair.status is not FaqStatus.PENDING:
            st.button(
                "Review again", shortcut="O", icon=":material/restart_alt:", on_click=faq_actions.reopen, args=(pair, then)
            )


def _links(pair: FaqPair) -> None:
    """To the pair that asks the same, back again, and to those that were put aside for this one."""
    came_from, faqs = tab_state().review.came_from, shared_engine().repositories.faqs
    wanted = [faq_id for faq_id in (pair.duplicate_of, came_from) if faq_id is not None]
    known = {other.id: other for other in faqs.list(pair.collection_id, ids=wanted)}
    other = known.get(pair.duplicate_of or "")
    if other is not None:
        _link("The better pair" if pair.status is FaqStatus.REJECTED else "The other pair", "link", other.id, pair.id)
        st.caption(f"{plain(other.question)} ({other.status.value})")
    elif came_from is not None and came_from in known:
        _link("Back to the pair before", "arrow_back", came_from, None)
    linked = faqs.find(pair.collection_id, FaqQuery(duplicate_of=pair.id))
    if linked:
        with st.expander(f"{counted(len(linked), 'other pair')} that ask{'s' if len(linked) == 1 else ''} the same"):
            _worse(pair, linked)


def _worse(pair: FaqPair, linked: Sequence[FaqPair]) -> None:
    for other in linked[:MOST_LINKS]:
        label = plain(shortened(other.question, MOST_CHARACTERS))
        st.button(label, key=f"worse-{other.id}", type="tertiary", on_click=faq_actions.follow, args=(other.id, pair.id))
    aside = [other.id for other in linked if other.status is FaqStatus.REJECTED and other.reason == DUPLICATE_REASON]
    if aside and not tab_state().review.put_aside:
        again_button(aside)


def again_button(aside: Sequence[str]) -> None:
    """A button that lets pairs that were put aside wait for review again."""
    those = {1: "it", 2: "both"}.get(len(aside), f"all {len(aside)}")
    label = f"Review {those} again"
    st.button(label, icon=":material/restart_alt:", on_click=faq_actions.review_again, args=(aside,))


def _link(label: str, icon: str, to: str, came_from: str | None) -> None:
    symbol = f":material/{icon}:"
    st.button(label, shortcut="B", icon=symbol, on_click=faq_actions.follow, args=(to, came_from))


def _editor(pair: FaqPair) -> None:
    question_key, answer_key, quote_key = faq_actions.form_keys(pair)
    with st.form(f"edit-{pair.id}", border=False):
        st.text_area("Question", pair.question, height=75, max_chars=MAX_QUESTION, key=question_key)
        st.text_area("Answer", pair.answer, height=130, max_chars=MAX_ANSWER, key=answer_key)
        imported = pair.document_id is None
        st.text_area(
            "Quote, word for word from the page",
            pair.quote,
            height=110,
            key=quote_key,
            disabled=imported,
            help="This pair was imported and has no page." if imported else None,
        )
        with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
            st.form_submit_button("Save", type="primary", icon=":material/save:", on_click=faq_actions.save, args=(pair,))
            st.form_submit_button("Cancel", shortcut="Esc", on_click=faq_actions.stop_editing)
            st.caption("Ctrl+Enter saves.", width="content")
    st.html(FOCUS.replace("KEY", question_key), unsafe_allow_javascript=True)
