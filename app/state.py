"""What a browser tab remembers: selections and drafts. Everything that must last is in the database."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

_KEY = "nexus"


@dataclass(slots=True)
class TabState:
    """The state of one browser tab, kept when the page changes."""

    collection: str | None = None
    conversation: str | None = None
    responder: str | None = None
    """Who answers: the name of an adapter or of a model; None: the default model."""
    agent: str | None = None
    agent_conversations: dict[str, str] = field(default_factory=dict)
    """The open conversation with each agent, by the agent's name."""
    upload_round: int = 0
    """Part of the upload widget's key: a new number gives an empty widget."""
    review_round: int = 0
    """Part of the review table's key: a new number gives a table with nothing selected."""


def tab_state() -> TabState:
    """The state of the tab that this script run is for."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = TabState()
    state: TabState = st.session_state[_KEY]
    return state
