"""FAQ pairs as a table, and what a person filters them by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.column_config import NumberColumn, ProgressColumn, TextColumn
from streamlit.elements.lib.column_types import ButtonColumnResult, ColumnConfig

from engine.domain import FaqPair, FaqStatus

ALL_STATUSES = "All"
ALL_DOCUMENTS = "All documents"
ROW_HEIGHT = 34
ANY = "All"
KINDS: dict[str, Callable[[FaqPair], bool]] = {
    ANY: lambda pair: True,
    "To look at again": lambda pair: bool(pair.reason) and pair.status is FaqStatus.PENDING,
    "Duplicates of a better pair": lambda pair: pair.duplicate_of is not None,
    "No duplicates": lambda pair: pair.duplicate_of is None,
}
"""Kinds of pairs to choose from, and which belong to each."""

COLUMNS: dict[str, ColumnConfig | ButtonColumnResult | str | None] = {
    "Question": TextColumn(width=290),
    "Answer": TextColumn(width=250),
    "Document": TextColumn(width="small"),
    "Page": NumberColumn(width=60),
    "Score": ProgressColumn(min_value=0.0, max_value=1.0, format="%.2f", width=90, color="#2f5d62"),
    "Status": TextColumn(width=90),
}


@dataclass(frozen=True, slots=True)
class FaqFilter:
    """Which pairs to show."""

    text: str = ""
    status: FaqStatus | None = None
    document: str | None = None
    scores: tuple[float, float] = (0.0, 1.0)
    kind: str = ANY

    def admits(self, pair: FaqPair) -> bool:
        """Whether the pair is to be shown."""
        searched = f"{pair.question}\n{pair.answer}\n{pair.quote}".casefold()
        return (
            (self.status is None or pair.status is self.status)
            and (self.document is None or pair.document == self.document)
            and self.scores[0] <= pair.score <= self.scores[1]
            and KINDS[self.kind](pair)
            and all(word in searched for word in self.text.casefold().split())
        )


def filter_controls(pairs: Sequence[FaqPair], *, key: str) -> FaqFilter:
    """Controls for what to show; the rarer ones are folded away."""
    with st.container(horizontal=True, vertical_alignment="center"):
        text = st.text_input(
            "Search",
            key=f"{key}-search",
            placeholder="Search questions, answers, quotes",
            label_visibility="collapsed",
            width=300,
        )
        chosen = _status_control(pairs, key=f"{key}-status")
        folded = st.popover("More filters", icon=":material/filter_list:", width="content")
    with folded:
        documents = sorted({pair.document for pair in pairs})
        name = st.selectbox("Document", [ALL_DOCUMENTS, *documents], key=f"{key}-document")
        kind = st.selectbox("Which pairs", list(KINDS), key=f"{key}-kind")
        scores = st.slider("Score", 0.0, 1.0, (0.0, 1.0), 0.05, key=f"{key}-score")
    return FaqFilter(text or "", chosen, None if name == ALL_DOCUMENTS else name, scores, kind)


def _status_control(pairs: Sequence[FaqPair], *, key: str) -> FaqStatus | None:
    counts = {status.value: sum(pair.status is status for pair in pairs) for status in FaqStatus}
    labels = {ALL_STATUSES: f"All {len(pairs)}"} | {name: f"{name.capitalize()} {count}" for name, count in counts.items()}
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
