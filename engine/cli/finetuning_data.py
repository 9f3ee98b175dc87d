"""The options of `nexus finetune` that say what is learnt, and its `--preview`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from engine.cli.output import Output
    from engine.requests import DataOptions
    from engine.training.datasets.encoding import Piece
    from engine.training.datasets.preview import DatasetPreview, ShownExample

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that a terminal may act on."""
_WIDTH = 40


@dataclass(frozen=True, slots=True)
class DataFlags:
    """What is made of the pairs of a collection, or of the rows of a file."""

    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT=NAME",
            help="Which column of the file is the question, answer, system, context or group, such as question=Frage; "
            "may be repeated. Common names are found without.",
        ),
    ] = None
    holdout: Annotated[
        float, typer.Option(min=0.0, max=0.5, help="Share that is kept for evaluation: whole passages with all their wordings.")
    ] = 0.1
    paraphrases: Annotated[
        int,
        typer.Option(
            min=0,
            max=12,
            metavar="N",
            help="Teach each question in up to N other wordings as well, so that people are understood who ask in words of "
            "their own: questions that were put aside, and in English wordings made by rules, also as one types them into a "
            "search box. 0 teaches the questions as they stand only.",
        ),
    ] = 10
    follow_ups: Annotated[
        float, typer.Option(min=0.0, max=1.0, metavar="X", help="Share that is also asked after another pair of its document.")
    ] = 0.0
    unanswerable: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.5, metavar="X", help="Questions without an answer, as a share of the pairs: they teach to say so."
        ),
    ] = 0.0
    preview: Annotated[bool, typer.Option("--preview", help="Show what would be learnt, and train nothing.")] = False

    def options(self) -> DataOptions:
        """The same as the engine takes it.

        Raises:
            InputError: a column is named in a way that makes no sense.
        """
        from engine import requests
        from engine.training.datasets.columns import parse_columns

        return requests.checked(
            requests.DataOptions,
            columns=parse_columns(self.column or ()),
            holdout=self.holdout,
            paraphrases=self.paraphrases,
            follow_ups=self.follow_ups,
            unanswerable=self.unanswerable,
        )


def show_preview(out: Output, preview: DatasetPreview) -> None:
    """Print what would be learnt: examples with what the model reads and what it learns, then figures, lengths and remarks."""
    if out.as_json:
        out.record(preview.to_json())
        return
    for number, example in enumerate(preview.examples, start=1):
        _show(out, number, example)
    values = preview.to_json()
    names = ("learnt", "held_out", "groups", "kinds", "duplicates", "truncated", "skipped", "measured", "max_length", "tokens")
    out.record({name: values[name] for name in names})
    out.text("\n" + "".join(_bars(preview)))
    for note in preview.notes:
        out.note(note)


def _show(out: Output, number: int, example: ShownExample) -> None:
    cut = ", cut" if example.truncated else ""
    out.text(f"{number}. {example.kind}: {example.tokens} tokens, {example.learnt_tokens} of them learnt{cut}\n")
    for label, is_learnt in (("read", False), ("learnt", True)):
        text = _text([piece for piece in example.pieces if piece.learnt is is_learnt])
        out.text("".join(f"   {label:<6} │ {line}\n" for line in text.split("\n")))
    out.text("\n")


def _bars(preview: DatasetPreview) -> list[str]:
    """How many examples have how many tokens, as bars."""
    bins = preview.histogram()
    most = max((count for _, count in bins), default=1)
    return [f"to {up_to:>6} tokens {count:>7}  {'█' * -(-count * _WIDTH // most)}\n" for up_to, count in bins]


def _text(pieces: Sequence[Piece]) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", "".join(piece.text for piece in pieces))
