"""The form that starts a fine-tune."""

from __future__ import annotations

import streamlit as st

from app.components.dataset_preview import dataset_preview
from app.components.pickers import model_picker
from app.components.training_data import training_source
from app.components.training_estimate import Wanted, training_estimate
from app.components.training_settings import training_settings
from app.resources import shared_engine
from engine.requests import Preset

PRESETS: dict[Preset, str] = {
    "quick": "Stops as soon as the pairs are learnt. For a first look, and for small collections.",
    "balanced": "More passes over the pairs. For the adapter that you mean to use.",
    "thorough": "A larger adapter, trained slowly. For some hundred pairs and more.",
}


def finetune_form() -> None:
    """Let the person choose data and preset, look at what would be learnt, and start the job."""
    with st.container(border=True):
        st.subheader("New adapter")
        source = training_source()
        name = st.text_input("Name of the adapter", max_chars=80, placeholder="handbook-quick")
        base = model_picker("Base model", key="finetune-base", remotes=False)
        preset = _preset()
        settings, strategy = training_settings(preset)
        dataset_preview(source, base, preset, settings)
        if source.is_complete:
            training_estimate(Wanted(source, preset, settings, strategy, base))
        ready = bool(name.strip()) and source.is_complete
        if st.button("Start fine-tuning", type="primary", disabled=not ready, icon=":material/play_arrow:"):
            _start(name, Wanted(source, preset, settings, strategy, base))


def _preset() -> Preset:
    chosen = st.segmented_control("Preset", list(PRESETS), default="quick", format_func=str.capitalize, required=True)
    st.caption(PRESETS[chosen])
    st.caption(
        "With 30 pairs and the default model, quick takes a few minutes on two processor cores. Time left is shown as it runs."
    )
    return chosen


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
            data=wanted.source.options,
        )
    st.rerun()
