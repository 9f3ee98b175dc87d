"""Choosing a collection, an adapter or a model; the choice goes with the tab from page to page."""

from __future__ import annotations

import streamlit as st

from app.components.text import counted
from app.resources import shared_engine
from app.state import tab_state
from engine.domain import Collection

BASE = "Base model"


def collection_picker(label: str = "Collection", *, key: str) -> Collection | None:
    """Let the person choose one of the collections; None while there is none."""
    collections = {collection.name: collection for collection in shared_engine().collections()}
    if not collections:
        return None
    state = tab_state()
    names = list(collections)
    index = names.index(state.collection) if state.collection in collections else 0
    chosen = st.selectbox(label, names, index=index, key=key, format_func=lambda name: describe(collections[name]))
    state.collection = chosen
    return collections[chosen]


def describe(collection: Collection) -> str:
    """A collection in one line."""
    parts = (counted(collection.document_count, "document"), counted(collection.faq_count, "pair"))
    return f"{collection.name}  ·  {', '.join(parts)}"


def adapter_picker(label: str = "Model", *, key: str, without: str = BASE) -> str | None:
    """Let the person choose one of the fine-tuned adapters, or none of them, which is called `without`."""
    names = [adapter.name for adapter in shared_engine().repositories.adapters.list()]
    options = [without, *names]
    state = tab_state()
    index = options.index(state.adapter) if state.adapter in names else 0
    chosen = st.selectbox(label, options, index=index, key=key)
    state.adapter = None if chosen == without else chosen
    return state.adapter
