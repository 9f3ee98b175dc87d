"""What `streamlit run app` serves: the script `shell/main.py`, an engine as long-lived as the server, response headers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.middleware import Middleware
from streamlit import App

from app.resources import close_engine, shared_engine
from app.security import SecurityHeaders
from engine.errors import NexusError

logger = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(server: App) -> AsyncIterator[None]:
    """Open the engine before the first page is asked for, and close it when the server stops."""
    try:
        await asyncio.to_thread(shared_engine)
    except NexusError as exc:  # the pages try again and show it
        logger.warning("the engine could not be opened: %s", exc.message)
    try:
        yield
    finally:
        await asyncio.to_thread(close_engine)


app = App(Path(__file__).with_name("shell") / "main.py", lifespan=lifespan, middleware=[Middleware(SecurityHeaders)])
