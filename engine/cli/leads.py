"""`nexus leads …`: what customers told agents about themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli import shapes
from engine.cli.command import Run, command
from engine.cli.files import write_text
from engine.cli.shapes import Record
from engine.csv_export import leads_to_csv

group = typer.Typer(help="List and export leads.", no_args_is_help=True)

AgentName = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only this agent's leads.")]


@command(group, "list")
def list_leads(run: Run, agent: AgentName = None) -> None:
    """List leads, newest first."""
    run.out.records(_records(run, agent), ("agent", "fields", "conversation", "updated_at"), empty="There are no leads yet.")


@command(group, "export")
def export(
    run: Run,
    agent: AgentName = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to this file instead of stdout.")] = None,
) -> None:
    """Export leads as CSV, a column for each field; with --json and without --out, as JSON Lines."""
    leads = run.engine.leads(agent)
    if out is not None:
        write_text(out, leads_to_csv(leads, _agent_names(run)))
        run.out.record({"out": str(out), "count": len(leads)})
    elif run.out.as_json:
        for record in _records(run, agent):
            run.out.record(record)
    else:
        run.out.text(leads_to_csv(leads, _agent_names(run)))


def _agent_names(run: Run) -> dict[str, str]:
    return {config.id: config.name for config in run.engine.repositories.agents.list()}


def _records(run: Run, agent: str | None) -> list[Record]:
    names = _agent_names(run)
    return [shapes.lead(lead, names[lead.agent_id]) for lead in run.engine.leads(agent)]
