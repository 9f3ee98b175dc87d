"""Nothing is said that the documents do not say: citations are checked when they are made, answers are held against them."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain import Citation
from engine.ingest import locate_quote
from engine.knowledge.figures import numbers
from engine.knowledge.passages import Passage
from engine.knowledge.support import objection
from engine.knowledge.terms import content_stems

__all__ = ["NotOnPageError", "cite", "numbers", "objection", "supporters"]


class NotOnPageError(ValueError):
    """A quote was to be cited that its source does not hold: a mistake in the program, never shown to a person."""


def cite(passage: Passage, quote: str, score: float) -> Citation:
    """The citation of a quote. The only way in which this package makes one.

    Args:
        passage: where the quote stands. A chunk's text is a slice of its page; a pair's text is its proven quote.
        quote: what is cited, in the words of the passage.
        score: how well it supports the answer, in 0…1.

    Returns:
        A citation whose quote is verbatim as it stands in the passage.

    Raises:
        NotOnPageError: the passage does not hold the quote.
    """
    # An imported pair has no document behind it: its reviewed answer is all there is to show.
    source = passage.text or passage.answer
    span = locate_quote(source, quote)
    if span is None:
        raise NotOnPageError(f"{passage.document}, page {passage.page} does not say {quote!r}")
    return Citation(
        document=passage.document,
        page=passage.page,
        quote=source[span[0] : span[1]],
        score=round(min(max(score, 0.0), 1.0), 4),
        document_id=passage.document_id,
        source_id=passage.source_id,
    )


def supporters(answer: str, texts: Sequence[str]) -> list[int]:
    """The texts that an answer rests on: greedily, each that adds content words or numbers of the answer to those before.

    Returns:
        Indices, the one that covers most first; at least one where there are texts.
    """
    open_terms = content_stems(answer) | numbers(answer)
    terms = [content_stems(text) | numbers(text) for text in texts]
    chosen: list[int] = []
    left = list(range(len(texts)))
    while left:
        best = max(left, key=lambda index: len(open_terms & terms[index]))
        if chosen and not open_terms & terms[best]:
            break
        chosen.append(best)
        left.remove(best)
        open_terms -= terms[best]
    return chosen
