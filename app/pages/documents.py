"""Documents & FAQ: hand over files, watch pairs being found, review and export them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app.components.empty import empty_state
from app.components.faq_review import faq_review
from app.components.faq_table import live_table
from app.components.jobs import is_active, job_cards
from app.components.pickers import collection_picker, model_picker
from app.components.text import ago, counted, plain, size, string
from app.resources import shared_engine
from app.state import tab_state
from engine.domain import Collection, Document, Job
from engine.faq.export import FORMATS
from engine.ingest import SUPPORTED_SUFFIXES

LIVE_ROWS = 5
EXPORTS = (
    ("jsonl", "JSONL", "application/jsonl"),
    ("csv", "CSV", "text/csv"),
    ("md", "Markdown", "text/markdown"),
)


def render() -> None:
    """Show the page."""
    st.title("Documents & FAQ")
    st.caption("Each pair of question and answer comes with a verbatim quote from the page that it was made from.")
    _upload()
    job_cards(("extract", "ingest"), _pairs_so_far)
    collection = collection_picker("Look at", key="documents-collection")
    if collection is None:
        empty_state("description", "No documents yet", "Hand over a PDF, DOCX, Markdown, HTML, text, CSV or EPUB file above.")
        return
    review, documents, export = st.tabs(["Review", "Documents", "Export"])
    with review:
        faq_review(collection)
    with documents:
        _documents(collection)
    with export:
        _export(collection)


def _upload() -> None:
    state = tab_state()
    names = [collection.name for collection in shared_engine().collections()]
    with st.expander("Add documents", expanded=True, icon=":material/upload_file:"):
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
            limit = st.number_input("Most pairs for each file", min_value=1, value=None, placeholder="No limit")
        with right:
            files = st.file_uploader(
                "Files",
                type=[suffix.lstrip(".") for suffix in sorted(SUPPORTED_SUFFIXES)],
                accept_multiple_files=True,
                key=f"upload-{state.upload_round}",
            )
        if st.button("Extract FAQ pairs", type="primary", disabled=not (files and name), icon=":material/play_arrow:"):
            _submit(files, str(name), model, limit)


def _submit(files: Sequence[UploadedFile], collection: str, model: str | None, limit: int | None) -> None:
    """One job for each file, so that a damaged one costs itself alone."""
    for file in files:
        shared_engine().extract([(file.name, file)], collection, model=model, max_pairs=limit)
    state = tab_state()
    state.collection = collection
    state.upload_round += 1
    st.rerun()


def _pairs_so_far(job: Job) -> None:
    """The newest pairs of the collection that a running job fills."""
    name = string(job.payload, "collection")
    if job.kind != "extract" or not is_active(job) or name not in [c.name for c in shared_engine().collections()]:
        return
    pairs = shared_engine().faqs(name)
    if pairs:
        st.caption(f"{counted(len(pairs), 'pair')} in {plain(name)} so far; the newest:")
        live_table(list(reversed(pairs))[:LIVE_ROWS])


def _documents(collection: Collection) -> None:
    documents = shared_engine().repositories.documents.list(collection.id)
    if not documents:
        empty_state("description", "No documents in this collection", "Imported pairs have no document.")
        return
    for document in documents:
        _document(collection, document)


def _document(collection: Collection, document: Document) -> None:
    with st.container(border=True):
        details = (counted(document.page_count, "page"), size(document.size), f"added {ago(document.created_at)}")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(document.name)}**  \n{' · '.join(details)}", width="stretch")
            with st.popover("Remove", icon=":material/delete:", width="content"):
                st.markdown("The document leaves this collection, with the pairs made from it.")
                if st.button("Remove it", key=f"remove-{document.id}", type="primary"):
                    shared_engine().documents.remove(document.id, collection.id)
                    st.rerun()


def _export(collection: Collection) -> None:
    if collection.faq_count == 0:
        empty_state("download", "Nothing to export yet", "Pairs can be saved as JSONL, CSV or Markdown.")
        return
    pairs = shared_engine().faqs(collection.name)
    st.markdown(f"{counted(collection.faq_count, 'pair')}, of which {collection.approved_count:,} approved.")
    with st.container(horizontal=True):
        for form, label, mime in EXPORTS:
            st.download_button(
                label,
                data=FORMATS[form](pairs),
                file_name=f"{collection.name}.{form}",
                mime=mime,
                icon=":material/download:",
            )
