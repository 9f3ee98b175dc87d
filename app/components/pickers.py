"""Choosing a collection, a model, an adapter or who answers; the choice goes with the tab from page to page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from app.components.text import counted, plain
from app.resources import shared_engine
from app.state import tab_state
from engine.domain import Adapter, Collection

BASE = "Base model"
REMOTES_TIP = "Type provider/model, such as openai/gpt-4o-mini, for a provider whose key is in the environment."


@dataclass(frozen=True, slots=True)
class Responder:
    """Who answers: an adapter with its base model, or a model (None: the default one)."""

    model: str | None = None
    adapter: str | None = None

    @property
    def title(self) -> str:
        """The name to show."""
        return self.adapter or self.model or BASE


def collection_picker(label: str = "Collection", *, key: str, named_only: bool = False) -> Collection | None:
    """Let the person choose one of the collections; None while there is none.

    With `named_only` the box shows nothing but the names: for a place where label and counts are said by what stands around.
    """
    collections = {collection.name: collection for collection in shared_engine().collections()}
    if not collections:
        return None
    _follow(key, tab_state().collection, list(collections))
    chosen = st.selectbox(
        label,
        list(collections),
        key=key,
        format_func=lambda name: name if named_only else describe(collections[name]),
        label_visibility="collapsed" if named_only else "visible",
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
    adapters = {adapter.name: adapter for adapter in offered_adapters(key=key)}
    options = [without, *adapters]
    responder = tab_state().responder
    _follow(key, responder if responder in options else without, options)
    chosen = st.selectbox(
        label,
        options,
        key=key,
        format_func=lambda name: adapter_title(adapters[name]) if name in adapters else name,
        on_change=_remember_responder,
        args=(key, without),
    )
    return None if chosen == without else chosen


def offered_adapters(*, key: str) -> list[Adapter]:
    """The adapters to choose from: those that are served as they were trained, and the others when the person asks for them.

    Says which ones are left out because their base has changed, or is served otherwise.
    """
    offering = shared_engine().offering
    adapters = [(adapter, offering.standing(adapter)) for adapter in shared_engine().repositories.adapters.list()]
    if changed := [adapter.name for adapter, standing in adapters if standing == "base changed"]:
        st.caption(f"Not offered, because the base has changed since: {plain(', '.join(changed))}")
    if moved := [adapter.name for adapter, standing in adapters if standing == "other positions"]:
        st.caption(f"Not offered, because NEXUS_CONTEXT_TOKENS is not as they need it: {plain(', '.join(moved))}")
    shown = {"ready"}
    if any(standing == "mismatch" for _, standing in adapters) and st.checkbox(
        "Also adapters that failed their check", key=f"{key}-mismatched", help="They do not answer here as they were trained."
    ):
        shown.add("mismatch")
    return [adapter for adapter, standing in adapters if standing in shown]


def adapter_title(adapter: Adapter) -> str:
    """An adapter's name, with a mark where it is not served as it was trained."""
    return adapter.name if adapter.status == "ready" else f"⚠ {adapter.name} (not as trained)"


def model_picker(label: str = "Model", *, key: str, remotes: bool = True) -> str | None:
    """Let the person choose a chat model. None is the default one, which comes first.

    With `remotes`, and where they are allowed, any `provider/model` can be typed in.
    """
    engine = shared_engine()
    default, remotes = engine.settings.default_model, remotes and not engine.settings.offline
    chosen = st.selectbox(
        label,
        [default, *_other_models()],
        key=key,
        format_func=lambda name: f"{name} (default)" if name == default else name,
        accept_new_options=remotes,
        help=REMOTES_TIP if remotes else None,
    )
    return None if chosen == default else chosen


def responder_picker(label: str, *, key: str) -> Responder:
    """Let the person choose an adapter, a local model, or (where remotes are allowed) any `provider/model`."""
    engine = shared_engine()
    remotes = not engine.settings.offline
    adapters = offered_adapters(key=key)
    titles = {adapter.name: adapter_title(adapter) for adapter in adapters}
    responders = [Responder(), *(Responder(adapter.base_model, adapter.name) for adapter in adapters)]
    responders += [Responder(model=name) for name in _other_models()]
    options = {responder.title: responder for responder in responders}
    remembered = tab_state().responder
    if remotes and remembered and "/" in remembered:
        options.setdefault(remembered, Responder(model=remembered))
    _follow(key, remembered if remembered in options else BASE, list(options))
    chosen = st.selectbox(
        label,
        list(options),
        key=key,
        format_func=lambda title: titles.get(title, title),
        accept_new_options=remotes,
        help=REMOTES_TIP if remotes else None,
        on_change=_remember_responder,
        args=(key, BASE),
    )
    return options.get(chosen or BASE) or Responder(model=chosen)


def _other_models() -> list[str]:
    """The chat models in the models folder, without the default one."""
    engine = shared_engine()
    default = engine.settings.default_model
    return [info.name for info in engine.registry.list() if info.kind == "chat" and info.name != default]


def _follow(key: str, wanted: str | None, options: Sequence[str]) -> None:
    """Make a widget show what was chosen elsewhere in the tab, as far as it is still there."""
    if wanted in options:
        st.session_state[key] = wanted
    elif st.session_state.get(key) not in options:
        st.session_state.pop(key, None)


def _remember_collection(key: str) -> None:
    tab_state().collection = st.session_state[key]


def _remember_responder(key: str, default: str) -> None:
    chosen = st.session_state[key]
    tab_state().responder = None if chosen == default else chosen
