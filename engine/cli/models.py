"""`nexus models …`: the model files on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli import shapes
from engine.cli.command import Run, command

group = typer.Typer(help="List, add, remove, download and speed up models.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The model's name, as `nexus models list` shows it.")]


@command(group, "list")
def list_models(run: Run) -> None:
    """List the models in the models folder."""
    rows = [shapes.model(info) for info in run.engine.registry.list()]
    columns = ("name", "kind", "family", "parameters", "quantisation", "context_length", "size", "licence")
    run.out.records(rows, columns, empty="There are no models; run `make setup`.")
    for damaged in run.engine.registry.damaged():
        run.out.note(f"{damaged.path.name}: {damaged.error.message}")


@command(group, "info")
def info(run: Run, name: Name) -> None:
    """Show what a model's file says about it, with its SHA-256, its adapters, and the format that it is used in."""
    registry = run.engine.registry
    model = registry.info(name)
    found = shapes.model(model) | {"sha256": registry.sha256(name)}
    adapters = run.engine.repositories.adapters.list(model.name)
    record = run.engine.weights.record(model.path) if model.kind == "chat" else None
    weights = None if record is None else shapes.weights(record)
    run.out.record(found | {"adapters": [adapter.name for adapter in adapters], "weights": weights})


@command(group, "optimise")
def optimise(
    run: Run,
    name: Name,
    form: Annotated[
        str | None, typer.Option("--format", metavar="F", help="bf16, q8_0 or q4_0; q4_0 loses accuracy. Default: the fastest.")
    ] = None,
) -> None:
    """Make a copy of a model in the weight format that is fastest here, and measure it. Kept only if it is worth it."""
    run.out.record(shapes.weights(run.engine.optimise_model(name, form)))


@command(group, "restore")
def restore(run: Run, name: Name) -> None:
    """Delete the copy of a model and use the model as it is."""
    run.out.record(shapes.weights(run.engine.restore_model(name)))


@command(group, "add")
def add(
    run: Run, path: Annotated[Path, typer.Argument(metavar="PATH", help="A GGUF file, or the folder of an encoder.")]
) -> None:
    """Copy a model into the models folder."""
    run.out.record(shapes.model(run.engine.registry.add(path)))


@command(group, "remove")
def remove(run: Run, name: Name) -> None:
    """Delete a model from the models folder."""
    run.engine.remove_model(name)
    run.out.record({"removed": name, "models": [info.name for info in run.engine.registry.list()]})


@command(group, "pull")
def pull(
    run: Run,
    repo: Annotated[str, typer.Argument(metavar="REPO", help="OWNER/NAME on the Hugging Face hub.")],
    file: Annotated[str | None, typer.Argument(metavar="FILE", help="The GGUF file, where there are several.")] = None,
) -> None:
    """Download a model from the Hugging Face hub and check its hash. Nothing else in AI Nexus downloads anything."""

    def announce(name: str, size: int) -> None:
        run.out.note(f"Downloading {name} ({size / 1e6:,.1f} MB) of {repo} from the Hugging Face hub.")

    run.out.record(shapes.model(run.engine.registry.pull(repo, file, offline=run.settings.offline, announce=announce)))
