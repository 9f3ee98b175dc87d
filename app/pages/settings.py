"""Settings: what is in force, where data lives, and which provider keys the environment holds."""

from __future__ import annotations

import os

import streamlit as st

from app.components.text import plain, size
from app.resources import shared_engine
from engine.config import Settings
from engine.domain import utc_now

PROVIDER_KEYS = {
    "OpenAI": "OPENAI_API_KEY",
    "Anthropic": "ANTHROPIC_API_KEY",
    "Mistral": "MISTRAL_API_KEY",
    "Gemini": "GEMINI_API_KEY",
    "OpenAI-compatible server (vLLM and others)": "OPENAI_API_BASE",
}
"""Environment variables that litellm reads for each provider. Only their presence is looked at."""


def render() -> None:
    """Show the page."""
    engine = shared_engine()
    settings = engine.settings
    st.title("Settings")
    st.caption("Settings are environment variables, read when the program starts. Change one and start it again.")
    _network(settings)
    _spending(engine.repositories.spending.of_month(utc_now()), settings.budget_usd)
    _places(settings)
    _values(settings)


def _network(settings: Settings) -> None:
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.subheader("Network")
        if settings.offline:
            st.success("Offline: nothing leaves this machine.", icon=":material/lock:")
        else:
            st.warning("Providers with a key may be reached when a model of theirs is named.", icon=":material/public:")
        st.caption("`NEXUS_OFFLINE=false` allows named providers. `NEXUS_OPIK_URL` names a trace server.")
    with right:
        st.subheader("Provider keys")
        present = [bool(os.environ.get(name)) for name in PROVIDER_KEYS.values()]
        states = ["present" if there else "absent" for there in present]
        st.table({"Provider": list(PROVIDER_KEYS), "Variable": list(PROVIDER_KEYS.values()), "State": states}, hide_index=True)
        st.caption("Keys are read from the environment where they are used. They are never stored, shown or logged.")


def _spending(spent_usd: float, budget_usd: float | None) -> None:
    st.subheader("Spent on providers this month")
    limit = "no budget is set" if budget_usd is None else f"of {budget_usd:.2f} USD"
    st.markdown(f"**{spent_usd:.4f} USD**, {limit}")
    st.caption(
        "What requests under way may cost is counted too. `NEXUS_BUDGET_USD` sets what a calendar month (UTC) may cost; a "
        "request that could go beyond it is not sent, and the local model answers."
    )


def _places(settings: Settings) -> None:
    st.subheader("Where data lives")
    places = {
        "Home": settings.home,
        "Database": settings.database,
        "Documents": settings.documents_dir,
        "Vectors": settings.vectors_dir,
        "Adapters": settings.adapters_dir,
        "Training runs": settings.runs_dir,
        "Traces": settings.events_dir,
        "Logs": settings.logs_dir,
        "Models": settings.models_dir,
    }
    st.dataframe({"What": list(places), "Path": [str(path) for path in places.values()]}, hide_index=True, height="content")
    if settings.database.is_file():
        st.caption(
            f"The database takes {plain(size(settings.database.stat().st_size))}. Copy the home folder to back everything up."
        )


def _values(settings: Settings) -> None:
    st.subheader("All settings")
    names = list(Settings.model_fields)
    st.dataframe(
        {
            "Variable": [f"NEXUS_{name.upper()}" for name in names],
            "Value": ["" if (value := getattr(settings, name)) is None else str(value) for name in names],
            "Meaning": [Settings.model_fields[name].description or "" for name in names],
        },
        hide_index=True,
        height="content",
    )
