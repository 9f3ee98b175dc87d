"""`nexus faq …`: extract question and answer pairs from documents, look at them, and write them to files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from engine.cli import faq_review, shapes
from engine.cli.command import Run, command
from engine.cli.faq_options import (
    COLUMNS,
    DUPLICATE_COLUMNS,
    CollectionOption,
    DocumentOption,
    MinScore,
    PairFilter,
    PairId,
    found,
    group,
    named,
)
from engine.cli.following import work_on
from engine.domain import FaqPair, FaqQuery, FaqStatus, Job
from engine.errors import NotFoundError

__all__ = ["faq_review", "group"]


@command(group, "extract")
def extract(
    run: Run,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="PDF, DOCX, PPTX, XLSX, CSV, MD, HTML, TXT, EPUB.")],
    collection: CollectionOption,
    model: Annotated[str | None, typer.Option(metavar="M", help="Chat model; default: the default model.")] = None,
    max_pairs: Annotated[int | None, typer.Option("--max", min=1, metavar="N", help="Stop after so many pairs.")] = None,
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="Language of the pairs, such as de; default: the document's.")
    ] = None,
) -> None:
    """Read documents into a collection (made if absent) and extract FAQ pairs; each is printed as soon as it is stored."""
    landing = _Landing(run, collection)
    job = run.engine.extract(files, collection, model=model, max_pairs=max_pairs, language=language)
    ended = work_on(run, job, landing.show)
    result = ended.result or {}
    run.out.note(f"{result.get('pairs', 0)} new pairs to review in {collection!r}, {result.get('rejected', 0)} rejected.")
    if result.get("notice"):
        run.out.note(str(result["notice"]))


@command(group, "import")
def import_pairs(
    run: Run,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or JSONL: question, answer, and if known quote, document.")],
    collection: CollectionOption,
) -> None:
    """Take pairs from a file into a collection (made if absent). They wait for review; what is there already is skipped."""
    taken = run.engine.import_pairs(file, collection)
    counts = {"imported": len(taken.new), "duplicates": len(taken.duplicates), "already_there": taken.known}
    run.out.record({"collection": collection, **counts, "ids": [pair.id for pair in taken.new]})


@command(group, "list")
def list_pairs(run: Run, collection: CollectionOption, chosen: PairFilter) -> None:
    """List the pairs of a collection."""
    _print(run, found(run, collection, chosen.query()), chosen.duplicates)


@command(group, "find")
def find(
    run: Run,
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="Words or parts of words, in any letters.")],
    collection: CollectionOption,
    chosen: PairFilter,
) -> None:
    """Find pairs that have all the words in question, answer or quote; letter case and accents do not count."""
    _print(run, found(run, collection, chosen.query(" ".join(words))), chosen.duplicates)


@command(group, "show")
def show(run: Run, faq_id: PairId, collection: CollectionOption) -> None:
    """Show all that is known of a pair, and which pairs were put aside for it."""
    (pair,) = named(run, collection, [faq_id])
    aside = found(run, collection, FaqQuery(duplicate_of=pair.id))
    run.out.record({**shapes.pair(pair), "duplicates": [other.id for other in aside]})


@command(group, "export")
def export(
    run: Run,
    collection: CollectionOption,
    kind: Annotated[Literal["jsonl", "csv", "md", "html", "jsonld", "chat"], typer.Option("--format", help="The format.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write; one that is there is replaced.")],
    status: Annotated[
        list[FaqStatus] | None, typer.Option(help="Only pairs with this status, repeatable; default: all but rejected ones.")
    ] = None,
    document: DocumentOption = None,
    min_score: MinScore = 0.0,
) -> None:
    """Write the pairs of a collection to a file."""
    from engine.faq.export import EXPORTED, export_pairs

    query = replace(EXPORTED, statuses=frozenset(status or EXPORTED.statuses), document=document, min_score=min_score)
    count = export_pairs(found(run, collection, query), out, kind)
    run.out.record({"out": str(out), "format": kind, "count": count})


class _Landing:
    """Prints the pairs of a collection that were not there before, each once, as they are stored."""

    def __init__(self, run: Run, collection: str) -> None:
        self._run = run
        self._collection = collection
        self._seen = {faq.id for faq in self._pairs()}

    def show(self, _job: Job) -> None:
        """Print what has landed since the last call."""
        for faq in self._pairs():
            if faq.id not in self._seen:
                self._seen.add(faq.id)
                self._print(faq)

    def _pairs(self) -> Sequence[FaqPair]:
        try:
            return self._run.engine.faqs(self._collection)
        except NotFoundError:
            return ()  # the job makes the collection

    def _print(self, faq: FaqPair) -> None:
        if self._run.out.as_json:
            self._run.out.record(shapes.pair(faq))
        elif faq.status is not FaqStatus.REJECTED:
            page = "" if faq.page is None else f", page {faq.page}"
            self._run.out.text(f"Q: {faq.question}\nA: {faq.answer}\n   [{faq.document}{page}; {faq.id}]\n")


def _print(run: Run, pairs: Sequence[FaqPair], duplicates: bool) -> None:
    columns = DUPLICATE_COLUMNS if duplicates else COLUMNS
    run.out.records([shapes.pair(faq) for faq in pairs], columns, empty="There are no such pairs.")
