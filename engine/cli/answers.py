"""`nexus ask`, `chat`, `compare` and `agent chat`: answers, streamed as text or whole as JSON."""

from __future__ import annotations

import typer


def register(root: typer.Typer) -> None:
    """Add the commands."""
