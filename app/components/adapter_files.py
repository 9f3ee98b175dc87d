"""Adapters as files: exported for other programs, and taken in from them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import streamlit as st

from app.components.pickers import model_picker
from app.resources import shared_engine
from engine.domain import Adapter
from engine.training.adapters.export import DEFAULT_QUANTISATION
from engine.training.adapters.merged_model import QUANTISATIONS

Choice = Literal["gguf", "peft", "merged", "models"]
CHOICES: dict[Choice, str] = {
    "gguf": "GGUF adapter, for llama.cpp and Ollama",
    "peft": "PEFT archive, for Transformers",
    "merged": "Model with the adapter merged into it",
    "models": "Merged model, into the models folder",
}


def export_form(adapter: Adapter) -> None:
    """Let the person choose a form, and start the export."""
    chosen = st.radio("As", list(CHOICES), format_func=lambda choice: CHOICES[choice], key=f"export-as-{adapter.id}")
    merged = chosen in ("merged", "models")
    quantisation = DEFAULT_QUANTISATION
    if merged:
        formats = list(QUANTISATIONS)
        quantisation = st.selectbox(
            "Quantisation", formats, index=formats.index(DEFAULT_QUANTISATION), key=f"export-format-{adapter.id}"
        )
    st.caption("The files come with a card and, as GGUF, with a Modelfile for Ollama.")
    if st.button("Export", key=f"export-{adapter.id}", type="primary"):
        form: Literal["gguf", "peft", "merged"] = "merged" if chosen == "models" else chosen
        shared_engine().export_adapter(adapter.name, form=form, quantisation=quantisation, to_models=chosen == "models")
        st.rerun()


def import_form() -> None:
    """Let the person take in an adapter that was made elsewhere."""
    with st.expander("Import an adapter", icon=":material/upload:"):
        file = st.file_uploader("GGUF adapter, or a ZIP archive of a PEFT folder", type=["gguf", "zip"], key="import-file")
        path = st.text_input("Or its path on this machine", key="import-path", placeholder="/home/me/my-adapter")
        name = st.text_input("Name here", key="import-name", max_chars=80)
        base = model_picker("For the model", key="import-base", remotes=False)
        st.caption("It is checked like one that was trained here, and refused if it was made for another model.")
        ready = bool(name.strip()) and (file is not None or bool(path.strip()))
        if st.button("Import", key="import-adapter", disabled=not ready):
            source = Path(path.strip()) if file is None else (file.name, file)
            shared_engine().import_adapter(source, name, base=base)
            st.rerun()
