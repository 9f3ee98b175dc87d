"""What a browser tab remembers: selections and drafts. Everything that must last is in the database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

from app.components.training_curve import Story
from engine.errors import NexusError

if TYPE_CHECKING:
    from engine.knowledge.proof import Proof

_KEY = "nexus"


@dataclass(slots=True)
class Listing:
    """The pairs that are listed. What belongs there no more stays where it is until the next action or filter."""

    ids: list[str] = field(default_factory=list)
    made_for: object = None
    """The collection, filter and action that it was made for."""
    number: int = 0
    """Part of the table's key: a selection is a set of row numbers, so it must not outlive the rows."""

    def follow(self, made_for: object, stored: Iterable[str], admitted: Iterable[str]) -> list[str]:
        """What is to be listed now: what was listed and is still stored, in its order, then what the filter admits besides."""
        known = set(stored)
        if made_for != self.made_for or not known.issuperset(self.ids):
            self.ids = [pair for pair in self.ids if made_for == self.made_for and pair in known]
            self.made_for = made_for
            self.number += 1
        self.ids = list(dict.fromkeys([*self.ids, *admitted]))
        return self.ids


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
    put_aside: tuple[str, ...] = ()
    """Pairs that were put aside for those that the last action rejected, or made to ask something else."""
    error: NexusError | None = None
    """Why the last action failed."""
    round: int = 0
    """How many actions there were: what the filter shows is looked up anew after each."""
    listing: Listing = field(default_factory=Listing)
    proof: tuple[object, Proof | None] | None = None
    """The page of the pair that is open, and what it was looked up by: drawing it anew at each run would be slow."""

    def open(self, pair: str | None) -> None:
        """Open a pair of those that the filter shows; None: the first of them."""
        self.pair, self.followed, self.came_from = pair, None, None
        self.editing = self.error = None

    def follow(self, pair: str, came_from: str | None) -> None:
        """Open a pair by a link on another one."""
        self.pair = self.followed = pair
        self.came_from = came_from
        self.editing = self.error = None


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
    stories: dict[str, Story] = field(default_factory=dict)
    """What fine-tunes have told so far, by job: only what is new is read."""


def tab_state() -> TabState:
    """The state of the tab that this script run is for."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = TabState()
    state: TabState = st.session_state[_KEY]
    return state
