"""`nexus faq approve | reject | reopen | edit | undo`: what a reviewer decides."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli import shapes
from engine.cli.command import Run, command
from engine.cli.faq_options import CollectionOption, PairChoice, PairId, group, named
from engine.domain import FaqStatus


@command(group, "approve")
def approve(run: Run, collection: CollectionOption, choice: PairChoice) -> None:
    """Approve the pairs named, also rejected ones, or all that wait for review (also without --all) but those with a remark."""
    chosen = choice.pairs(run, collection)
    if not choice.ids:
        for pair in chosen:
            if pair.reason:
                run.out.note(f"Left for a closer look: {pair.question} {pair.reason} Approve it by its identifier {pair.id}.")
        chosen = [pair for pair in chosen if not pair.reason]
    run.engine.review.approve([pair.id for pair in chosen])
    _report(run, collection, "approved", len(chosen))


@command(group, "reject")
def reject(
    run: Run,
    collection: CollectionOption,
    choice: PairChoice,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why.")] = "Rejected in review.",
) -> None:
    """Reject the pairs named, or with --all those that wait for review."""
    if not choice.ids and not choice.every:
        raise typer.BadParameter("name the pairs to reject, or give --all")
    chosen = choice.pairs(run, collection)
    run.engine.review.reject([pair.id for pair in chosen], reason)
    _report(run, collection, "rejected", len(chosen))


@command(group, "reopen")
def reopen(
    run: Run,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Pairs, by identifier or how it begins.")],
    collection: CollectionOption,
) -> None:
    """Let pairs wait for review again, approved or rejected."""
    chosen = named(run, collection, ids)
    run.engine.review.reopen([pair.id for pair in chosen])
    _report(run, collection, "reopened", len(chosen))


@command(group, "edit")
def edit(
    run: Run,
    faq_id: PairId,
    collection: CollectionOption,
    question: Annotated[str | None, typer.Option(metavar="TEXT", help="The new question.")] = None,
    answer: Annotated[str | None, typer.Option(metavar="TEXT", help="The new answer.")] = None,
    quote: Annotated[str | None, typer.Option(metavar="TEXT", help="The new quote, word for word from the page.")] = None,
) -> None:
    """Change a pair's question, answer or quote. An answer that the quote does not support waits for review, with a remark."""
    if question is None and answer is None and quote is None:
        raise typer.BadParameter("give --question, --answer or --quote")
    (known,) = named(run, collection, [faq_id])
    edited = run.engine.review.edit(known.id, question=question, answer=answer, quote=quote)
    run.out.record(shapes.pair(edited))
    if edited.reason and edited.status is FaqStatus.PENDING:
        run.out.note(edited.reason)


@command(group, "undo")
def undo(run: Run, collection: CollectionOption) -> None:
    """Take back the newest action: approve, reject, reopen or edit, of one pair or of many. Again: the one before."""
    undone = run.engine.review.undo(run.engine.collection(collection).id)
    if undone is None:
        run.out.note("There is nothing to undo.")
    else:
        run.out.note(str(undone))
    action, ids = (None, []) if undone is None else (undone.action, list(undone.ids))
    run.out.record({"collection": collection, "undone": action, "count": len(ids), "ids": ids})


def _report(run: Run, collection: str, done: str, count: int) -> None:
    now = run.engine.collection(collection)
    in_all = {"approved_in_all": now.approved_count, "pairs_in_all": now.faq_count}
    run.out.record({"collection": collection, done: count, **in_all})
