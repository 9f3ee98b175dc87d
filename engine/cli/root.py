"""The `nexus` command itself: global options, and the groups below it."""

from __future__ import annotations

import typer

from engine.cli import adapters, agents, answers, documents, evaluation, faq, finetuning, jobs, launch, leads, models
from engine.cli.command import AsJson, GlobalOptions, HomeOption

root = typer.Typer(
    name="nexus",
    help="Documents to reviewed FAQs, a fine-tuned model and agents that answer customers, all on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@root.callback()
def global_options(ctx: typer.Context, home: HomeOption = None, as_json: AsJson = False) -> None:
    """Take the options that stand before the command."""
    ctx.obj = GlobalOptions(home, as_json)


launch.register(root)
answers.register(root)
finetuning.register(root)
evaluation.register(root)
root.add_typer(models.group, name="models")
root.add_typer(adapters.group, name="adapters")
root.add_typer(documents.group, name="documents")
root.add_typer(faq.group, name="faq")
root.add_typer(agents.group, name="agent")
root.add_typer(leads.group, name="leads")
root.add_typer(jobs.group, name="jobs")
