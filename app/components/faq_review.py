"""The review of FAQ pairs: one pair beside its source, by keyboard; below, all pairs that the filter shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Literal

import streamlit as st

from app.components import faq_actions
from app.components.boundary import guarded, show_error
from app.components.empty import empty_state
from app.components.faq_pair import again_button, pair_card
from app.components.faq_score import score_view
from app.components.faq_source import source_view
from app.components.faq_table import filter_controls, selection_table, table_height
from app.components.jobs import is_active
from app.components.text import counted, plain, string
from app.resources import shared_engine
from app.state import tab_state
from engine.domain import Collection, FaqPair, FaqQuery, FaqStatus

REFRESH_S = 2.0
MOST_JOBS = 50
MOST_ROWS = 8
MOST_LISTED = 300
"""Pairs in the table at a time: thousands of rows would make each key press slow."""
STYLE = """<style>
.st-key-faq-stage {container: faq / inline-size}
.st-key-faq-split {display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem 1.4rem; align-items: start}
@container faq (min-width: 46rem) {
  .st-key-faq-split {grid-template-columns: minmax(0, 4fr) minmax(0, 5fr); grid-template-rows: auto 1fr}
  .st-key-faq-split > :nth-child(2) {grid-column: 2; grid-row: 1 / span 2}
}
</style>"""
"""The pair with the score below stands beside its source; where there is no room, the source is between the two."""


def faq_review(collection: Collection) -> None:
    """Let the person go through the pairs of a collection. Runs again by itself, without the page around it."""
    st.fragment(_review, run_every=refresh_s(collection))(collection.name)


def refresh_s(collection: Collection) -> float | None:
    """Seconds after which the list is read again: while an extraction brings pairs; None: when the person does something."""
    jobs = shared_engine().jobs.list("extract", limit=MOST_JOBS)
    names = {string(job.payload, "collection") for job in jobs if is_active(job)}
    return REFRESH_S if collection.name in names else None


@guarded
def _review(name: str) -> None:
    collection = shared_engine().collection(name)
    faqs = shared_engine().repositories.faqs
    counts = faqs.count_by_status(collection.id)
    if not any(counts.values()):
        empty_state("fact_check", "No pairs yet", "They appear here while a document is read.")
        return
    chosen = filter_controls(counts, faqs.document_names(collection.id), key=f"faq-{collection.id}")
    state = tab_state().review
    if state.filtered_by != chosen:
        state.filtered_by, state.followed = chosen, None
    admitted = {pair.id: pair for pair in faqs.find(collection.id, chosen)}
    # Those that the filter admits no more stay where they are for a while; links lead to others.
    others = {*state.listing.ids, *state.put_aside, *filter(None, [state.followed])}.difference(admitted)
    known = admitted | {pair.id: pair for pair in faqs.list(collection.id, ids=sorted(others))}
    state.put_aside = tuple(faq_id for faq_id in state.put_aside if faq_id in known)  # another collection has others
    shown = [known[faq_id] for faq_id in state.listing.follow((collection.id, chosen, state.round), known, admitted)]
    current = _current(known, shown)
    before, after = _neighbours(shown, current)
    _toolbar(collection, shown, current, before, after)
    if current is None and chosen == FaqQuery(statuses=frozenset({FaqStatus.PENDING})):
        empty_state("task_alt", "Nothing waits for review", "Export what was approved, or look at another status above.")
    elif current is None:
        st.caption("No pair matches. Choose another status, or clear the search.")
    if current is None:
        return
    state.pair = current.id  # it stays open whatever comes
    then = _next([pair.id for pair in shown], current.id, admitted.keys())
    st.html(STYLE)
    with st.container(key="faq-stage"), st.container(key="faq-split"):
        with st.container():
            pair_card(current, then=then)
        with st.container():
            source_view(current)
        with st.container():
            score_view(current)
    _list(collection, shown, current)


def _current(known: Mapping[str, FaqPair], shown: Sequence[FaqPair]) -> FaqPair | None:
    """The pair that is open: the one that was opened, else the first that the filter shows."""
    state = tab_state().review
    opened = known.get(state.pair or "")
    shows_it = opened is not None and (opened.id == state.followed or any(pair is opened for pair in shown))
    return opened if shows_it else next(iter(shown), None)


def _neighbours(shown: Sequence[FaqPair], current: FaqPair | None) -> tuple[str | None, str | None]:
    """The pairs before and after the open one; for one that the filter does not show, the first comes after it."""
    ids = [pair.id for pair in shown]
    if current is None or current.id not in ids:
        return None, next(iter(ids), None)
    at = ids.index(current.id)
    return ids[at - 1] if at else None, ids[at + 1] if at + 1 < len(ids) else None


def _next(ids: Sequence[str], current: str, admitted: Set[str]) -> str | None:
    """The pair to open when the current one is decided: the next one that the filter admits, else the one before."""
    at = ids.index(current) if current in ids else -1
    return next((faq_id for faq_id in (*ids[at + 1 :], *reversed(ids[: max(at, 0)])) if faq_id in admitted), None)


def _toolbar(
    collection: Collection, shown: Sequence[FaqPair], current: FaqPair | None, before: str | None, after: str | None
) -> None:
    state = tab_state().review
    with st.container(horizontal=True, vertical_alignment="center"):
        _step("Previous", "P", "arrow_back", before)
        _step("Next", "N", "arrow_forward", after)
        at = next((number for number, pair in enumerate(shown, start=1) if pair is current), None)
        st.caption(f"{at:,} of {len(shown):,}" if at else f"{len(shown):,} shown", width="content")
        st.button("Undo", shortcut="U", icon=":material/undo:", on_click=faq_actions.undo, args=(collection,))
        st.caption(plain(state.said), width="stretch")
    if state.error is not None:
        show_error(state.error)
    if state.put_aside:
        aside = len(state.put_aside)
        asked = "was put aside because it asks" if aside == 1 else "were put aside because they ask"
        with st.container(horizontal=True, vertical_alignment="center"):
            st.info(f"{counted(aside, 'pair')} {asked} the same as what you rejected or changed.", width="stretch")
            again_button(state.put_aside)


def _step(label: Literal["Previous", "Next"], key: str, icon: str, to: str | None) -> None:
    symbol = f":material/{icon}:"
    st.button(label, shortcut=key, icon=symbol, disabled=to is None, on_click=faq_actions.open_pair, args=(to,))


def _list(collection: Collection, shown: Sequence[FaqPair], current: FaqPair) -> None:
    """All pairs that are shown: a click on one opens it, several can be decided together."""
    first = _first_listed(shown, current)
    listed = shown[first : first + MOST_LISTED]
    key = f"faq-table-{collection.id}-{tab_state().review.listing.number}-{first}"
    actions = st.container(horizontal=True)
    part = f"Pairs {first + 1:,} to {first + len(listed):,} of {len(shown):,}. " if len(listed) < len(shown) else ""
    st.caption(f"{part}Select a row to open it, several to decide them together.")
    height = table_height(len(listed), MOST_ROWS)
    selected = selection_table(listed, key=key, height=height, on_select=faq_actions.open_selected)
    with actions:
        _bulk(collection, shown, selected if len(selected) > 1 else [])


def _first_listed(shown: Sequence[FaqPair], current: FaqPair) -> int:
    """Where the part of the pairs begins that is listed: the one that the open pair is in."""
    at = next((number for number, pair in enumerate(shown) if pair.id == current.id), 0)
    return at - at % MOST_LISTED


def _bulk(collection: Collection, shown: Sequence[FaqPair], selected: Sequence[FaqPair]) -> None:
    pending = [pair for pair in shown if pair.status is FaqStatus.PENDING]
    # A pair with a remark needs a closer look, so it is not approved in bulk.
    sound = [pair for pair in pending if not pair.reason]
    decided = [pair for pair in shown if pair.status is not FaqStatus.PENDING]
    if selected:
        _action(f"Approve {len(selected)} selected", "check", faq_actions.approve_all, collection, selected)
        _action(f"Reject {len(selected)} selected", "close", faq_actions.reject_all, collection, selected)
    _action(f"Approve all {len(sound)} pending shown", "done_all", faq_actions.approve_all, collection, sound)
    _action(f"Reject all {len(pending)} pending shown", "remove_done", faq_actions.reject_all, collection, pending)
    if decided:
        label = f"Review all {len(decided)} decided shown again"
        _action(label, "restart_alt", faq_actions.reopen_all, collection, decided)


def _action(label: str, icon: str, action: faq_actions.BulkAction, collection: Collection, pairs: Sequence[FaqPair]) -> None:
    symbol = f":material/{icon}:"
    st.button(label, icon=symbol, disabled=not pairs, on_click=action, args=(collection, list(pairs)))
