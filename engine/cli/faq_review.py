"""`nexus faq approve | reject | reopen | edit | undo`: what a reviewer decides."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Annotated

import typer

from engine.cli import shapes
from engine.cli.command import Run, command
from engine.cli.faq_options import CollectionOption, PairChoice, PairId, group, named
from engine.domain import FaqStatus

MOST_NAMED = 20
"""Identifiers in a command that is proposed."""


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
    ids = [pair.id for pair in chosen]
    run.engine.review.reject(ids, reason)
    _tell_aside(run, collection, ids)
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
    """Change a pair. An answer that its quote does not support, or a question asked already, waits for review with a remark."""
    if question is None and answer is None and quote is None:
        raise typer.BadParameter("give --question, --answer or --quote")
    (known,) = named(run, collection, [faq_id])
    edited = run.engine.review.edit(known.id, question=question, answer=answer, quote=quote)
    run.out.record(shapes.pair(edited))
    if edited.reason and edited.status is FaqStatus.PENDING:
        run.out.note(edited.reason)
    if edited.duplicate_of is not None and edited.status is FaqStatus.PENDING:
        run.out.note(
            f"The other pair: {run.engine.repositories.faqs.get(edited.duplicate_of).question} ({edited.duplicate_of})"
        )
    if edited.question != known.question:
        _tell_aside(run, collection, [edited.id])


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


def _tell_aside(run: Run, collection: str, ids: Sequence[str]) -> None:
    """Name the pairs that were put aside for pairs that are rejected now, or ask something else."""
    aside = [pair.id for pair in run.engine.review.put_aside_for(ids)]
    if aside:
        named = " ".join(aside[:MOST_NAMED]) + (" …" if len(aside) > MOST_NAMED else "")
        again = f"nexus faq reopen {named} --collection {shlex.quote(collection)}"
        run.out.note(f"Pairs put aside before because they asked the same: {len(aside)}. To review them again: {again}")


def _report(run: Run, collection: str, done: str, count: int) -> None:
    now = run.engine.collection(collection)
    in_all = {"approved_in_all": now.approved_count, "pairs_in_all": now.faq_count}
    run.out.record({"collection": collection, done: count, **in_all})
