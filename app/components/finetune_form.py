"""The form that starts a fine-tune."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app.components.pickers import collection_picker, model_picker
from app.components.text import counted
from app.resources import shared_engine
from engine.domain import Collection
from engine.ingest import safe_name

Preset = Literal["quick", "balanced", "thorough"]

PRESETS: dict[Preset, str] = {
    "quick": "Stops as soon as the pairs are learnt. For a first look, and for small collections.",
    "balanced": "More passes over the pairs. For the adapter that you mean to use.",
    "thorough": "A larger adapter, trained slowly. For some hundred pairs and more.",
}
FROM_COLLECTION, FROM_FILE = "A collection", "A dataset file"


def finetune_form() -> None:
    """Let the person choose data and preset, and start the job."""
    with st.container(border=True):
        st.subheader("New adapter")
        source = st.segmented_control("Learn from", [FROM_COLLECTION, FROM_FILE], default=FROM_COLLECTION, required=True)
        collection: Collection | None = None
        file: UploadedFile | None = None
        if source == FROM_FILE:
            file = st.file_uploader("JSONL or CSV with the fields question and answer", type=["jsonl", "csv"])
        else:
            collection = _collection()
        name = st.text_input("Name of the adapter", max_chars=80, placeholder="handbook-quick")
        base = model_picker("Base model", key="finetune-base", remotes=False)
        preset = _preset()
        ready = bool(name.strip()) and (file is not None or (collection is not None and collection.faq_count > 0))
        if st.button("Start fine-tuning", type="primary", disabled=not ready, icon=":material/play_arrow:"):
            _start(name, collection, file, base, preset)


def _collection() -> Collection | None:
    collection = collection_picker(key="finetune-collection")
    if collection is None:
        st.caption("There is no collection yet. Add documents first.")
    elif collection.approved_count:
        st.caption(f"Learns its {counted(collection.approved_count, 'approved pair')}; a tenth is kept back for evaluation.")
    else:
        st.caption("None of its pairs is approved yet. Review some first, so that the model learns what is right.")
    return collection


def _preset() -> Preset:
    chosen = st.segmented_control("Preset", list(PRESETS), default="quick", format_func=str.capitalize, required=True)
    st.caption(PRESETS[chosen])
    st.caption(
        "With 30 pairs and the default model, quick takes a few minutes on two processor cores. Time left is shown as it runs."
    )
    return chosen


def _start(name: str, collection: Collection | None, file: UploadedFile | None, base: str | None, preset: Preset) -> None:
    engine = shared_engine()
    if file is None:
        engine.finetune(name, collection=None if collection is None else collection.name, base=base, preset=preset)
    else:
        with tempfile.TemporaryDirectory(prefix="nexus-") as folder:
            path = Path(folder) / safe_name(file.name)
            path.write_bytes(file.getbuffer())
            engine.finetune(name, dataset=path, base=base, preset=preset)
    st.rerun()
