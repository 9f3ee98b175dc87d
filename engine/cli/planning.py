"""`nexus finetune --estimate` and `--probe`: what a fine-tune takes, before it starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from engine.cli.following import work_on

if TYPE_CHECKING:
    from engine.cli.command import Run
    from engine.domain import Json, Preset, Strategy
    from engine.requests import DataOptions
    from engine.training.planning.plan import TrainingPlan


@dataclass(frozen=True, slots=True)
class PlanFlags:
    """What is worked out or measured instead of training."""

    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what memory, time and disk it takes, by a formula, and train nothing.")
    ] = False
    probe: Annotated[
        bool, typer.Option("--probe", help="The same after measuring three real steps, of which nothing is kept.")
    ] = False

    @property
    def wanted(self) -> bool:
        """Whether to plan instead of to train."""
        return self.estimate or self.probe


class Wanted(TypedDict):
    """What is to be trained: the arguments of `Engine.finetune`."""

    collection: str | None
    dataset: Path | None
    base: str | None
    preset: Preset
    settings: Mapping[str, Json]
    strategy: Strategy
    data: DataOptions


def show_plan(run: Run, wanted: Wanted, *, probe: bool) -> None:
    """Print what a fine-tune takes; with `probe`, measure it first."""
    engine = run.engine
    if probe:
        work_on(run, engine.rehearse_finetune(**wanted))
    workload = engine.workload(
        collection=wanted["collection"],
        dataset=wanted["dataset"],
        base=wanted["base"],
        preset=wanted["preset"],
        settings=wanted["settings"],
        data=wanted["data"],
    )
    plan = engine.plan_finetune(
        workload, base=wanted["base"], preset=wanted["preset"], settings=wanted["settings"], strategy=wanted["strategy"]
    )
    if run.out.as_json:
        run.out.record(plan.to_json())
        return
    run.out.record(dict(_lines(plan)))
    for notice in plan.notices:
        run.out.text(f"Note: {notice}\n")
    for advice in plan.advice:
        settings = "".join(f" --set {name}={_text(value)}" for name, value in advice.changes.items())
        run.out.text(f"Instead: {advice.text}. {_size(advice.needed)}, {advice.fit}.{settings}\n")


def _lines(plan: TrainingPlan) -> Iterator[tuple[str, str]]:
    measured = plan.rehearsal is not None
    yield "memory", f"{plan.fit}: {_size(plan.needed)} {'measured' if measured else 'expected'}, {_size(plan.free)} free"
    yield from ((f"  {name}", _size(value)) for name, value in plan.memory.parts.items())
    yield "steps", f"{plan.steps:,} of {plan.examples:,} examples, unless it stops early"
    yield "time", "not known before --probe" if plan.seconds is None else f"about {_duration(plan.seconds)} at most"
    yield "disk", f"{_size(plan.disk_needed)} of {_size(plan.disk_free)} free"
    yield "with", f"{plan.strategy} on {plan.device}, weights in {plan.config.dtype}"


def _text(value: Json) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value).lower()


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
