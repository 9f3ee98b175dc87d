"""Fine-tune: make an adapter, chat with it, compare it."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.components.adapter_chat import adapter_chat
from app.components.comparison import comparison
from app.components.empty import empty_state
from app.components.finetune_form import finetune_form
from app.components.jobs import is_active, job_cards
from app.components.loss_chart import loss_chart
from app.components.text import ago, clock, duration, mapping, number, plain
from app.resources import shared_engine
from engine.domain import Adapter, Job, Json


def render() -> None:
    """Show the page."""
    st.title("Fine-tune")
    st.caption(
        "An adapter learns the pairs of a collection. It is attached to the model that is served, with no second copy of it."
    )
    create, chat, compare = st.tabs(["Create", "Chat", "Compare"])
    with create:
        _create()
    with chat:
        adapter_chat()
    with compare:
        comparison()


def _create() -> None:
    left, right = st.columns([2, 3], gap="large")
    with left:
        finetune_form()
    with right:
        job_cards(("finetune",), _curve)
        st.subheader("Adapters")
        _adapters()


def _curve(job: Job) -> None:
    """The live loss of a fine-tune; the curve of one that has ended is with its adapter."""
    if is_active(job):
        loss_chart(shared_engine().jobs.events(job.id))


def _adapters() -> None:
    adapters = shared_engine().repositories.adapters.list()
    if not adapters:
        empty_state("model_training", "No adapters yet", "Choose a collection and start; the quick preset takes a few minutes.")
    for adapter in adapters:
        with st.expander(f"{plain(adapter.name)} · {ago(adapter.created_at)}", icon=":material/extension:"):
            _card(adapter)


def _card(adapter: Adapter) -> None:
    with st.container(horizontal=True, gap="large"):
        for label, value in adapter_figures(adapter).items():
            st.metric(label, value, width="content")
    curve = adapter.card.get("curve")
    if isinstance(curve, list):
        loss_chart([row for row in curve if isinstance(row, dict)])
    st.caption(f"On {plain(adapter.base_model)} · made {clock(adapter.created_at)}")
    with st.expander("Everything that is known of it"):
        st.json({name: value for name, value in adapter.card.items() if name != "curve"}, expanded=1)
    with st.popover("Delete", icon=":material/delete:", width="content"):
        st.markdown(
            "The adapter and its files go for good. One that an agent answers with is kept until that agent is deleted."
        )
        if st.button("Delete it", key=f"delete-adapter-{adapter.id}", type="primary"):
            shared_engine().delete_adapter(adapter.name)
            st.rerun()


def adapter_figures(adapter: Adapter) -> dict[str, str]:
    """What tells an adapter's quality at a glance; only what its card holds."""
    evaluation, parity = mapping(adapter.card, "evaluation"), mapping(adapter.card, "parity")
    found = {
        "Final loss": _shown(number(evaluation, "loss"), "{:.3f}"),
        "Steps": _shown(number(evaluation, "steps"), "{:.0f}"),
        "Served as trained": _shown(number(parity, "top1_agreement"), "{:.1%}"),
        "Took": _took(mapping(adapter.card, "durations")),
    }
    return {label: text for label, text in found.items() if text}


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _took(durations: Mapping[str, Json]) -> str:
    seconds = [value for value in durations.values() if isinstance(value, int | float)]
    return duration(sum(seconds)) if seconds else ""
