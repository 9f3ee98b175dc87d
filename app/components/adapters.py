"""The adapters of this home: their cards, and what can be done with them."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.components.adapter_files import export_form, import_form
from app.components.empty import empty_state
from app.components.jobs import job_cards
from app.components.loss_chart import loss_chart
from app.components.text import ago, clock, counted, duration, mapping, number, plain, shown_value, string
from app.components.training_curve import thinned
from app.components.training_monitor import sample_answers
from app.resources import shared_engine
from engine.domain import Adapter, Job, Json
from engine.training.adapters.offering import Standing
from engine.training.trainer import Ending

ICONS: dict[Standing, str] = {
    "ready": ":material/extension:",
    "mismatch": ":material/warning:",
    "base changed": ":material/block:",
    "other positions": ":material/block:",
}
WARNINGS: dict[Standing, str] = {
    "mismatch": "It does not answer here as it was trained, so it is offered only to who asks for it. Fine-tune again.",
    "base changed": "The file of its base has changed since, so it is not offered. Put that file back, or fine-tune again.",
    "other positions": "NEXUS_CONTEXT_TOKENS has changed since, and its base takes other position factors with it, so it is "
    "not offered. Set it as it was, or fine-tune again.",
}

ENDINGS: dict[str, str] = {
    Ending.COMPLETE: "all steps taken",
    Ending.LEARNT: "stopped when they were learnt",
    Ending.NO_GAIN: "stopped when nothing got better any more",
    Ending.ASKED: "stopped on request",
    Ending.DIVERGED: "stopped when its loss was no number any more",
}
"""Why a training ended, in words."""


def adapter_list() -> None:
    """Every adapter of this home, with what tells its quality; exporting and deleting one, and taking in another."""
    adapters = shared_engine().repositories.adapters.list()
    job_cards(("export-adapter", "import-adapter"), _exported)
    if not adapters:
        empty_state("model_training", "No adapters yet", "Choose a collection and start; the quick preset takes a few minutes.")
    for adapter in adapters:
        standing = shared_engine().offering.standing(adapter)
        with st.expander(f"{plain(adapter.name)} · {ago(adapter.created_at)}", icon=ICONS[standing]):
            _card(adapter, standing)
    import_form()


def _card(adapter: Adapter, standing: Standing) -> None:
    if standing in WARNINGS:
        st.warning(WARNINGS[standing])
    with st.container(horizontal=True, gap="medium"):
        for label, value in adapter_figures(adapter).items():
            st.metric(label, value, width="content")
    curve = adapter.card.get("curve")
    if isinstance(curve, list):
        loss_chart(thinned(row for row in curve if isinstance(row, dict)))
    licence = string(mapping(adapter.card, "licence"), "name")
    known = f"licence {plain(licence)}, as its base" if licence else ""
    about = (f"On {plain(adapter.base_model)}", _learnt(adapter), f"made {clock(adapter.created_at)}", known)
    st.caption(" · ".join(filter(None, about)))
    _last_answers(adapter)
    with st.expander("Everything that is known of it"):
        st.json({name: value for name, value in adapter.card.items() if name != "curve"}, expanded=1)
    with st.container(horizontal=True):
        with st.popover("Export", icon=":material/download:", width="content"):
            export_form(adapter)
        _delete(adapter)


def _learnt(adapter: Adapter) -> str:
    """Of how many examples it was made, and why the training ended."""
    count = number(mapping(mapping(adapter.card, "dataset"), "train"), "examples")
    ending = ENDINGS.get(string(mapping(adapter.card, "evaluation"), "ending"), "")
    learnt = "" if count is None else f"learnt {counted(int(count), 'example')}"
    return ", ".join(filter(None, (learnt, ending)))


def _last_answers(adapter: Adapter) -> None:
    """What it answered at the end of its training."""
    looks = adapter.card.get("samples")
    if isinstance(looks, list) and looks and isinstance(looks[-1], dict):
        with st.expander("Its last sample answers"):
            sample_answers(number(looks[-1], "step"), looks[-1].get("answers"))


def _delete(adapter: Adapter) -> None:
    with st.popover("Delete", icon=":material/delete:", width="content"):
        st.markdown(
            "The adapter and its files go for good. One that an agent answers with is kept until that agent is deleted."
        )
        if st.button("Delete it", key=f"delete-adapter-{adapter.id}", type="primary"):
            shared_engine().delete_adapter(adapter.name)
            st.rerun()


def _exported(job: Job) -> None:
    """Where the files of an export are, and what a person should know of them."""
    result = job.result or {}
    for text in filter(None, (string(result, "path"), string(result, "model"))):
        st.code(text, language=None)
    if notice := string(result, "notice"):
        st.caption(plain(notice))


def adapter_figures(adapter: Adapter) -> dict[str, str]:
    """What tells an adapter's quality at a glance; only what its card holds."""
    evaluation, parity = mapping(adapter.card, "evaluation"), mapping(adapter.card, "parity")
    found = {
        "Final loss": shown_value(number(evaluation, "loss"), "{:.3f}"),
        "Steps": shown_value(number(evaluation, "steps"), "{:.0f}"),
        "Served as trained": shown_value(number(parity, "top1_agreement"), "{:.1%}"),
        "Took": _took(mapping(adapter.card, "durations")),
    }
    return {label: text for label, text in found.items() if text}


def _took(durations: Mapping[str, Json]) -> str:
    seconds = [value for value in durations.values() if isinstance(value, int | float)]
    return duration(sum(seconds)) if seconds else ""
