"""`nexus faq …`: extract question and answer pairs from documents, and review them."""

from __future__ import annotations

import typer

group = typer.Typer(help="Extract, review and export FAQ pairs.", no_args_is_help=True)
