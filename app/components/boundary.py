"""The error boundary: what goes wrong in a page becomes one readable message in its place."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import ParamSpec

import streamlit as st
from streamlit.errors import FragmentHandledException

from app.components.text import plain, sentence
from engine.domain import Json
from engine.errors import ErrorInfo, NexusError
from engine.observability.logging import get_logger

P = ParamSpec("P")
logger = get_logger(__name__)


@contextlib.contextmanager
def boundary() -> Iterator[None]:
    """Show errors of the body instead of raising them."""
    try:
        yield
    except NexusError as exc:
        show_error(exc)
    except FragmentHandledException:
        raise
    except Exception:  # the one catch-all of the app: a fault costs a part of a page, not the page
        logger.exception("a page failed")
        st.error("Something went wrong here. The log has the details (Monitor → Log).", icon=":material/error:")


def guarded(body: Callable[P, None]) -> Callable[P, None]:
    """A function whose errors are shown in its place. Every fragment needs its own: it runs again without its page."""

    @functools.wraps(body)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with boundary():
            body(*args, **kwargs)

    return run


def show_error(error: NexusError) -> None:
    """Show what happened and what to do about it."""
    _show(error.message, error.hint)


def show_stored_error(error: Mapping[str, Json] | ErrorInfo) -> None:
    """Show an error that has become data: of a job, or of a part of a comparison."""
    message, hint = error.get("message"), error.get("hint")
    _show(str(message or "It failed."), str(hint or ""))


def _show(message: str, hint: str | None) -> None:
    lines = [plain(sentence(message))]
    if hint:
        lines.append(plain(hint))
    st.error("  \n".join(lines), icon=":material/error:")
