"""Documents & FAQ: hand over files, watch pairs being found, review and export them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app.components.document_list import document_list
from app.components.empty import empty_state
from app.components.extraction import extraction_details, language_picker
from app.components.faq_export import export_menu
from app.components.faq_review import faq_review
from app.components.jobs import is_working, job_cards
from app.components.pickers import collection_picker, model_picker
from app.resources import shared_engine
from app.state import tab_state
from engine.ingest import SUPPORTED_SUFFIXES


def render() -> None:
    """Show the page."""
    st.title("Documents & FAQ")
    names = _names()
    working = is_working(("extract",))
    if not names and not working:
        st.caption("Each pair of question and answer comes with a verbatim quote from the page that it was made from.")
    _upload(names, expanded=not names and not working)
    job_cards(("extract",), extraction_details, watch=_names)
    job_cards(("ingest",), ended=False)
    collection = collection_picker("Collection to look at", key="documents-collection", named_only=True)
    if collection is None and working:
        return
    if collection is None:
        empty_state(
            "description", "No documents yet", "Hand over a PDF, DOCX, PPTX, XLSX, CSV, MD, HTML, TXT or EPUB file above."
        )
        return
    # Only the open tab is made: the keys of the review must not work where nobody sees it.
    review, documents, export = st.tabs(["Review", "Documents", "Export"], key="documents-tabs", on_change="rerun")
    if review.open:
        with review:
            faq_review(collection)
    if documents.open:
        with documents:
            document_list(collection)
    if export.open:
        with export:
            export_menu(collection)


def _names() -> list[str]:
    return [collection.name for collection in shared_engine().collections()]


def _upload(names: Sequence[str], *, expanded: bool) -> None:
    state = tab_state()
    # Another key gives another box: one that was opened by hand is shut when its files have been handed over.
    with st.expander("Add documents", expanded=expanded, icon=":material/upload_file:", key=f"add-{state.upload_round}"):
        left, right = st.columns([2, 3], gap="medium")
        with left:
            index = names.index(state.collection) if state.collection in names else (0 if names else None)
            name = st.selectbox(
                "Into the collection",
                names,
                index=index,
                accept_new_options=True,
                placeholder="Choose one, or type a new name",
                key="upload-collection",
            )
            model = model_picker("Model that words the questions", key="upload-model")
            language = language_picker(model, key="upload-language")
            limit = st.number_input("Most pairs for each file", min_value=1, value=None, placeholder="No limit")
        with right:
            files = st.file_uploader(
                "Files",
                type=[suffix.lstrip(".") for suffix in sorted(SUPPORTED_SUFFIXES)],
                accept_multiple_files=True,
                key=f"upload-{state.upload_round}",
            )
        if st.button("Extract FAQ pairs", type="primary", disabled=not (files and name), icon=":material/play_arrow:"):
            _submit(files, str(name), model, limit, language)


def _submit(files: Sequence[UploadedFile], collection: str, model: str | None, limit: int | None, language: str | None) -> None:
    """One job for each file, so that a damaged one costs itself alone."""
    for file, name in zip(files, distinct([file.name for file in files]), strict=True):
        shared_engine().extract([(name, file)], collection, model=model, max_pairs=limit, language=language)
    state = tab_state()
    state.collection = collection
    state.upload_round += 1
    st.rerun()


def distinct(names: Sequence[str]) -> list[str]:
    """The names of files that are handed over together, those that occur again with a number: none is a version of another."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        path = PurePath(name)
        result.append(name if seen[name] == 1 else f"{path.stem} ({seen[name]}){path.suffix}")
    return result
