"""Leads as a table, and as a CSV file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app.components.empty import empty_state
from app.components.text import clock, counted
from app.resources import shared_engine
from engine.csv_export import leads_to_csv
from engine.domain import Lead

EVERYONE = "All agents"


def leads_table() -> None:
    """All leads, or those of an agent, with a download."""
    engine = shared_engine()
    agents = {agent.id: agent.name for agent in engine.repositories.agents.list()}
    chosen = st.selectbox("Agent", [EVERYONE, *agents.values()], key="leads-agent")
    leads = engine.leads(None if chosen == EVERYONE else chosen)
    if not leads:
        empty_state("contact_page", "No leads yet", "They appear as soon as a customer tells an agent a name or an address.")
        return
    st.dataframe(lead_columns(leads, agents), hide_index=True)
    with st.container(horizontal=True, vertical_alignment="center"):
        text = leads_to_csv(leads, agents)
        st.download_button("CSV", text, file_name="leads.csv", mime="text/csv", icon=":material/download:")
        st.caption(f"{counted(len(leads), 'lead')}. Every value stands word for word in one of the customer's messages.")


def lead_columns(leads: Sequence[Lead], agents: Mapping[str, str]) -> dict[str, list[str]]:
    """Leads as columns: agent, every field that any lead has, and times. `agents` maps identifiers to names."""
    fields = list(dict.fromkeys(name for lead in leads for name in lead.fields))
    columns = {"agent": [agents.get(lead.agent_id, "") for lead in leads]}
    columns |= {name: [lead.fields.get(name, "") for lead in leads] for name in fields}
    return columns | {
        "first heard": [clock(lead.created_at) for lead in leads],
        "last heard": [clock(lead.updated_at) for lead in leads],
    }
