"""`nexus leads …`: what customers told agents about themselves."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Annotated

import typer

from engine.cli import shapes
from engine.cli.command import Run, command
from engine.cli.files import write_text
from engine.cli.shapes import Record

group = typer.Typer(help="List and export leads.", no_args_is_help=True)

AgentName = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only this agent's leads.")]
FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d ()./-]+$)")
"""A spreadsheet takes a cell that begins like this for a formula; a telephone number is none."""


@command(group, "list")
def list_leads(run: Run, agent: AgentName = None) -> None:
    """List leads, newest first."""
    run.out.records(_leads(run, agent), ("agent", "fields", "conversation", "updated_at"), empty="There are no leads yet.")


@command(group, "export")
def export(
    run: Run,
    agent: AgentName = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to this file instead of stdout.")] = None,
) -> None:
    """Export leads as CSV, a column for each field."""
    leads = _leads(run, agent)
    text = to_csv(leads)
    if out is None:
        run.out.text(text)
        return
    write_text(out, text)
    run.out.record({"out": str(out), "count": len(leads)})


def to_csv(leads: list[Record]) -> str:
    """Leads as CSV. A value that a spreadsheet would run as a formula gets an apostrophe in front, as OWASP advises."""
    fields = list(dict.fromkeys(name for lead in leads for name in _fields(lead)))
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(["agent", "conversation", *fields, "created_at", "updated_at"])
    for lead in leads:
        values = (_fields(lead).get(name, "") for name in fields)
        row = [str(lead["agent"]), str(lead["conversation"]), *values, str(lead["created_at"]), str(lead["updated_at"])]
        writer.writerow([f"'{value}" if FORMULA.match(value) else value for value in row])
    return stream.getvalue()


def _fields(lead: Record) -> dict[str, str]:
    fields = lead["fields"]
    return fields if isinstance(fields, dict) else {}


def _leads(run: Run, agent: str | None) -> list[Record]:
    names = {config.id: config.name for config in run.engine.repositories.agents.list()}
    return [shapes.lead(lead, names[lead.agent_id]) for lead in run.engine.leads(agent)]
