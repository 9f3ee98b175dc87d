"""The documents of a collection: what they are, what is to be known of them, and their removal."""

from __future__ import annotations

import streamlit as st

from app.components.empty import empty_state
from app.components.text import ago, counted, plain, size
from app.resources import shared_engine
from engine.domain import Collection, Document


def document_list(collection: Collection) -> None:
    """Show the documents of a collection."""
    documents = shared_engine().repositories.documents.list(collection.id)
    if not documents:
        empty_state("description", "No documents in this collection", "Imported pairs have no document.")
        return
    st.caption("A file of the same name as one of these is its new version: only what has changed is asked again.")
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
        for warning in document.warnings:
            st.warning(plain(warning), icon=":material/warning:")
