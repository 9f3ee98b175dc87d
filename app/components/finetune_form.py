"""The form that starts a fine-tune."""

from __future__ import annotations

import streamlit as st

from app.components.pickers import model_picker
from app.components.training_data import TrainingSource, training_source
from app.components.training_estimate import Wanted
from app.components.training_settings import training_settings
from app.resources import shared_engine
from engine.domain import Preset
from engine.errors import NexusError
from engine.training import config as training

PRESETS: dict[Preset, str] = {
    "quick": "For a first look and for small collections.",
    "balanced": "For the adapter that you mean to use.",
    "thorough": "For some hundred pairs and more, with time to spare.",
}
"""What each preset is for."""


def finetune_form() -> Wanted:
    """Let the person choose data, base and settings, and start the job; returns what is chosen so far."""
    with st.container(border=True):
        st.subheader("New adapter")
        source = training_source()
        name = st.text_input("Name of the adapter", max_chars=80, placeholder="handbook-quick")
        base = model_picker("Base model", key="finetune-base", remotes=False)
        preset = _preset()
        settings, strategy = training_settings(preset, _suited(preset, base))
        wanted = Wanted(source, preset, settings, strategy, base, _processes())
        missing = _missing(name, source)
        if st.button(
            "Start fine-tuning", type="primary", disabled=bool(missing), help=missing or None, icon=":material/play_arrow:"
        ):
            _start(name, wanted)
    return wanted


def preset_in_words(preset: Preset) -> str:
    """What a preset is for, how long it trains and when it stops."""
    config = training.PRESETS[preset]
    least = f", and {config.least_steps} steps at least" if config.least_steps else ""
    until = " It stops as soon as they are learnt." if config.stop_at_loss else ""
    return f"{PRESETS[preset]} {config.epochs} passes over the examples{least}; an adapter of rank {config.rank}.{until}"


def _preset() -> Preset:
    chosen = st.segmented_control("Preset", list(PRESETS), default="quick", format_func=str.capitalize, required=True)
    st.caption(preset_in_words(chosen))
    return chosen


def _suited(preset: Preset, base: str | None) -> training.TrainingConfig | None:
    """The preset as it suits the base; None where that cannot be read, which the estimate says."""
    try:
        return shared_engine().preset_settings(preset, base)
    except NexusError:
        return None


def _processes() -> int | None:
    """How many GPUs share the work, where there are several; None: decided by the hardware."""
    gpus = len(shared_engine().machine().gpus)
    if gpus < 2:
        return None
    return st.number_input(
        "GPUs that share the work",
        min_value=1,
        max_value=gpus,
        value=None,
        placeholder="decided by the hardware",
        help="Each holds the whole model and takes a part of every step.\n\nOn the command line: `--processes`",
    )


def _missing(name: str, source: TrainingSource) -> str:
    """What is still to be done before it can start; empty when nothing is."""
    if not source.is_complete:
        return "Choose first what it learns."
    return "" if name.strip() else "Give the adapter a name first."


def _start(name: str, wanted: Wanted) -> None:
    with wanted.source.saved() as path:
        shared_engine().finetune(
            name,
            collection=wanted.source.collection_name,
            dataset=path,
            base=wanted.base,
            preset=wanted.preset,
            settings=wanted.settings,
            strategy=wanted.strategy,
            processes=wanted.processes,
            data=wanted.source.options,
        )
    st.rerun()
