"""`nexus adapters …`: list, export, import and delete adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from engine.cli import shapes
from engine.cli.command import Run, command
from engine.cli.following import work_on

group = typer.Typer(help="List, export, import and delete fine-tuned adapters.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The adapter's name.")]


@command(group, "list")
def list_adapters(run: Run) -> None:
    """List the adapters, and whether each may answer."""
    engine = run.engine
    rows = [shapes.adapter(one, engine.offering.standing(one)) for one in engine.repositories.adapters.list()]
    run.out.records(rows, ("name", "base", "standing", "created_at"), empty="There are no adapters yet; see `nexus finetune`.")


@command(group, "show")
def show(run: Run, name: Name) -> None:
    """Show the card of an adapter: base, data, settings, curve, scores, licence."""
    engine = run.engine
    adapter = engine.repositories.adapters.by_name(name)
    if run.out.as_json:
        run.out.record(shapes.adapter(adapter, engine.offering.standing(adapter)) | {"card": dict(adapter.card)})
        return
    run.out.text(engine.adapter_card(name))


@command(group, "export")
def export(
    run: Run,
    name: Name,
    form: Annotated[
        Literal["gguf", "peft", "merged"],
        typer.Option(help="A GGUF adapter, a PEFT archive, or a model with the adapter merged into it."),
    ] = "gguf",
    quantisation: Annotated[str, typer.Option(metavar="Q", help="Format of a merged model, such as Q4_K_M.")] = "Q8_0",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for it; default: exports/ in the home.")] = None,
    to_models: Annotated[bool, typer.Option("--to-models", help="Put a merged model into the models folder.")] = False,
) -> None:
    """Write an adapter for other programs, with its card and, for GGUF files, a Modelfile for Ollama."""
    job = run.engine.export_adapter(name, form=form, quantisation=quantisation.upper(), out=out, to_models=to_models)
    _tell(run, dict(work_on(run, job).result or {}))


@command(group, "import")
def import_(
    run: Run,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A PEFT folder, a ZIP archive of one, or a GGUF adapter.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the adapter here.")],
    base: Annotated[str | None, typer.Option(metavar="M", help="The model that it is for; default: the default model.")] = None,
) -> None:
    """Take in an adapter that was made elsewhere, and check it as one that was trained here."""
    job = run.engine.import_adapter(path, name, base=base)
    _tell(run, dict(work_on(run, job).result or {}))


@command(group, "delete")
def delete(run: Run, name: Name) -> None:
    """Delete an adapter and its files."""
    run.engine.delete_adapter(name)
    run.out.record({"deleted": name})


def _tell(run: Run, result: shapes.Record) -> None:
    run.out.record(result)
    if result.get("notice") and not run.out.as_json:
        run.out.note(str(result["notice"]))
