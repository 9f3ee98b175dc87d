"""What a page shows while there is nothing to show."""

from __future__ import annotations

import streamlit as st

from app.navigation import page_link


def empty_state(icon: str, title: str, text: str, *, page: str | None = None, label: str = "") -> None:
    """Say what will be here and how to get there.

    Args:
        icon: a Material symbol's name, such as `description`.
        title: what is missing.
        text: what to do; our own words, never anybody's data.
        page: a page to go to.
        label: the link's text.
    """
    with st.container(border=True, horizontal_alignment="center"):
        st.space("small")
        st.markdown(f":material/{icon}: **{title}**", text_alignment="center")
        st.caption(text, text_alignment="center")
        if page is not None:
            page_link(page, label)
        st.space("small")
