"""Choosing a collection, an adapter or who answers; the choice goes with the tab from page to page."""

from __future__ import annotations

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


def responder_picker(label: str, *, key: str) -> Responder:
    """Let the person choose an adapter, a local model, or (where remotes are allowed) any `provider/model`."""
    engine = shared_engine()
    default = engine.settings.default_model
    responders = [Responder(), *(Responder(adapter=adapter.name) for adapter in engine.repositories.adapters.list())]
    responders += [
        Responder(model=info.name) for info in engine.registry.list() if info.kind == "chat" and info.name != default
    ]
    options = {responder.title: responder for responder in responders}
    state = tab_state()
    index = list(options).index(state.adapter) if state.adapter in options else 0
    remotes = not engine.settings.offline
    tip = (
        "Type provider/model, such as openai/gpt-4o-mini, for a provider whose key is in the environment." if remotes else None
    )
    chosen = st.selectbox(label, list(options), index=index, key=key, accept_new_options=remotes, help=tip)
    responder = options.get(chosen or BASE) or Responder(model=chosen)
    state.adapter = responder.adapter
    return responder
