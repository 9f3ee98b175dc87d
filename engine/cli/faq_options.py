"""What the commands of `nexus faq` share: options that choose pairs, and finding the pairs that are meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from engine.domain import FaqPair, FaqQuery, FaqStatus
from engine.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from engine.cli.command import Run

group = typer.Typer(help="Extract, review, import and export FAQ pairs.", no_args_is_help=True)

CollectionOption = Annotated[str, typer.Option("--collection", metavar="C", help="The collection's name.")]
Statuses = Annotated[
    list[FaqStatus] | None, typer.Option("--status", help="Only pairs with this status; may be given several times.")
]
DocumentOption = Annotated[
    str | None, typer.Option("--document", metavar="D", help="Only pairs of this document, by name or identifier.")
]
MinScore = Annotated[float, typer.Option(min=0.0, max=1.0, metavar="X", help="Only pairs with at least this score.")]
MaxScore = Annotated[float, typer.Option(min=0.0, max=1.0, metavar="X", help="Only pairs with at most this score.")]
Flagged = Annotated[bool, typer.Option("--flagged", help="Only pairs that wait for review with a remark.")]
Duplicates = Annotated[bool, typer.Option("--duplicates", help="Only pairs that were put aside for a better one.")]
PairId = Annotated[str, typer.Argument(metavar="ID", help="The pair's identifier, or how it begins.")]

COLUMNS = ("id", "status", "score", "question", "answer", "document", "page")
DUPLICATE_COLUMNS = ("id", "duplicate_of", "score", "question", "answer", "document", "page")
LEAST_PREFIX = 6
"""Fewest characters of an identifier that stand for a pair."""


def query_of(
    statuses: Sequence[FaqStatus] | None,
    document: str | None,
    min_score: float,
    max_score: float,
    *,
    text: str = "",
    flagged: bool = False,
    duplicates: bool = False,
) -> FaqQuery:
    """The query that the options mean."""
    return FaqQuery(text, frozenset(statuses or ()), document, min_score, max_score, flagged or None, duplicates or None)


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
    found = [pair for name, pair in pairs.items() if len(given) >= LEAST_PREFIX and name.startswith(given)]
    if len(found) > 1:
        raise InputError(f"{len(found)} pairs have identifiers that begin with {given}", hint="Give more characters.")
    if not found:
        raise NotFoundError(f"no FAQ pair {given} in {collection!r}", hint="List the pairs with `nexus faq list`.")
    return found[0]
