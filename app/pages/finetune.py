"""Fine-tune: make an adapter, chat with it, compare it."""

from __future__ import annotations

import streamlit as st

from app.components.adapter_chat import adapter_chat
from app.components.adapters import adapter_list
from app.components.comparison import comparison
from app.components.finetune_form import finetune_form
from app.components.jobs import job_cards
from app.components.training_monitor import training_monitor


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
    left, right = st.columns([2, 3], gap="large")
    with left:
        finetune_form()
    with right:
        job_cards(("finetune",), training_monitor)
        st.subheader("Adapters")
        adapter_list()
