"""Smart agents: create one, talk to it as a customer would, see the leads."""

from __future__ import annotations

import streamlit as st

from app.components.agent_chat import agent_chat
from app.components.empty import empty_state
from app.components.leads import leads_table
from app.components.pickers import collection_picker, responder_picker
from app.components.text import plain
from app.resources import shared_engine
from app.state import tab_state
from engine.domain import AgentConfig
from engine.requests import DEFAULT_FIELDS

MORE_FIELDS = ("address", "budget", "order number", "preferred date")


def render() -> None:
    """Show the page."""
    st.title("Smart agents")
    st.caption("An agent answers customers from the FAQs of a collection and notes what they say about themselves.")
    agents, chat, leads = st.tabs(["Agents", "Chat", "Leads"])
    with agents:
        left, right = st.columns([2, 3], gap="large")
        with left:
            _create()
        with right:
            _list()
    with chat:
        agent_chat()
    with leads:
        leads_table()


def _create() -> None:
    with st.container(border=True):
        st.subheader("New agent")
        if not shared_engine().collections():
            st.caption("An agent needs a collection to answer from. Add documents first.")
            return
        name = st.text_input("Name", max_chars=80, placeholder="Front desk")
        collection = collection_picker("Answers from", key="agent-collection")
        instructions = st.text_area(
            "Instructions", max_chars=8000, placeholder="You speak for our shop. Be brief and friendly.", height=100
        )
        fields = st.multiselect(
            "Lead fields", [*DEFAULT_FIELDS, *MORE_FIELDS], default=DEFAULT_FIELDS, accept_new_options=True, max_selections=20
        )
        responder = responder_picker("Answers with", key="agent-responder")
        ready = bool(name.strip()) and collection is not None
        if st.button("Create agent", type="primary", disabled=not ready, icon=":material/add:") and collection is not None:
            with st.spinner("Bringing the search index of the collection up to date; new documents and FAQs are embedded"):
                agent = shared_engine().create_agent(
                    name,
                    collection.name,
                    instructions=instructions,
                    fields=fields,
                    model=responder.model,
                    adapter=responder.adapter,
                    allow_mismatch=True,  # the picker offers such an adapter only to a person who asked for it
                )
            tab_state().agent = agent.name
            st.rerun()


def _list() -> None:
    agents = shared_engine().agents.list()
    if not agents:
        empty_state("support_agent", "No agents yet", "Give one a name and a collection, then talk to it in the next tab.")
    names = {collection.id: collection.name for collection in shared_engine().collections()}
    for agent in agents:
        _agent(agent, names.get(agent.collection_id, ""))


def _agent(agent: AgentConfig, collection: str) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(agent.name)}**", width="stretch")
            _delete(agent)
        name = agent.adapter or agent.model
        brain = f" · {'adapter' if agent.adapter else 'model'} {plain(name)}" if name else ""
        st.caption(f"Answers from {plain(collection)}{brain} · asks for {plain(', '.join(agent.fields)) or 'nothing'}")
        if agent.instructions:
            st.text(agent.instructions)


def _delete(agent: AgentConfig) -> None:
    with st.popover("Delete", icon=":material/delete:", width="content"):
        st.markdown("The agent goes, with its conversations and leads.")
        if st.button("Delete it", key=f"delete-agent-{agent.id}", type="primary"):
            shared_engine().agents.delete(agent.name)
            st.rerun()
