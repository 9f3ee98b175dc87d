"""The one engine of this server process, shared by all browser tabs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from engine.container import Engine


def _close(engine: Engine) -> None:
    engine.close()


@st.cache_resource(show_spinner=False, on_release=_close)
def shared_engine() -> Engine:
    """The engine over the home folder that the environment names, started.

    Raises:
        ConfigError: a setting makes no sense.
        StorageError: the home cannot be written.
    """
    from engine.config import load_settings
    from engine.container import Engine
    from engine.observability.logging import configure_logging

    settings = load_settings()
    configure_logging(settings, stderr=True)
    engine = Engine(settings)
    engine.start()
    return engine


def close_engine() -> None:
    """Close the engine if it is open: running jobs are put back, models unloaded."""
    shared_engine.clear()
