"""Data as the model will see them, before they are learnt: what is masked is grey, what is learnt stands out."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import streamlit as st

from app.components.text import counted, plain
from app.components.training_data import TrainingSource
from app.resources import shared_engine
from engine.domain import Json, Preset
from engine.training.datasets.encoding import Piece
from engine.training.datasets.preview import DatasetPreview, ShownExample

KINDS = {
    "pair": "as it stands",
    "wording": "in other words that were there",
    "rewording": "in other words by rule",
    "query": "made as one types it into a search box",
    "follow-up": "after another pair",
    "unanswerable": "without an answer",
}
"""What examples are made of, in words."""

_BOX = (
    "white-space:pre-wrap;overflow-wrap:anywhere;max-height:18rem;overflow:auto;padding:.5rem .8rem;font-size:.9rem;"
    "border:1px solid rgba(128,128,128,.35);border-radius:.5rem"
)
_MASKED = "opacity:.45"
_LEARNT = "background:rgba(60,170,90,.28);border-radius:.2rem"
_SPECIAL = "font-family:monospace;font-size:.8em"


def dataset_preview(
    source: TrainingSource, base: str | None, preset: Preset, settings: Mapping[str, Json] | None = None
) -> None:
    """Offer a look at the data, and show it as long as nothing that it depends on has changed."""
    key = f"{source.key()} {base} {preset} {settings}"
    if st.button("Preview the data", disabled=not source.is_complete, icon=":material/visibility:"):
        with st.spinner("Preparing the data"), source.saved() as path:
            found = shared_engine().preview_finetune(
                collection=source.collection_name,
                dataset=path,
                base=base,
                preset=preset,
                settings=settings,
                data=source.options,
            )
        st.session_state["finetune-preview"] = key, found
    shown = st.session_state.get("finetune-preview")
    if shown is not None and shown[0] == key:
        _show(shown[1])


def _show(preview: DatasetPreview) -> None:
    with st.container(horizontal=True, gap="large"):
        st.metric("Learnt", f"{preview.learnt:,}", width="content")
        st.metric("Kept back", f"{preview.held_out:,}", width="content")
        st.metric("Passages", f"{preview.groups:,}", width="content")
        st.metric("Longest", counted(preview.length_at(1.0), "token"), width="content")
    st.caption(", ".join(f"{count:,} {KINDS[kind]}" for kind, count in preview.kinds.items()) + ".")
    st.caption(_faults(preview))
    for note in preview.notes:
        st.caption(f":material/info: {plain(note)}")
    st.bar_chart(
        {"tokens": [f"to {up_to}" for up_to, _ in preview.histogram()], "examples": [n for _, n in preview.histogram()]},
        x="tokens",
        y="examples",
        height=160,
        sort=False,
    )
    st.caption("Grey is read, green is learnt.")
    for example in preview.examples:
        st.caption(f"{KINDS[example.kind].capitalize()} · {_size(example)}")
        st.html(example_html(example))


def _faults(preview: DatasetPreview) -> str:
    """What was counted of things that should not be, and of how many examples."""
    of = f" of {preview.measured:,} measured" if preview.measured < preview.learnt else ""
    return (
        f"{counted(preview.duplicates, 'duplicate')} left out; {preview.truncated:,} too long and cut, "
        f"{preview.skipped:,} without room for an answer{of}. At most {preview.max_length:,} tokens."
    )


def _size(example: ShownExample) -> str:
    cut = ", cut" if example.truncated else ""
    return f"{counted(example.tokens, 'token')}, {example.learnt_tokens:,} learnt{cut}"


def example_html(example: ShownExample) -> str:
    """An example as HTML. All text in it is from outside, and escaped."""
    return f'<div style="{_BOX}">{"".join(map(_piece, example.runs()))}</div>'


def _piece(piece: Piece) -> str:
    style = f"{_LEARNT if piece.learnt else _MASKED};{_SPECIAL if piece.special else ''}"
    return f'<span style="{style}">{escape(piece.text)}</span>'
