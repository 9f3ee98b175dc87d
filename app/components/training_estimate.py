"""What a fine-tune will take before it starts: memory against what is free, time, disk, and what to change."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app.components.jobs import is_working, job_cards
from app.components.text import counted, duration, plain, size
from app.components.training_data import TrainingSource
from app.components.training_settings import apply_settings
from app.resources import shared_engine
from engine.domain import Json, Preset, Strategy
from engine.errors import NexusError
from engine.training.config import PRESETS
from engine.training.planning.fit import Advice, Fit
from engine.training.planning.plan import TrainingPlan
from engine.training.planning.workload import Workload

COLOURS = {Fit.FITS: "green", Fit.TIGHT: "orange", Fit.DOES_NOT_FIT: "red"}
SAYS = {Fit.FITS: "It fits", Fit.TIGHT: "It is tight", Fit.DOES_NOT_FIT: "It does not fit"}
PARTS = {
    "weights": "The model's weights",
    "matrices": "LoRA matrices, and the best so far",
    "gradients": "Gradients",
    "optimiser": "State of the optimiser",
    "activations": "Activations",
    "answers": "Predictions",
    "around": "Python and PyTorch",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be trained, and how."""

    source: TrainingSource
    preset: Preset
    settings: dict[str, Json]
    strategy: Strategy
    base: str | None = None
    processes: int | None = None

    def data_key(self) -> str:
        """The same for the same tokens: what is learnt, of which base, and how much is kept back."""
        kept_back = self.settings.get("eval_fraction", PRESETS[self.preset].eval_fraction)
        collection = self.source.collection
        counts = None if collection is None else (collection.id, collection.faq_count, collection.approved_count)
        return f"{self.source.key()} {counts} {self.base} {kept_back}"


def training_estimate(wanted: Wanted) -> None:
    """Show what it takes as the settings stand, and let the person measure it."""
    try:
        plan = shared_engine().plan_finetune(
            _workload(wanted.data_key(), wanted),
            base=wanted.base,
            preset=wanted.preset,
            settings=wanted.settings,
            strategy=wanted.strategy,
        )
    except NexusError as exc:
        hint = "" if exc.hint is None else f" {plain(exc.hint)}"
        st.caption(f"What it will take is not known yet: {plain(exc.message)}{hint}")
        return
    with st.container(border=True):
        _figures(plan)
        for notice in plan.notices:
            st.caption(f":material/info: {plain(notice)}")
        for number, advice in enumerate(plan.advice):
            _advice(number, advice, wanted.preset)
        with st.expander("What takes the memory"):
            for name, count in plan.memory.parts.items():
                st.progress(count / max(1, plan.memory.total), text=f"{PARTS[name]} · {size(count)}")
        _measuring(wanted, plan)


def _figures(plan: TrainingPlan) -> None:
    st.progress(
        min(1.0, plan.needed / max(1, plan.free)),
        text=f":{COLOURS[plan.fit]}-badge[{SAYS[plan.fit]}] {size(plan.needed)} of {size(plan.free)} free memory"
        f"{'' if plan.rehearsal is None else ', measured'}",
    )
    time = "not known before it is measured" if plan.seconds is None else f"about {duration(plan.seconds)} at most"
    st.caption(
        f"{counted(plan.steps, 'step')} over {counted(plan.examples, 'example')} · {time} · "
        f"{size(plan.disk_needed)} of disk · {'Unsloth' if plan.strategy == 'unsloth' else 'PEFT'} on the "
        f"{'GPU' if plan.device == 'cuda' else 'processor'}, weights in {plan.config.dtype}"
    )


def _advice(number: int, advice: Advice, preset: Preset) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":{COLOURS[advice.fit]}[:material/lightbulb:] {plain(advice.text)}: {size(advice.needed)}", width="stretch"
        )
        if advice.changes:
            st.button("Use this", key=f"training-advice-{number}", on_click=apply_settings, args=(preset, advice.changes))


def _measuring(wanted: Wanted, plan: TrainingPlan) -> None:
    """The button that measures, and the job while it does."""
    busy = is_working(("rehearse",))
    if plan.rehearsal is None and st.button(
        "Measure three steps", key="training-measure", icon=":material/speed:", disabled=busy, help=_MEASURE_HELP
    ):
        _measure(wanted)
        st.rerun()
    job_cards(("rehearse",))


def _measure(wanted: Wanted) -> None:
    with wanted.source.saved() as path:
        shared_engine().rehearse_finetune(
            collection=wanted.source.collection_name,
            dataset=path,
            base=wanted.base,
            preset=wanted.preset,
            settings=wanted.settings,
            strategy=wanted.strategy,
            data=wanted.source.options,
        )


@st.cache_data(max_entries=8, ttl=300, show_spinner="Preparing the examples")
def _workload(data_key: str, _wanted: Wanted) -> Workload:
    """The examples as tokens; counted again when the data change, not when other settings do."""
    with _wanted.source.saved() as path:
        return shared_engine().workload(
            collection=_wanted.source.collection_name,
            dataset=path,
            base=_wanted.base,
            preset=_wanted.preset,
            settings=_wanted.settings,
            data=_wanted.source.options,
        )


_MEASURE_HELP = "Takes three real steps and keeps nothing of them: some seconds with a small model, minutes with a large one."
