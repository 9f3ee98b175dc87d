"""`nexus agent …`: agents that answer customers from FAQs and collect leads."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli import shapes
from engine.cli.answers import AllowMismatch, ConversationOption
from engine.cli.command import Run, command
from engine.domain import AgentConfig, AgentReply
from engine.errors import NexusError

group = typer.Typer(help="Create smart agents and talk to them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The agent's name.")]


@command(group, "create")
def create(
    run: Run,
    name: Name,
    collection: Annotated[str, typer.Option(metavar="C", help="The collection whose FAQs it answers from.")],
    fields: Annotated[
        str, typer.Option(metavar="LIST", help="The lead fields that it collects, separated by commas.")
    ] = "name,email,phone,company",
    instructions: Annotated[str, typer.Option(metavar="TEXT", help="What it is told about its task and tone.")] = "",
    model: Annotated[str | None, typer.Option(metavar="M", help="Chat model; default: the default model.")] = None,
    adapter: Annotated[str | None, typer.Option(metavar="A", help="A fine-tuned adapter to answer with.")] = None,
    allow_mismatch: AllowMismatch = False,
) -> None:
    """Create an agent and take its FAQs in."""
    wanted = [field.strip() for field in fields.split(",") if field.strip()]
    engine = run.engine
    config = engine.create_agent(
        name,
        collection,
        instructions=instructions,
        fields=wanted,
        model=model,
        adapter=adapter,
        allow_mismatch=allow_mismatch,
    )
    run.out.record(_shape(run, config))


@command(group, "list")
def list_agents(run: Run) -> None:
    """List agents."""
    rows = [_shape(run, config) for config in run.engine.repositories.agents.list()]
    run.out.records(rows, ("name", "collection", "fields", "model", "adapter"), empty="There are no agents yet.")


@command(group, "delete")
def delete(run: Run, name: Name) -> None:
    """Delete an agent with its conversations and leads."""
    run.engine.agents.delete(name)
    run.out.record({"deleted": name})


def _shape(run: Run, config: AgentConfig) -> shapes.Record:
    return shapes.agent(config, run.engine.repositories.collections.get(config.collection_id))


@command(group, "chat")
def chat(
    run: Run,
    name: Name,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="What the customer says.")],
    conversation: ConversationOption = None,
) -> None:
    """Say something to an agent as a customer; what the customer tells about themselves becomes a lead."""
    last: AgentReply | None = None
    said = ""
    for delta in run.engine.agent_reply(name, message, conversation=conversation):
        last = delta.reply or last
        said += delta.text
        if not run.out.as_json:
            run.out.text(delta.text)
    if last is None:
        raise NexusError("the agent ended without an answer", hint="See the log.")
    if run.out.as_json:
        run.out.record(shapes.agent_reply(last))
        return
    if said.strip() != last.reply.strip():  # a check replaced what was streamed
        run.out.text(f"\n{last.reply}")
    run.out.text(f"\n  conversation: {last.conversation_id}\n")
    if last.lead:
        run.out.text(f"  lead: {', '.join(f'{field}: {value}' for field, value in last.lead.items())}\n")
