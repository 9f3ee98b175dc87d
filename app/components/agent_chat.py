"""A conversation with an agent as a customer has it, with the lead so far beside it."""

from __future__ import annotations

import streamlit as st

from app.components.answers import stream_text
from app.components.citations import show_citations, show_notice
from app.components.empty import empty_state
from app.components.text import plain
from app.components.transcript import MODEL, bubble, conversation_list, show_transcript
from app.resources import shared_engine
from app.state import tab_state
from engine.domain import AgentConfig


def agent_chat() -> None:
    """Choose an agent and a conversation, and talk."""
    agents = {agent.name: agent for agent in shared_engine().repositories.agents.list()}
    if not agents:
        empty_state("support_agent", "No agents yet", "Create one in the first tab.")
        return
    state = tab_state()
    left, middle, right = st.columns([2, 5, 2], gap="medium")
    with left:
        index = list(agents).index(state.agent) if state.agent in agents else 0
        agent = agents[st.selectbox("Agent", list(agents), index=index, key="agent-chat-agent")]
        state.agent = agent.name
        _choose_conversation(agent)
    with middle:
        with st.container(height=460, border=True):
            _messages(agent, st.session_state.get("agent-input"))
        st.chat_input("What the customer says", key="agent-input", max_chars=16_000)
    with right:
        _lead(agent)


def _choose_conversation(agent: AgentConfig) -> None:
    state = tab_state()
    conversations = shared_engine().repositories.conversations.list("agent", agent.id)
    current = state.agent_conversations.get(agent.name)
    if current not in [conversation.id for conversation in conversations]:
        current = None
    chosen = conversation_list(conversations, current, key="agent")
    if chosen is None:
        state.agent_conversations.pop(agent.name, None)
    else:
        state.agent_conversations[agent.name] = chosen
    if chosen != current:
        st.rerun()


def _messages(agent: AgentConfig, message: str | None) -> None:
    conversation = tab_state().agent_conversations.get(agent.name)
    if conversation is not None:
        show_transcript(shared_engine().repositories.conversations.history(conversation))
    elif not message:
        empty_state("forum", "Speak as a customer", "Ask something that the FAQs answer, and say who you are.")
    if message:
        _reply(agent, message, conversation)


def _reply(agent: AgentConfig, message: str, conversation: str | None) -> None:
    bubble("user", message)
    with st.chat_message("assistant", avatar=MODEL):
        pieces = shared_engine().agent_reply(agent.name, message, conversation=conversation)
        words = st.empty()
        last = stream_text(pieces, f"{plain(agent.name)} is typing…", words)
        if last is None or last.reply is None:
            return
        words.text(last.reply.reply)
        show_notice(last.reply.notice)
        show_citations(last.reply.citations)
    if conversation is None:
        tab_state().agent_conversations[agent.name] = last.reply.conversation_id
        st.rerun()  # the list of conversations has a new one


def _lead(agent: AgentConfig) -> None:
    conversation = tab_state().agent_conversations.get(agent.name)
    known = shared_engine().repositories.leads.for_conversation(conversation) if conversation else {}
    with st.container(border=True):
        st.markdown("**Lead so far**")
        for field in dict.fromkeys([*agent.fields, *known]):
            st.caption(plain(field))
            st.text(known.get(field, "—"))
