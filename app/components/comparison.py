"""One question, three answers side by side."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.components.answers import REDRAW_S
from app.components.boundary import show_stored_error
from app.components.citations import show_support
from app.components.empty import empty_state
from app.components.pickers import adapter_picker, collection_picker, model_picker
from app.resources import shared_engine

if TYPE_CHECKING:
    from engine.compare import CompareEvent

TITLES = {"base": "Base model", "finetuned": "Fine-tuned", "rag": "From the documents"}


@dataclass(slots=True)
class _Side:
    """One column while its answer comes."""

    place: DeltaGenerator
    said: str = ""
    drawn_at: float = field(default=0.0)

    def add(self, text: str) -> None:
        """Show more words, but not more often than people read."""
        self.said += text
        if self.said and time.monotonic() - self.drawn_at >= REDRAW_S:
            self.drawn_at = time.monotonic()
            self.place.text(self.said)


def comparison() -> None:
    """Let the person ask base, fine-tuned and RAG the same question."""
    if not shared_engine().collections():
        empty_state(
            "compare_arrows", "Nothing to compare yet", "Add a document first.", page="documents", label="Add documents"
        )
        return
    left, middle, right = st.columns(3)
    with left:
        collection = collection_picker(key="compare-collection")
    with middle:
        adapter = adapter_picker("Fine-tuned side", key="compare-adapter", without="None")
    with right:
        model = model_picker("Base side", key="compare-model") if adapter is None else None
        if adapter is not None:
            st.caption("The adapter brings its own base model.")
    question = st.chat_input("Ask all of them", key="compare-input", max_chars=16_000)
    if not question or collection is None:
        st.caption(
            "The answers are written at the same time, from one set of weights. One that fails leaves the others standing."
        )
        return
    st.markdown("**Question**")
    st.text(question)
    _compare(question, collection.name, adapter, model)


def _compare(question: str, collection: str, adapter: str | None, model: str | None) -> None:
    targets = [target for target in TITLES if adapter is not None or target != "finetuned"]
    columns = dict(zip(targets, st.columns(len(targets), border=True), strict=True))
    sides: dict[str, _Side] = {}
    for target, column in columns.items():
        column.markdown(f"**{TITLES[target]}**")
        sides[target] = _Side(column.empty())
        sides[target].place.caption("Waiting…")
    for event in shared_engine().compare(question, collection, adapter, model=model, allow_mismatch=True):
        if event.target in sides:
            _show(event, sides[event.target], columns[event.target])


def _show(event: CompareEvent, side: _Side, column: DeltaGenerator) -> None:
    side.add(event.text)
    with column:
        if event.error is not None:
            side.place.empty()
            show_stored_error(event.error)
        elif event.answer is not None:
            if event.answer.found:
                side.place.text(event.answer.text)
            else:
                side.place.empty()
            show_support(event.answer)
