"""The script behind every page: page settings, navigation, and the page that is open."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.components.boundary import boundary
from app.navigation import show_navigation, show_network_state

HERE = Path(__file__).parent
ICON = str(HERE / "icon.png")

# The icon is set here because the default one of a page with a symbol would be fetched from a font server.
st.set_page_config(page_title="AI Nexus", page_icon=ICON, layout="wide")
st.logo(str(HERE / "logo.svg"), size="large", icon_image=ICON)
page = show_navigation()
st.set_page_config(page_title=f"{page.title} · AI Nexus", page_icon=ICON)
with boundary():
    show_network_state()
    page.run()
