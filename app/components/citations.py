"""Citations and the figures of an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st
from pydantic import TypeAdapter, ValidationError

from app.components.text import counted, duration, plain, shortened
from engine.domain import Answer, Citation, Json, Timings, Usage

_CITATIONS = TypeAdapter(tuple[Citation, ...])


def show_citations(citations: Sequence[Citation]) -> None:
    """Cards that open: document, page, verbatim quote, score."""
    for number, citation in enumerate(citations, start=1):
        place = citation.document if citation.page is None else f"{citation.document}, page {citation.page}"
        label = f"{number} · {plain(place)} — {plain(shortened(citation.quote, 70))}"
        with st.expander(label, icon=":material/format_quote:"):
            st.text(citation.quote)
            st.caption(f"{plain(place)} · score {citation.score:.2f}")


def figures(model: str, adapter: str | None, usage: Usage, timings: Timings) -> str:
    """Who answered, how fast and with how many tokens, as Markdown for a caption."""
    parts = [plain(model)] if model else []
    if adapter:
        parts.append(plain(adapter))
    if timings.total_s > 0:
        parts.append(f"{duration(timings.total_s)}, first word after {duration(timings.first_token_s)}")
    if usage.completion_tokens:
        parts.append(f"{usage.prompt_tokens:,} tokens in, {usage.completion_tokens:,} out")
    return " · ".join(parts) or counted(0, "token")


def stored_citations(details: Mapping[str, Json]) -> Sequence[Citation]:
    """The citations that are stored with an answer; none where they cannot be read."""
    try:
        return _CITATIONS.validate_python(details.get("citations", []))
    except ValidationError:
        return ()


def show_support(answer: Answer) -> None:
    """Everything below the words of an answer; instead of them where the documents do not say."""
    show_notice(answer.notice)
    if not answer.found:
        st.info(plain(answer.text), icon=":material/search_off:")
    show_citations(answer.citations)
    st.caption(figures(answer.model, answer.adapter, answer.usage, answer.timings))


def show_notice(notice: str | None) -> None:
    """What the person should know of how the answer came about, such as a fall-back."""
    if notice:
        st.info(plain(notice), icon=":material/info:")
