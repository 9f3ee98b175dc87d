"""`nexus faq …`: extract question and answer pairs from documents, and review them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from engine.cli import shapes
from engine.cli.command import Run, command
from engine.cli.following import work_on
from engine.domain import FaqPair, FaqStatus, Job
from engine.errors import NotFoundError

group = typer.Typer(help="Extract, review and export FAQ pairs.", no_args_is_help=True)

CollectionOption = Annotated[str, typer.Option("--collection", metavar="C", help="The collection's name.")]
Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Pairs, by identifier. None: all that wait for review.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All pairs of the collection, whatever their status.")]
MinScore = Annotated[float, typer.Option(min=0.0, max=1.0, metavar="X", help="Only pairs with at least this score.")]
COLUMNS = ("id", "status", "score", "question", "answer", "document", "page")


@command(group, "extract")
def extract(
    run: Run,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="PDF, DOCX, PPTX, XLSX, CSV, MD, HTML, TXT, EPUB.")],
    collection: CollectionOption,
    model: Annotated[str | None, typer.Option(metavar="M", help="Chat model; default: the default model.")] = None,
    max_pairs: Annotated[int | None, typer.Option("--max", min=1, metavar="N", help="Stop after so many pairs.")] = None,
) -> None:
    """Read documents into a collection (made if absent) and extract FAQ pairs; each is printed as soon as it is stored."""
    landing = _Landing(run, collection)
    job = run.engine.extract(files, collection, model=model, max_pairs=max_pairs)
    ended = work_on(run, job, landing.show)
    result = ended.result or {}
    run.out.note(f"{result.get('pairs', 0)} new pairs to review in {collection!r}, {result.get('rejected', 0)} rejected.")
    if result.get("notice"):
        run.out.note(str(result["notice"]))


@command(group, "list")
def list_pairs(
    run: Run,
    collection: CollectionOption,
    status: Annotated[FaqStatus | None, typer.Option(help="Only pairs with this status.")] = None,
) -> None:
    """List the pairs of a collection."""
    rows = [shapes.pair(faq) for faq in run.engine.faqs(collection, status)]
    run.out.records(rows, COLUMNS, empty="There are no such pairs.")


@command(group, "approve")
def approve(
    run: Run, collection: CollectionOption, ids: Ids = None, every: AllOption = False, min_score: MinScore = 0.0
) -> None:
    """Approve the pairs named, or all that wait for review (also without --all) but those that were flagged."""
    chosen = _chosen(run, collection, ids, every, min_score)
    if not ids:
        flagged = [pair for pair in run.engine.faqs(collection) if pair.id in chosen and pair.reason]
        chosen = [faq_id for faq_id in chosen if faq_id not in {pair.id for pair in flagged}]
        for pair in flagged:
            run.out.note(f"Left for a closer look: {pair.question} {pair.reason} Approve it by its identifier {pair.id}.")
    run.engine.review.approve(chosen)
    _report(run, collection, "approved", len(chosen))


@command(group, "reject")
def reject(
    run: Run, collection: CollectionOption, ids: Ids = None, every: AllOption = False, min_score: MinScore = 0.0
) -> None:
    """Reject the pairs named, or with --all those that wait for review."""
    if not ids and not every:
        raise typer.BadParameter("name the pairs to reject, or give --all")
    chosen = _chosen(run, collection, ids, every, min_score)
    run.engine.review.reject(chosen)
    _report(run, collection, "rejected", len(chosen))


@command(group, "edit")
def edit(
    run: Run,
    faq_id: Annotated[str, typer.Argument(metavar="ID", help="The pair's identifier.")],
    collection: CollectionOption,
    question: Annotated[str | None, typer.Option(metavar="TEXT", help="The new question.")] = None,
    answer: Annotated[str | None, typer.Option(metavar="TEXT", help="The new answer.")] = None,
    quote: Annotated[str | None, typer.Option(metavar="TEXT", help="The new quote, word for word from the page.")] = None,
) -> None:
    """Change a pair's question, answer or quote."""
    if question is None and answer is None and quote is None:
        raise typer.BadParameter("give --question, --answer or --quote")
    (known,) = _chosen(run, collection, [faq_id])
    run.out.record(shapes.pair(run.engine.review.edit(known, question=question, answer=answer, quote=quote)))


@command(group, "export")
def export(
    run: Run,
    collection: CollectionOption,
    kind: Annotated[Literal["jsonl", "csv", "md"], typer.Option("--format", help="The format.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write; one that is there is replaced.")],
    status: Annotated[
        FaqStatus | None, typer.Option(help="Only pairs with this status; default: all but rejected ones.")
    ] = None,
) -> None:
    """Write the pairs of a collection to a file."""
    from engine.faq.export import export_pairs

    pairs = [faq for faq in run.engine.faqs(collection, status) if status is not None or faq.status is not FaqStatus.REJECTED]
    run.out.record({"out": str(out), "format": kind, "count": export_pairs(pairs, out, kind)})


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


def _chosen(run: Run, collection: str, ids: Sequence[str] | None, every: bool = False, min_score: float = 0.0) -> list[str]:
    """The identifiers of the pairs that are meant: those named, else those that wait for review.

    Raises:
        NotFoundError: a pair is none of this collection's.
    """
    if ids and every:
        raise typer.BadParameter("give either identifiers or --all")
    pairs = {faq.id: faq for faq in run.engine.faqs(collection)}
    unknown = [faq_id for faq_id in ids or () if faq_id not in pairs]
    if unknown:
        raise NotFoundError(f"no FAQ pair {unknown[0]} in {collection!r}", hint="List the pairs with `nexus faq list`.")
    chosen = ids or [faq.id for faq in pairs.values() if faq.status is FaqStatus.PENDING]
    return [faq_id for faq_id in chosen if pairs[faq_id].score >= min_score]


def _report(run: Run, collection: str, done: str, count: int) -> None:
    now = run.engine.collection(collection)
    in_all = {"approved_in_all": now.approved_count, "pairs_in_all": now.faq_count}
    run.out.record({"collection": collection, done: count, **in_all})
