"""What a browser tab remembers: selections and drafts. Everything that must last is in the database."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from engine.errors import NexusError

_KEY = "nexus"


@dataclass(slots=True)
class ReviewState:
    """Where a person is in the review of pairs."""

    pair: str | None = None
    """The pair that is open."""
    followed: str | None = None
    """The pair that was opened by a link; it is shown whatever the filter says."""
    came_from: str | None = None
    """The pair that had the link."""
    filtered_by: object = None
    """The filter of the last run: another one ends the following of links."""
    editing: str | None = None
    """The pair whose texts are being changed."""
    said: str = ""
    """What the last action did, in words."""
    error: NexusError | None = None
    """Why the last action failed."""
    round: int = 0
    """Part of the table's key: a new number gives a table with nothing selected."""

    def open(self, pair: str | None) -> None:
        """Open a pair of those that the filter shows; None: the first of them."""
        self.pair, self.followed, self.came_from, self.editing = pair, None, None, None

    def follow(self, pair: str, came_from: str | None) -> None:
        """Open a pair by a link on another one."""
        self.pair = self.followed = pair
        self.came_from, self.editing = came_from, None


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
    review: ReviewState = field(default_factory=ReviewState)


def tab_state() -> TabState:
    """The state of the tab that this script run is for."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = TabState()
    state: TabState = st.session_state[_KEY]
    return state
