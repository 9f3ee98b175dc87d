"""FAQ pairs as a table, and what a person filters them by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import streamlit as st
from streamlit.column_config import NumberColumn, ProgressColumn, TextColumn
from streamlit.elements.lib.column_types import ButtonColumnResult, ColumnConfig

from engine.domain import FaqPair, FaqQuery, FaqStatus

ALL_STATUSES = "All"
ALL_DOCUMENTS = "All documents"
ROW_HEIGHT = 34
ANY = "All"
KINDS: dict[str, FaqQuery] = {
    ANY: FaqQuery(),
    "To look at again": FaqQuery(flagged=True),
    "Duplicates of a better pair": FaqQuery(duplicates=True),
    "No duplicates": FaqQuery(duplicates=False),
}
"""Kinds of pairs to choose from, and what each asks for."""

COLUMNS: dict[str, ColumnConfig | ButtonColumnResult | str | None] = {
    "Question": TextColumn(width=290),
    "Answer": TextColumn(width=250),
    "Document": TextColumn(width="small"),
    "Page": NumberColumn(width=60),
    "Score": ProgressColumn(min_value=0.0, max_value=1.0, format="%.2f", width=90, color="#2f5d62"),
    "Status": TextColumn(width=90),
}


def filter_controls(counts: Mapping[FaqStatus, int], documents: Sequence[str], *, key: str) -> FaqQuery:
    """Controls for what to show; the rarer ones are folded away.

    Args:
        counts: how many pairs have each status.
        documents: the names of the documents that they come from.
        key: tells the controls from others.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        text = st.text_input(
            "Search",
            key=f"{key}-search",
            placeholder="Search questions, answers, quotes",
            label_visibility="collapsed",
            width=300,
        )
        chosen = _status_control(counts, key=f"{key}-status")
        folded = st.popover("More filters", icon=":material/filter_list:", width="content")
    with folded:
        name = st.selectbox("Document", [ALL_DOCUMENTS, *documents], key=f"{key}-document")
        kind = st.selectbox("Which pairs", list(KINDS), key=f"{key}-kind")
        scores = st.slider("Score", 0.0, 1.0, (0.0, 1.0), 0.05, key=f"{key}-score")
    return replace(
        KINDS[kind],
        text=text or "",
        statuses=frozenset() if chosen is None else frozenset({chosen}),
        document=None if name == ALL_DOCUMENTS else name,
        min_score=scores[0],
        max_score=scores[1],
    )


def _status_control(counts: Mapping[FaqStatus, int], *, key: str) -> FaqStatus | None:
    labels = {ALL_STATUSES: f"All {sum(counts.values())}"}
    labels |= {status.value: f"{status.value.capitalize()} {count}" for status, count in counts.items()}
    chosen = st.segmented_control(
        "Status",
        list(labels),
        default=FaqStatus.PENDING.value,
        format_func=lambda name: labels[name],
        key=key,
        required=True,
        label_visibility="collapsed",
        width="content",
    )
    return None if chosen in (None, ALL_STATUSES) else FaqStatus(chosen)


def faq_rows(pairs: Sequence[FaqPair]) -> dict[str, list[str | float | int | None]]:
    """The pairs as columns of a table."""
    return {
        "Question": [pair.question for pair in pairs],
        "Answer": [pair.answer for pair in pairs],
        "Document": [pair.document for pair in pairs],
        "Page": [pair.page for pair in pairs],
        "Score": [pair.score for pair in pairs],
        "Status": [pair.status.value for pair in pairs],
    }


def table_height(rows: int, most: int) -> int:
    """Pixels of a table that shows all its rows, or `most` of them at a time."""
    return (min(rows, most) + 1) * ROW_HEIGHT + 4


def selection_table(
    pairs: Sequence[FaqPair], *, key: str, height: int, on_select: Callable[[str, Sequence[str]], None]
) -> list[FaqPair]:
    """Pairs to choose from; returns those that are chosen. `on_select` is told the table's key and the pairs' identifiers."""
    event = st.dataframe(
        faq_rows(pairs),
        column_config=COLUMNS,
        hide_index=True,
        row_height=ROW_HEIGHT,
        height=height,
        on_select=lambda: on_select(key, [pair.id for pair in pairs]),
        selection_mode="multi-row",
        key=key,
    )
    return [pairs[row] for row in event.selection.rows if row < len(pairs)]
