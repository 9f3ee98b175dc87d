"""What `streamlit run app` serves: the script `shell/main.py`, an engine as long-lived as the server, response headers."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

from starlette.middleware import Middleware
from streamlit import App

from app.resources import close_engine, shared_engine
from app.security import SecurityHeaders
from engine.errors import NexusError

logger = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(server: App) -> AsyncIterator[None]:
    """Open the engine while the browser still loads its scripts, and close it when the server stops."""
    opening = asyncio.create_task(asyncio.to_thread(_open))
    try:
        yield
    finally:
        await opening
        await asyncio.to_thread(close_engine)


def _open() -> None:
    """Do what the first page would wait for: open the engine, import the first page.

    Imports only add objects, so collecting cycles meanwhile finds nothing and costs a fifth of the time.
    """
    gc.disable()
    try:
        shared_engine()
        import_module("app.pages.home")
    except NexusError as exc:  # the pages try again and show it
        logger.warning("the engine could not be opened: %s", exc.message)
    finally:
        gc.freeze()  # what is there now stays: no later collection needs to walk through it
        gc.enable()


app = App(Path(__file__).with_name("shell") / "main.py", lifespan=lifespan, middleware=[Middleware(SecurityHeaders)])
