"""The one engine of this server process, shared by all browser tabs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import streamlit as st

from engine.errors import ConfigError

if TYPE_CHECKING:
    from engine.container import Engine

logger = logging.getLogger(__name__)


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

    engine = Engine(load_settings(), log_to_stderr=True)
    try:
        engine.start()
    except ConfigError as exc:  # the metrics port is taken; everything else works
        logger.warning("%s %s", exc.message, exc.hint)
    return engine


def close_engine() -> None:
    """Close the engine if it is open: running jobs are put back, models unloaded."""
    shared_engine.clear()
