"""The score of a pair in plain words: what it is made of, and how well each part holds."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.components.text import plain
from engine.domain import FaqPair

WELL, PARTLY = 0.75, 0.4
"""From which value a part holds well, and from which it holds at least in part."""

WORDS: dict[str, tuple[str, str, str]] = {
    "relevance": (
        "Question and quote are about the same thing.",
        "Question and quote are about related things.",
        "Question and quote are hardly about the same thing.",
    ),
    "lead": (
        "No other sentence of the document fits the question as well.",
        "Another sentence of the document fits the question nearly as well.",
        "Another sentence of the document fits the question just as well.",
    ),
    "grounded": (
        "The question keeps to the words of the quote and its headings.",
        "The question has some words that quote and headings do not have.",
        "The question has mostly other words than the quote.",
    ),
    "form": (
        "The question is worded as people ask.",
        "The wording of the question is passable.",
        "The wording of the question is poor.",
    ),
    "wording": (
        "The question is worded naturally.",
        "Some of the question's words are unusual.",
        "The question's words are odd.",
    ),
    "meaning": (
        "The answer says what the quote says, in another language.",
        "The answer says about what the quote says, in another language.",
        "Nobody has checked that the answer says what the quote says: they are in different languages.",
    ),
    "language": (
        "Question and answer are in the chosen language.",
        "Question and answer are too short to tell their language.",
        "Question and answer are in another language than the chosen one.",
    ),
    "fact": (
        "The quote states a fact: a number, a rule, a name.",
        "The quote states little that can be checked.",
        "The quote hardly states a fact.",
    ),
}
"""Of each part of a score what is said where it holds well, in part, and not. A part that was not measured is not stored."""
ORIGINS = {
    "written": "The document has this question and answer word for word.",
    "rule": "A rule made the question from the sentence.",
    "model": "The model worded the question.",
    "translated": "The model worded question and answer, in another language than the document's.",
    "imported": "The pair was imported.",
}
NO_BREAK = "\N{NO-BREAK SPACE}"
ICONS = (":green[:material/check_circle:]", ":orange[:material/remove_circle:]", ":red[:material/cancel:]")


def level(value: float) -> int:
    """0 where a part of the score holds well, 1 where it holds in part, 2 where it does not."""
    return 0 if value >= WELL else 1 if value >= PARTLY else 2


def in_words(parts: Mapping[str, float]) -> list[tuple[str, float]]:
    """Each part of a score as a sentence, with its value, worst first."""
    return [
        (WORDS[name][level(value)] if name in WORDS else f"{name.replace('_', ' ').capitalize()}.", value)
        for name, value in sorted(parts.items(), key=lambda part: part[1])
    ]


def score_view(pair: FaqPair) -> None:
    """Say what a pair's score is made of."""
    with st.expander(f"Score {pair.score:.2f}: why", icon=":material/rule:", expanded=True):
        origin = ORIGINS.get(pair.origin)
        if origin:
            st.caption(origin)
        if not pair.parts:
            st.caption("Nobody noted what this score is made of.")
            return
        lines = [f"{ICONS[level(value)]} {plain(text)}{NO_BREAK}:gray[{value:.0%}]" for text, value in in_words(pair.parts)]
        st.markdown("  \n".join(lines))
