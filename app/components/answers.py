"""Answers as they come, and as they were stored."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.components.text import duration, mapping, number, plain, string
from engine.domain import Json

REDRAW_S = 0.05
"""A streamed answer is drawn no more often than this; people do not read faster, and each drawing is a message."""

REASONING = "Reasoning"


class Piece(Protocol):
    """A piece of a streamed answer."""

    @property
    def text(self) -> str:
        """What it adds."""
        ...


class ReasonedPiece(Piece, Protocol):
    """A piece of a reply that may begin with reasoning."""

    @property
    def reasoning(self) -> str:
        """What it adds to the reasoning."""
        ...


P = TypeVar("P", bound=Piece)
R = TypeVar("R", bound=ReasonedPiece)


def stream_text(pieces: Iterable[P], waiting: str, place: DeltaGenerator | None = None) -> P | None:
    """Show an answer while it is written; returns the last piece, which carries the whole answer.

    Leaving the page ends the script at the next drawing, which closes `pieces` and so stops the model.
    """
    place = place or st.empty()
    place.caption(waiting)
    said, drawn_at = "", 0.0
    last: P | None = None
    for piece in pieces:
        said += piece.text
        last = piece
        now = time.monotonic()
        if said and now - drawn_at >= REDRAW_S:
            drawn_at = now
            place.text(said)
    if said:
        place.text(said)
    else:
        place.caption("No answer.")
    return last


def show_reasoning(reasoning: str) -> None:
    """What a model thought before its answer, folded up; nothing where it did not."""
    if reasoning:
        with st.expander(REASONING):
            st.text(reasoning)


def with_reasoning(pieces: Iterable[R]) -> Iterator[R]:
    """Pass the pieces of a reply on and show the reasoning among them, folded up, as it comes."""
    outer = st.empty()
    place: DeltaGenerator | None = None
    said, drawn_at = "", 0.0
    for piece in pieces:
        said += piece.reasoning
        if piece.reasoning and place is None:
            place = outer.expander(REASONING).empty()
        if place is not None and (not piece.reasoning or time.monotonic() - drawn_at >= REDRAW_S):
            drawn_at = time.monotonic()
            place.text(said)
            place = place if piece.reasoning else None
        yield piece


def stored_figures(details: Mapping[str, Json]) -> str:
    """Who gave a stored answer, how fast and with how many tokens, as Markdown for a caption."""
    timings, usage = mapping(details, "timings"), mapping(details, "usage")
    parts = [plain(name) for name in (string(details, "model"), string(details, "adapter")) if name]
    total, tokens = number(timings, "total_s"), number(usage, "completion_tokens")
    if total:
        parts.append(duration(total))
    if tokens:
        parts.append(f"{tokens:.0f} tokens")
    return " · ".join(parts)
