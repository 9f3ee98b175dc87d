"""A stored conversation, and the list of conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from app.components.answers import stored_figures
from app.components.text import ago, plain, shortened, string
from engine.db.repositories.conversations import StoredMessage
from engine.domain import Conversation

PERSON, MODEL = ":material/person:", ":material/smart_toy:"


def bubble(role: str, text: str, caption: str = "") -> None:
    """One turn, exactly as it was written."""
    with st.chat_message(role, avatar=PERSON if role == "user" else MODEL):
        st.text(text)
        if caption:
            st.caption(caption)


def show_transcript(messages: Sequence[StoredMessage]) -> None:
    """All turns of a conversation."""
    for stored in messages:
        notice = string(stored.details, "notice")
        figures = stored_figures(stored.details)
        bubble(stored.message.role, stored.message.content, " · ".join(filter(None, (figures, plain(notice)))))


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
