"""A stored conversation, and the list of conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from app.components.answers import show_reasoning, stored_figures
from app.components.citations import show_citations, stored_citations
from app.components.text import ago, plain, shortened, string
from engine.db.repositories.conversations import StoredMessage
from engine.domain import Conversation

PERSON, MODEL = ":material/person:", ":material/smart_toy:"


def bubble(role: str, text: str) -> None:
    """One turn, exactly as it was written."""
    with st.chat_message(role, avatar=PERSON if role == "user" else MODEL):
        st.text(text)


def show_transcript(messages: Sequence[StoredMessage]) -> None:
    """All turns of a conversation, with what supports the answers."""
    for stored in messages:
        with st.chat_message(stored.message.role, avatar=PERSON if stored.message.role == "user" else MODEL):
            show_reasoning(string(stored.details, "reasoning"))
            st.text(stored.message.content)
            show_citations(stored_citations(stored.details))
            caption = (stored_figures(stored.details), plain(string(stored.details, "notice")))
            if any(caption):
                st.caption(" · ".join(filter(None, caption)))


def conversation_list(conversations: Sequence[Conversation], current: str | None, *, key: str) -> str | None:
    """Let the person choose a conversation; returns the identifier of the chosen one, None for a new one."""
    chosen = current
    if st.button("New conversation", key=f"{key}-new", icon=":material/add:", width="stretch"):
        chosen = None
    with st.container(height=420, border=False):
        for conversation in conversations:
            label = plain(shortened(conversation.title, 34)) or "Untitled"
            is_open = conversation.id == current
            begun = ago(conversation.created_at)
            kind: Literal["secondary", "tertiary"] = "secondary" if is_open else "tertiary"
            if st.button(label, key=f"{key}-{conversation.id}", type=kind, width="stretch", help=begun):
                chosen = conversation.id
    return chosen
