"""Chat with the base model or an adapter, with history."""

from __future__ import annotations

import streamlit as st

from app.components.answers import stream_text, with_reasoning
from app.components.citations import figures, show_notice
from app.components.empty import empty_state
from app.components.pickers import Responder, responder_picker
from app.components.text import plain
from app.components.transcript import MODEL, bubble, conversation_list, show_transcript
from app.resources import shared_engine
from app.state import tab_state


def adapter_chat() -> None:
    """Conversations on the left, the open one on the right."""
    state = tab_state()
    stored = shared_engine().repositories.conversations
    conversations = stored.list("chat")
    if state.conversation not in [conversation.id for conversation in conversations]:
        state.conversation = None
    left, right = st.columns([1, 3], gap="large")
    with left:
        chosen = conversation_list(conversations, state.conversation, key="chat")
        if chosen != state.conversation:
            state.conversation = chosen
            st.rerun()
    with right:
        responder = _controls()
        with st.container(height=420, border=True):
            _messages(responder, st.session_state.get("chat-input"))
        st.chat_input("Message", key="chat-input", max_chars=16_000)


def _controls() -> Responder:
    state = tab_state()
    picker, button = st.columns([4, 1], vertical_alignment="bottom")
    with picker:
        responder = responder_picker("Who answers", key="chat-adapter")
    with button:
        if st.button("Delete", disabled=state.conversation is None, icon=":material/delete:") and state.conversation:
            shared_engine().repositories.conversations.delete(state.conversation)
            state.conversation = None
            st.rerun()
    return responder


def _messages(responder: Responder, message: str | None) -> None:
    state = tab_state()
    if state.conversation is not None:
        show_transcript(shared_engine().repositories.conversations.history(state.conversation))
    elif not message:
        empty_state("forum", "Start a conversation", "Write below. Conversations are kept until you delete them.")
    if message:
        _answer(message, responder)


def _answer(message: str, responder: Responder) -> None:
    state = tab_state()
    bubble("user", message)
    with st.chat_message("assistant", avatar=MODEL):
        pieces = shared_engine().chat(
            message,
            model=responder.model,
            adapter=responder.adapter,
            conversation=state.conversation,
            allow_mismatch=True,  # the picker offers such an adapter only to a person who asked for it
        )
        last = stream_text(with_reasoning(pieces), f"{plain(responder.title)} is thinking…")
        if last is None:
            return
        is_new = state.conversation is None
        state.conversation = last.conversation_id
        if last.completion is not None:
            show_notice(last.completion.notice)
            completion = last.completion
            st.caption(figures(completion.model, completion.adapter, completion.usage, completion.timings))
    if is_new:
        st.rerun()  # the list of conversations has a new one
