"""`nexus evaluate`: measure which choice answers best."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.command import Run, command
from engine.cli.following import work_on
from engine.domain import Json


def register(root: typer.Typer) -> None:
    """Add the command."""
    command(root, "evaluate")(evaluate)


def evaluate(
    run: Run,
    targets: Annotated[
        str, typer.Option(metavar="LIST", help="What to measure: base, rag, adapter:NAME, separated by commas.")
    ],
    collection: Annotated[str | None, typer.Option(metavar="C", help="Ask the held-out pairs of this collection.")] = None,
    dataset: Annotated[Path | None, typer.Option(metavar="FILE", help="Ask the questions of this JSONL or CSV file.")] = None,
    model: Annotated[str | None, typer.Option(metavar="M", help="Base model; default: the default model.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Ask at most so many questions.")] = None,
) -> None:
    """Score targets on questions with known answers: exact match, token F1, semantic similarity, latency."""
    if collection is None and dataset is None:
        raise typer.BadParameter("give --collection or --dataset")
    names = [name.strip() for name in targets.split(",") if name.strip()]
    job = run.engine.evaluate(names, collection=collection, dataset=dataset, model=model, limit=limit)
    ended = work_on(run, job)
    result = dict(ended.result or {})
    if run.out.as_json:
        run.out.record({"job": ended.id, **result})
        return
    run.out.records(_rows(result.get("targets")), METRICS, empty="Nothing was measured.")
    if result.get("notice"):
        run.out.note(str(result["notice"]))


METRICS = (
    "target",
    "examples",
    "exact_match",
    "token_f1",
    "similarity",
    "answered",
    "latency_p50_s",
    "latency_p95_s",
    "errors",
)
"""The columns of the table; --json has everything."""


def _rows(targets: Json) -> list[Mapping[str, object]]:
    return [target for target in targets if isinstance(target, dict)] if isinstance(targets, list) else []
