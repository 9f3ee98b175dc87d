"""Fine-tune: make an adapter, chat with it, compare it."""

from __future__ import annotations

import streamlit as st

from app.components.adapter_chat import adapter_chat
from app.components.adapters import adapter_list
from app.components.comparison import comparison
from app.components.dataset_preview import dataset_preview
from app.components.finetune_form import finetune_form
from app.components.jobs import job_cards
from app.components.training_estimate import training_estimate
from app.components.training_monitor import training_monitor

FORM_WIDTH = 500
"""Pixels of the form: two boxes of its settings stand side by side. In a narrow window the rest goes below it."""


def render() -> None:
    """Show the page."""
    st.title("Fine-tune")
    st.caption(
        "An adapter learns the pairs of a collection. It is attached to the model that is served, with no second copy of it."
    )
    create, chat, compare = st.tabs(["Create", "Chat", "Compare"])
    with create:
        _create()
    with chat:
        adapter_chat()
    with compare:
        comparison()


def _create() -> None:
    job_cards(("finetune",), training_monitor)
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=FORM_WIDTH):
            wanted = finetune_form()
        with st.container():
            if wanted.source.is_complete:
                training_estimate(wanted)
                dataset_preview(wanted.source, wanted.base, wanted.preset, wanted.settings)
            st.subheader("Adapters")
            adapter_list()
