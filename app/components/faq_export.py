"""Saving the pairs of a collection in every format that there is."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.components.empty import empty_state
from app.components.text import counted
from app.resources import shared_engine
from engine.domain import Collection, FaqPair, FaqQuery, FaqStatus
from engine.faq.export import EXPORTED, FORMATS

APPROVED, SOUND, EVERY = "Approved", "All but rejected", "All"
CHOICES = {APPROVED: FaqQuery(statuses=frozenset({FaqStatus.APPROVED})), SOUND: EXPORTED, EVERY: FaqQuery()}
LABELS: dict[str, tuple[str, str, str, str]] = {
    "jsonl": ("JSONL", "jsonl", "application/jsonl", "A line of JSON for each pair, with its source, score and status."),
    "csv": ("CSV", "csv", "text/csv", "A table for a spreadsheet."),
    "md": ("Markdown", "md", "text/markdown", "A page to read and to edit."),
    "html": ("HTML page", "html", "text/html", "A FAQ page for a web site, which loads nothing from elsewhere."),
    "jsonld": ("FAQPage JSON-LD", "jsonld", "application/ld+json", "schema.org data, with which search engines show a FAQ."),
    "chat": ("Chat JSONL", "chat.jsonl", "application/jsonl", "The format that models are fine-tuned on."),
}
"""Of each format its name, its file's ending, its media type, and what it is for."""


def export_menu(collection: Collection) -> None:
    """Offer the pairs of a collection in each format."""
    if collection.faq_count == 0:
        empty_state("download", "Nothing to export yet", "Extract pairs from a document first.")
        return
    chosen = st.segmented_control("Which pairs", list(CHOICES), default=SOUND, required=True, key="export-which")
    wanted = shared_engine().repositories.faqs.find(collection.id, CHOICES[chosen or EVERY])
    kept = "Each keeps its document, page, heading, quote, score and model."
    st.caption(f"{counted(len(wanted), 'pair')} of {collection.faq_count:,}. {kept}")
    for form in FORMATS:
        _format(collection, form, wanted)


def _format(collection: Collection, form: str, pairs: Sequence[FaqPair]) -> None:
    label, suffix, media_type, purpose = LABELS[form]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            label,
            data=lambda: FORMATS[form](pairs),
            file_name=f"{collection.name}.{suffix}",
            mime=media_type,
            icon=":material/download:",
            key=f"export-{form}",
            disabled=not pairs,
            on_click="ignore",
            width=190,
        )
        st.caption(purpose, width="stretch")
