"""What the commands of `nexus faq` share: options that choose pairs, and finding the pairs that are meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from engine.domain import FaqPair, FaqQuery, FaqStatus
from engine.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from engine.cli.command import Run

group = typer.Typer(help="Extract, review, import and export FAQ pairs.", no_args_is_help=True)

CollectionOption = Annotated[str, typer.Option("--collection", metavar="C", help="The collection's name.")]
DocumentOption = Annotated[
    str | None, typer.Option("--document", metavar="D", help="Only pairs of this document, by name or identifier.")
]
MinScore = Annotated[float, typer.Option(min=0.0, max=1.0, metavar="X", help="Only pairs with at least this score.")]
PairId = Annotated[str, typer.Argument(metavar="ID", help="The pair's identifier, or how it begins.")]

COLUMNS = ("id", "status", "score", "question", "answer", "document", "page")
DUPLICATE_COLUMNS = ("id", "duplicate_of", "score", "question", "answer", "document", "page")
LEAST_PREFIX = 6
"""Fewest characters of an identifier that stand for a pair."""


@dataclass(frozen=True, slots=True)
class PairFilter:
    """The options of a command that looks for pairs."""

    status: Annotated[list[FaqStatus] | None, typer.Option(help="Only pairs with this status; may be given several times.")] = (
        None
    )
    document: DocumentOption = None
    min_score: MinScore = 0.0
    max_score: Annotated[float, typer.Option(min=0.0, max=1.0, metavar="X", help="Only pairs with at most this score.")] = 1.0
    flagged: Annotated[bool, typer.Option("--flagged", help="Only pairs that wait for review with a remark.")] = False
    duplicates: Annotated[bool, typer.Option("--duplicates", help="Only pairs that were put aside for a better one.")] = False

    def query(self, text: str = "") -> FaqQuery:
        """What the options mean, of pairs that have all words of a text."""
        return FaqQuery(
            text=text,
            statuses=frozenset(self.status or ()),
            document=self.document,
            min_score=self.min_score,
            max_score=self.max_score,
            flagged=self.flagged or None,
            duplicates=self.duplicates or None,
        )


@dataclass(frozen=True, slots=True)
class PairChoice:
    """The arguments and options of a command that does something to pairs."""

    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Pairs, by identifier or how it begins. None: all that wait for review."),
    ] = None
    every: Annotated[bool, typer.Option("--all", help="All pairs that wait for review.")] = False
    document: DocumentOption = None
    min_score: MinScore = 0.0

    def pairs(self, run: Run, collection: str) -> Sequence[FaqPair]:
        """The pairs that are meant: those named, else those that wait for review; of them those that the options mean.

        Raises:
            NotFoundError: a pair is none of this collection's.
            InputError: several identifiers begin so.
        """
        if self.ids and self.every:
            raise typer.BadParameter("give either identifiers or --all")
        statuses = frozenset() if self.ids else frozenset({FaqStatus.PENDING})
        meant = found(run, collection, FaqQuery(statuses=statuses, document=self.document, min_score=self.min_score))
        if not self.ids:
            return meant
        wanted = {pair.id for pair in meant}
        return [pair for pair in named(run, collection, self.ids) if pair.id in wanted]


def found(run: Run, collection: str, query: FaqQuery) -> Sequence[FaqPair]:
    """The pairs of a collection that a query means."""
    return run.engine.repositories.faqs.find(run.engine.collection(collection).id, query)


def named(run: Run, collection: str, ids: Sequence[str]) -> list[FaqPair]:
    """The pairs with these identifiers, or with identifiers that begin so.

    Raises:
        NotFoundError: a pair is none of this collection's.
        InputError: several identifiers begin so.
    """
    pairs = {pair.id: pair for pair in run.engine.faqs(collection)}
    return [_one(pairs, collection, given) for given in ids]


def _one(pairs: dict[str, FaqPair], collection: str, given: str) -> FaqPair:
    if given in pairs:
        return pairs[given]
    meant = [pair for name, pair in pairs.items() if len(given) >= LEAST_PREFIX and name.startswith(given)]
    if len(meant) > 1:
        raise InputError(f"{len(meant)} pairs have identifiers that begin with {given}", hint="Give more characters.")
    if not meant:
        raise NotFoundError(f"no FAQ pair {given} in {collection!r}", hint="List the pairs with `nexus faq list`.")
    return meant[0]
