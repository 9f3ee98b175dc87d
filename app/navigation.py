"""The pages, their order and the links between them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st
from streamlit.navigation.page import Page

from engine.config import load_settings


@dataclass(frozen=True, slots=True)
class Entry:
    """A page as the navigation lists it. `module` is in `app.pages` and has a function `render`."""

    module: str
    title: str
    icon: str
    section: str


ENTRIES = (
    Entry("home", "Home", ":material/home:", ""),
    Entry("documents", "Documents & FAQ", ":material/description:", "Knowledge"),
    Entry("ask", "Ask", ":material/quick_reference_all:", "Knowledge"),
    Entry("finetune", "Fine-tune", ":material/model_training:", "Models"),
    Entry("evaluate", "Evaluate", ":material/rule:", "Models"),
    Entry("models", "Models", ":material/deployed_code:", "Models"),
    Entry("agents", "Smart agents", ":material/support_agent:", "Customers"),
    Entry("monitor", "Monitor", ":material/monitoring:", "System"),
    Entry("settings", "Settings", ":material/settings:", "System"),
)


def show_navigation() -> Page:
    """Show the list of pages and return the one that is open."""
    sections: dict[str, list[Page]] = {}
    for entry in ENTRIES:
        sections.setdefault(entry.section, []).append(_page(entry))
    return st.navigation(sections, expanded=True)


def page_link(module: str, label: str, *, icon: str | None = None) -> None:
    """A link to another page."""
    entry = next(entry for entry in ENTRIES if entry.module == module)
    st.page_link(_page(entry), label=label, icon=icon or entry.icon)


def _page(entry: Entry) -> Page:
    first = entry is ENTRIES[0]
    return st.Page(_renderer(entry.module), title=entry.title, icon=entry.icon, url_path=entry.module, default=first)


def _renderer(module: str) -> Callable[[], None]:
    """A function that imports the page when it is opened, so that the first page does not wait for the others."""

    def render() -> None:
        importlib.import_module(f"app.pages.{module}").render()

    return render


def show_network_state() -> None:
    """Say at the foot of the list of pages whether anything may leave this machine."""
    if load_settings().offline:
        st.sidebar.caption(":material/lock: Nothing leaves this machine")
    else:
        st.sidebar.caption(":material/public: Named providers may be reached")
