"""The steps of a trace, indented by depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from app.components.text import duration, plain

if TYPE_CHECKING:
    from engine.observability.traces import RecordedSpan

INDENT = "\u2003"


def show_trace(spans: Sequence[RecordedSpan]) -> None:
    """A table of the steps with their share of the time, and what one of them got and gave."""
    ordered = in_tree_order(spans)
    whole = max((span.seconds for span, _ in ordered), default=0.0) or 1.0
    event = st.dataframe(
        {
            "Step": [f"{INDENT * depth}{span.name}" for span, depth in ordered],
            "Took": [duration(span.seconds) for span, _ in ordered],
            "Share": [span.seconds / whole for span, _ in ordered],
            "Tokens": [span.prompt_tokens + span.completion_tokens for span, _ in ordered],
            "Error": [span.error or "" for span, _ in ordered],
        },
        column_config={
            "Share": st.column_config.ProgressColumn(min_value=0.0, max_value=1.0, format="percent", color="#2f5d62")
        },
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"trace-{spans[0].trace_id}",
        height="content" if len(ordered) <= 12 else 420,
    )
    rows = event.selection.rows
    _show_span(ordered[rows[0] if rows and rows[0] < len(ordered) else 0][0])


def in_tree_order(spans: Sequence[RecordedSpan]) -> list[tuple[RecordedSpan, int]]:
    """The spans with their depth, each before its children; one whose parent was not recorded counts as outermost."""
    known = {span.span_id for span in spans}
    children: dict[str | None, list[RecordedSpan]] = {}
    for span in spans:
        children.setdefault(span.parent_id if span.parent_id in known else None, []).append(span)
    ordered: list[tuple[RecordedSpan, int]] = []
    waiting = [(span, 0) for span in reversed(children.get(None, []))]
    while waiting:
        span, depth = waiting.pop()
        ordered.append((span, depth))
        waiting.extend((child, depth + 1) for child in reversed(children.get(span.span_id, [])))
    return ordered


def _show_span(span: RecordedSpan) -> None:
    st.markdown(f"**{plain(span.name)}**")
    if span.error:
        st.error(plain(span.error))
    for column, title, value in zip(st.columns(2), ("Input", "Output"), (span.input, span.output), strict=True):
        if value is not None:
            column.caption(title)
            column.json(value if isinstance(value, dict | list) else [value], expanded=1)
