"""`nexus finetune`: teach a model the pairs of a collection or of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.command import Run, command
from engine.cli.finetuning_data import DataFlags, show_preview
from engine.cli.following import work_on
from engine.cli.planning import PlanFlags, Wanted, show_plan
from engine.domain import Adapter, Json, Preset, Strategy
from engine.training.settings import parse_changes


def register(root: typer.Typer) -> None:
    """Add the command."""
    command(root, "finetune")(finetune)


def finetune(
    run: Run,
    name: Annotated[str, typer.Option(metavar="A", help="Name of the new adapter.")],
    collection: Annotated[str | None, typer.Option(metavar="C", help="Train on this collection's FAQ pairs.")] = None,
    dataset: Annotated[Path | None, typer.Option(metavar="FILE", help="Train on this JSON or CSV file instead.")] = None,
    base: Annotated[str | None, typer.Option(metavar="M", help="Base model; default: the default model.")] = None,
    preset: Annotated[Preset, typer.Option(help="How long to train, and how large the adapter gets.")] = "quick",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of the preset, such as rank=32; may be repeated."),
    ] = None,
    strategy: Annotated[Strategy, typer.Option(help="What trains; auto chooses by the hardware.")] = "auto",
    processes: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many processes share the work; default: one for each GPU.")
    ] = None,
    prepare: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Only write what it needs into this new folder, to be trained on another machine."),
    ] = None,
    data: DataFlags = DataFlags(),
    plan: PlanFlags = PlanFlags(),
) -> None:
    """Fine-tune a LoRA adapter on FAQ pairs, in a child process; the adapter is then served with its base."""
    if (collection is None) == (dataset is None):
        raise typer.BadParameter("give either --collection or --dataset")
    settings, options = parse_changes(set_ or ()), data.options()
    if data.preview:
        show_preview(
            run.out,
            run.engine.preview_finetune(
                collection=collection, dataset=dataset, base=base, preset=preset, settings=settings, data=options
            ),
        )
        return
    wanted: Wanted = {
        "collection": collection,
        "dataset": dataset,
        "base": base,
        "preset": preset,
        "settings": settings,
        "strategy": "peft" if strategy == "auto" and (processes or 1) > 1 else strategy,
        "data": options,
    }
    if plan.wanted:
        show_plan(run, wanted, probe=plan.probe)
        return
    if prepare is not None:
        run.engine.prepare_finetune(prepare, name, **wanted)
        run.out.record({"folder": prepare, "command": f"accelerate launch -m engine.training.worker {prepare}"})
        return
    job = run.engine.finetune(name, **wanted, processes=processes)
    ended = work_on(run, job)
    if ended.result and ended.result.get("notice"):
        run.out.note(str(ended.result["notice"]))
    adapter = run.engine.repositories.adapters.by_name(name)
    made = {"job": ended.id, "adapter": adapter.name, "base": adapter.base_model, "path": adapter.path}
    if run.out.as_json:
        run.out.record({**made, "result": ended.result or {}, "card": dict(adapter.card)})
        return
    run.out.record({**made, **dict(outcome(adapter))})


def outcome(adapter: Adapter) -> Iterator[tuple[str, str]]:
    """What a person wants to know of a new adapter at once; the rest is on its card."""
    evaluation, parity = _part(adapter.card, "evaluation"), _part(adapter.card, "parity")
    yield "steps", f"{evaluation.get('steps')}, {evaluation.get('ending')}"
    for name in ("loss", "held_out_loss"):
        if isinstance(value := evaluation.get(name), float):
            yield name.replace("_", " "), f"{value:.3f}"
    if isinstance(agreement := parity.get("top1_agreement"), int | float):
        yield "served", f"{adapter.status}: as trained in {agreement:.1%} of {parity.get('decided')} tokens"
    yield "more", f"nexus adapters show {adapter.name}"


def _part(card: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    part = card.get(name)
    return part if isinstance(part, dict) else {}
