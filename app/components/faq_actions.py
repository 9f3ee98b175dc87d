"""What a reviewer does with pairs: each action, what it says afterwards, and which pair is open then.

All of these run as callbacks of buttons, before the page is drawn again, so that one key press costs one run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from app.components.text import counted, shortened
from app.resources import shared_engine
from app.state import tab_state
from engine.domain import Collection, FaqPair
from engine.errors import NexusError

BulkAction = Callable[[Collection, Sequence[FaqPair]], None]
"""Decides several pairs of a collection."""

MOST_CHARACTERS = 60


def approve(pair: FaqPair, then: str | None) -> None:
    """Approve a pair and open another one."""
    _act(lambda: shared_engine().review.approve([pair.id]), f"Approved: {_short(pair)}", then)


def reject(pair: FaqPair, then: str | None) -> None:
    """Reject a pair and open another one."""
    _act(lambda: shared_engine().review.reject([pair.id]), f"Rejected: {_short(pair)}", then, gone=[pair.id])


def reopen(pair: FaqPair, then: str | None) -> None:
    """Let a pair wait for review again."""
    _act(lambda: shared_engine().review.reopen([pair.id]), f"Waits for review again: {_short(pair)}", then)


def approve_all(collection: Collection, pairs: Sequence[FaqPair]) -> None:
    """Approve several pairs, all or none."""
    _many(collection, pairs, shared_engine().review.approve, "approved")


def reject_all(collection: Collection, pairs: Sequence[FaqPair]) -> None:
    """Reject several pairs."""
    _many(collection, pairs, shared_engine().review.reject, "rejected", gone=True)


def reopen_all(collection: Collection, pairs: Sequence[FaqPair]) -> None:
    """Let several pairs wait for review again."""
    _many(collection, pairs, shared_engine().review.reopen, "waiting for review again")


def review_again(ids: Sequence[str]) -> None:
    """Let pairs that were put aside for a better one wait for review again, and open the first."""
    _act(lambda: shared_engine().review.reopen(ids), f"{counted(len(ids), 'pair')} waiting for review again.", None)
    if tab_state().review.error is None:
        follow(ids[0], None)


def undo(collection: Collection) -> None:
    """Take back the newest action on the collection, and open the pair if it was one."""
    state = tab_state().review
    state.error, state.put_aside = None, ()
    try:
        undone = shared_engine().review.undo(collection.id)
    except NexusError as exc:
        state.error = exc
        return
    if undone is None:
        state.said = "There is nothing to undo."
        return
    state.round += 1
    state.said = str(undone)
    if len(undone.ids) == 1:
        state.follow(undone.ids[0], None)


def edit(pair: FaqPair) -> None:
    """Begin to change a pair's texts. What saving will compare the question with is prepared while the person writes."""
    state = tab_state().review
    state.editing, state.error = pair.id, None
    engine = shared_engine()
    questions = [other.question for other in engine.repositories.faqs.list(pair.collection_id)]
    threading.Thread(target=engine.kept_questions.prepare, args=(questions,), name="prepare-questions", daemon=True).start()


def stop_editing() -> None:
    """Leave the texts as they are."""
    state = tab_state().review
    state.editing = state.error = None


def save(pair: FaqPair) -> None:
    """Store what was written into the form of a pair; see `form_keys`."""
    question, answer, quote = (str(st.session_state[key]) for key in form_keys(pair))
    given = None if quote.strip() == pair.quote.strip() else quote
    state = tab_state().review
    gone = [pair.id] if question.strip() != pair.question else []
    edited = partial(shared_engine().review.edit, pair.id, question=question, answer=answer, quote=given)
    _act(edited, "Saved.", pair.id, gone=gone)
    if state.error is None and state.followed != pair.id:
        state.follow(pair.id, state.came_from)  # the new texts may not match what was searched for


def form_keys(pair: FaqPair) -> tuple[str, str, str]:
    """The keys of the form's fields: question, answer and quote."""
    return f"edit-question-{pair.id}", f"edit-answer-{pair.id}", f"edit-quote-{pair.id}"


def open_pair(pair: str | None) -> None:
    """Open a pair of those that the filter shows."""
    tab_state().review.open(pair)


def follow(pair: str, came_from: str | None) -> None:
    """Open a pair by a link on another one."""
    tab_state().review.follow(pair, came_from)


def open_selected(key: str, ids: Sequence[str]) -> None:
    """Open the pair whose row was selected, if it is one row."""
    rows = st.session_state[key].selection.rows
    if len(rows) == 1 and rows[0] < len(ids):
        open_pair(ids[rows[0]])


def _act(action: Callable[[], object], said: str, then: str | None, *, gone: Sequence[str] = ()) -> None:
    """Do something, say it and open a pair. What was put aside for the pairs that are `gone` by it is then offered."""
    state = tab_state().review
    state.error, state.put_aside = None, ()
    try:
        action()
    except NexusError as exc:
        state.error = exc
        return
    state.said = said
    state.round += 1
    state.open(then)
    state.put_aside = tuple(pair.id for pair in shared_engine().review.put_aside_for(gone))


def _many(
    collection: Collection,
    pairs: Sequence[FaqPair],
    action: Callable[[Sequence[str]], int],
    what: str,
    *,
    gone: bool = False,
) -> None:
    """Do something to several pairs, and have the search index follow in the background."""
    ids = [pair.id for pair in pairs]
    _act(lambda: action(ids), f"{counted(len(ids), 'pair')} {what}.", None, gone=ids if gone else ())
    if tab_state().review.error is None:
        shared_engine().ingest(collection.name)


def _short(pair: FaqPair) -> str:
    return shortened(pair.question, MOST_CHARACTERS)
