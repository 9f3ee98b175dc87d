"""Ask: questions answered from the documents of a collection, with proof."""

from __future__ import annotations

import streamlit as st

from app.components.answers import stream_text
from app.components.citations import show_support
from app.components.empty import empty_state
from app.components.pickers import Responder, collection_picker, responder_picker
from app.resources import shared_engine
from engine.domain import Collection


def render() -> None:
    """Show the page."""
    st.title("Ask")
    st.caption("Answers come from the documents alone, with the sentences that support them.")
    if not shared_engine().collections():
        empty_state(
            "quick_reference_all", "Nothing to ask yet", "Add a document first.", page="documents", label="Add documents"
        )
        return
    left, right = st.columns(2)
    with left:
        collection = collection_picker(key="ask-collection")
    with right:
        responder = responder_picker("Who answers", key="ask-responder")
    if collection is not None:
        _conversation(collection, responder)


def _conversation(collection: Collection, responder: Responder) -> None:
    exchanges = shared_engine().asked.list(collection.name)
    question = st.chat_input(f"Ask {collection.name}", max_chars=16_000)
    if not exchanges and not question:
        empty_state("forum", "Ask a question", "For instance one that an approved pair answers, in other words.")
    for exchange in exchanges:
        _question(exchange.question)
        with st.chat_message("assistant", avatar=":material/menu_book:"):
            if exchange.answer.found:
                st.text(exchange.answer.text)
            show_support(exchange.answer)
    if question:
        _answer(question, collection, responder)
    elif exchanges and st.button("Forget these questions", type="tertiary", icon=":material/delete:"):
        shared_engine().asked.forget(collection.name)
        st.rerun()


def _answer(question: str, collection: Collection, responder: Responder) -> None:
    _question(question)
    with st.chat_message("assistant", avatar=":material/menu_book:"):
        pieces = shared_engine().ask(
            question,
            collection.name,
            model=responder.model,
            adapter=responder.adapter,
            allow_mismatch=True,  # the picker offers such an adapter only to a person who asked for it
        )
        words = st.empty()
        last = stream_text(pieces, "Reading the documents…", words)
        if last is None or last.answer is None:
            return
        if last.answer.found:
            words.text(last.answer.text)  # a check may have replaced what was streamed
        else:
            words.empty()
        show_support(last.answer)


def _question(text: str) -> None:
    with st.chat_message("user", avatar=":material/person:"):
        st.text(text)
