"""Models: what is in the models folder, and the adapters made here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.components.boundary import show_error
from app.components.empty import empty_state
from app.components.jobs import job_cards
from app.components.text import clock, counted, plain, size, string
from app.resources import shared_engine
from engine.domain import Job, ModelInfo


def render() -> None:
    """Show the page."""
    engine = shared_engine()
    st.title("Models")
    st.caption("One file does everything: the model that answers is also the one that is fine-tuned.")
    models = engine.registry.list()
    if models:
        _table(models)
    else:
        empty_state("deployed_code", "No models", "Run `make setup` to get the default ones.")
    job_cards(("add-model", "optimise"), _outcome)
    for damaged in engine.registry.damaged():
        show_error(damaged.error)
    _formats([model for model in models if model.kind == "chat"])
    left, right = st.columns(2, gap="medium")
    with left:
        _add()
    with right:
        _remove([model.name for model in models])
    _adapters()


def _outcome(job: Job) -> None:
    """What a job has come to."""
    result = job.result or {}
    if job.kind == "add-model" and result:
        st.caption(f"{plain(string(result, 'model'))} is in the list above.")
    elif result:
        reason, form = plain(string(result, "reason")), plain(string(result, "format"))
        st.caption(f"{reason}. Used {form} from the next time the model is loaded.")


def _table(models: list[ModelInfo]) -> None:
    default = {shared_engine().settings.default_model, shared_engine().settings.default_encoder}
    st.dataframe(
        {
            "Name": [model.name for model in models],
            "Default": [model.name in default for model in models],
            "Kind": [model.kind for model in models],
            "Family": [model.family for model in models],
            "Parameters": [_millions(model.parameters) for model in models],
            "Quantisation": [model.quantisation for model in models],
            "Context": [model.context_length for model in models],
            "Size": [size(model.size) for model in models],
            "Chat template": [model.chat_template for model in models],
            "Licence": [model.licence for model in models],
        },
        hide_index=True,
    )


def _millions(parameters: int) -> str:
    return f"{parameters / 1e9:.1f} B" if parameters >= 1e9 else f"{parameters / 1e6:.0f} M"


def _add() -> None:
    folder = shared_engine().settings.models_dir
    with st.container(border=True, height="stretch"):
        st.subheader("Add a model")
        st.markdown(f"Copy a GGUF file into `{folder}`, and it is listed here. Or give its path on this machine:")
        path = st.text_input("Path", placeholder="/home/me/Downloads/model.gguf", label_visibility="collapsed")
        if st.button("Copy it into the models folder", disabled=not path, icon=":material/add:"):
            shared_engine().add_model_later(Path(path))
            st.rerun()


def _remove(names: list[str]) -> None:
    with st.container(border=True, height="stretch"):
        st.subheader("Remove a model")
        st.markdown("Its file is deleted. Adapters made for it stay, and work again when it comes back.")
        name = st.selectbox("Model", names, index=None, placeholder="Choose a model", label_visibility="collapsed")
        sure = st.checkbox("Delete the file for good", disabled=name is None)
        if st.button("Remove", disabled=name is None or not sure, icon=":material/delete:") and name is not None:
            shared_engine().remove_model(name)
            st.rerun()


def _formats(models: list[ModelInfo]) -> None:
    """Which format each chat model is used in, and buttons to change that."""
    if not models:
        return
    engine = shared_engine()
    st.subheader("Speed")
    st.caption("A copy of a model in the format that this processor computes fastest: the same model up to rounding.")
    busy = {job.payload.get("name") for job in engine.jobs.unfinished("optimise")}
    for model in models:
        record = engine.weights.record(model.path)
        name, what, button = st.columns([2, 4, 1], vertical_alignment="center")
        name.text(model.name)
        copied = record is not None and record.copy_name is not None
        used = "Used as it is" if record is None or not copied else f"Used as {record.format}, {size(record.copy_size)}"
        what.text(used if record is None else f"{used}. {record.reason}.")
        if copied:
            if button.button("Undo", key=f"restore-{model.name}", help="Delete the copy and use the model as it is."):
                engine.restore_model(model.name)
                st.rerun()
        elif button.button(
            "Measure",
            key=f"optimise-{model.name}",
            help="Make a copy and measure it; kept if it is worth it.",
            disabled=model.name in busy,
        ):
            engine.optimise_later(model.name)
            st.rerun()


def _adapters() -> None:
    st.subheader("Adapters")
    adapters = shared_engine().repositories.adapters.list()
    if not adapters:
        empty_state("model_training", "No adapters yet", "A fine-tune makes one.", page="finetune", label="Fine-tune")
        return
    st.dataframe(
        {
            "Name": [adapter.name for adapter in adapters],
            "Base model": [adapter.base_model for adapter in adapters],
            "Made": [clock(adapter.created_at) for adapter in adapters],
            "File": [str(adapter.path) for adapter in adapters],
        },
        hide_index=True,
    )
    st.caption(f"{counted(len(adapters), 'adapter')}. The page Fine-tune shows each of them, and deletes them.")
