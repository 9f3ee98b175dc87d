"""`nexus documents …`: what is in a collection, what should be known of it, and its removal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer

from engine.cli import shapes
from engine.cli.command import Run, command
from engine.domain import Document, FaqStatus
from engine.errors import ConflictError, NotFoundError

group = typer.Typer(help="List, show and remove documents.", no_args_is_help=True)

Target = Annotated[str, typer.Argument(metavar="DOCUMENT", help="Its name, its identifier, or how that begins.")]
OfCollection = Annotated[str, typer.Option("--collection", metavar="C", help="The collection that holds it.")]
InCollection = Annotated[
    str | None, typer.Option("--collection", metavar="C", help="Only documents of this collection; default: all.")
]
COLUMNS = ("id", "name", "page_count", "size", "created_at", "warnings")
LEAST_PREFIX = 6
"""Fewest characters of an identifier that stand for a document."""


@command(group, "list")
def list_documents(run: Run, collection: InCollection = None) -> None:
    """List documents, oldest first."""
    rows = [shapes.document(document) for document in _documents(run, collection)]
    run.out.records(rows, COLUMNS, empty="There are no documents.")


@command(group, "show")
def show(
    run: Run,
    document: Target,
    collection: OfCollection,
    page: Annotated[int | None, typer.Option(min=1, metavar="N", help="Print the text of this page instead.")] = None,
) -> None:
    """Show a document: its passages, the pairs made from it and what should be known of it, or the text of a page."""
    found = _find(run, document, collection)
    stored = run.engine.repositories.documents
    if page is not None:
        text = stored.page(found.id, page)
        if not run.out.as_json:
            run.out.text(f"{text.text}\n")
            return
        run.out.record({"document": found.name, "page": page, "source": text.source, "text": text.text})
        return
    pairs = Counter(pair.status for pair in run.engine.faqs(collection) if pair.document_id == found.id)
    counts = {status.value: pairs[status] for status in FaqStatus}
    run.out.record({**shapes.document(found), "passages": len(stored.chunks([found.id])), "pairs": counts})


@command(group, "remove")
def remove(run: Run, document: Target, collection: OfCollection) -> None:
    """Take a document out of a collection, with the pairs made from it. The last collection takes the file along."""
    found = _find(run, document, collection)
    run.engine.documents.remove(found.id, run.engine.collection(collection).id)
    run.out.record({"removed": found.name, "id": found.id, "collection": collection})


@command(group, "warnings")
def warnings(run: Run, collection: InCollection = None) -> None:
    """List what should be known of documents although they could be read, such as pages without text."""
    rows: list[shapes.Record] = [
        {"document": document.name, "id": document.id, "warning": warning}
        for document in _documents(run, collection)
        for warning in document.warnings
    ]
    run.out.records(rows, ("document", "warning"), empty="There are no warnings.")


def _documents(run: Run, collection: str | None) -> Sequence[Document]:
    wanted = None if collection is None else run.engine.collection(collection).id
    return run.engine.repositories.documents.list(wanted)


def _find(run: Run, wanted: str, collection: str) -> Document:
    """The document that is meant.

    Raises:
        NotFoundError: there is no such collection, or no such document in it.
        ConflictError: several are meant.
    """
    documents = _documents(run, collection)
    found = [document for document in documents if wanted in (document.name, document.id)]
    if not found and len(wanted) >= LEAST_PREFIX:
        found = [document for document in documents if document.id.startswith(wanted)]
    if not found:
        hint = f"List its documents with `nexus documents list --collection {collection!r}`."
        raise NotFoundError(f"no document {wanted!r} in {collection!r}", hint=hint)
    if len(found) > 1:
        ids = ", ".join(document.id[:12] for document in found)
        raise ConflictError(f"{wanted!r} could be {len(found)} documents", hint=f"Give the identifier of one of them: {ids}.")
    return found[0]
