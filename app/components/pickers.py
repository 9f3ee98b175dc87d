"""Choosing a collection, an adapter or who answers; the choice goes with the tab from page to page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from app.components.text import counted
from app.resources import shared_engine
from app.state import tab_state
from engine.domain import Collection

BASE = "Base model"


@dataclass(frozen=True, slots=True)
class Responder:
    """Who answers a chat: an adapter with its base model, or a model (None: the default one)."""

    model: str | None = None
    adapter: str | None = None

    @property
    def title(self) -> str:
        """The name to show."""
        return self.adapter or self.model or BASE


def collection_picker(label: str = "Collection", *, key: str) -> Collection | None:
    """Let the person choose one of the collections; None while there is none."""
    collections = {collection.name: collection for collection in shared_engine().collections()}
    if not collections:
        return None
    _follow(key, tab_state().collection, list(collections))
    chosen = st.selectbox(
        label,
        list(collections),
        key=key,
        format_func=lambda name: describe(collections[name]),
        on_change=_remember_collection,
        args=(key,),
    )
    return collections[chosen]


def describe(collection: Collection) -> str:
    """A collection in one line."""
    parts = (counted(collection.document_count, "document"), counted(collection.faq_count, "pair"))
    return f"{collection.name}  ·  {', '.join(parts)}"


def adapter_picker(label: str = "Model", *, key: str, without: str = BASE) -> str | None:
    """Let the person choose one of the fine-tuned adapters, or none of them, which is called `without`."""
    options = [without, *(adapter.name for adapter in shared_engine().repositories.adapters.list())]
    _follow(key, tab_state().adapter or without, options)
    chosen = st.selectbox(label, options, key=key, on_change=_remember_adapter, args=(key, without))
    return None if chosen == without else chosen


def responder_picker(label: str, *, key: str) -> Responder:
    """Let the person choose an adapter, a local model, or (where remotes are allowed) any `provider/model`."""
    engine = shared_engine()
    default, remotes = engine.settings.default_model, not engine.settings.offline
    responders = [Responder(), *(Responder(adapter=adapter.name) for adapter in engine.repositories.adapters.list())]
    responders += [
        Responder(model=info.name) for info in engine.registry.list() if info.kind == "chat" and info.name != default
    ]
    options = {responder.title: responder for responder in responders}
    tip = (
        "Type provider/model, such as openai/gpt-4o-mini, for a provider whose key is in the environment." if remotes else None
    )
    chosen = st.selectbox(label, list(options), key=key, accept_new_options=remotes, help=tip)
    return options.get(chosen or BASE) or Responder(model=chosen)


def _follow(key: str, wanted: str | None, options: Sequence[str]) -> None:
    """Make a widget show what was chosen elsewhere in the tab, as far as it is still there."""
    if wanted in options:
        st.session_state[key] = wanted
    elif st.session_state.get(key) not in options:
        st.session_state.pop(key, None)


def _remember_collection(key: str) -> None:
    tab_state().collection = st.session_state[key]


def _remember_adapter(key: str, without: str) -> None:
    chosen = st.session_state[key]
    tab_state().adapter = None if chosen == without else chosen
