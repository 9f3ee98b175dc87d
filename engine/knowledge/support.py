"""Whether quotes support an answer: figures, names and content words, compared without a model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.domain import FaqPair
from engine.ingest import locate_quote
from engine.knowledge.figures import unsupported, without_figures
from engine.knowledge.terms import content_words, stem, words
from engine.knowledge.unit_words import NUMBER_WORDS

LEAST_WORD_SUPPORT = 0.6
"""Least share of an answer's content words that its quotes or the question must have."""
LEAST_REVIEWED_SUPPORT = 0.5
"""The same for a pair's answer: people word more freely than models, and have the quote before them."""

_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-Z][\w'’-]+")


def objection(answer: str, quotes: Sequence[str], question: str, *, least: float = LEAST_WORD_SUPPORT) -> str:
    """Why an answer is not covered by its quotes, in a few words; empty when it is.

    Figures (numbers with their units, dates, times) and names must be in the quotes, names also may be in the question, and
    most content words in either.

    Args:
        answer: what is said.
        quotes: what is to prove it.
        question: what was asked; its words may be used.
        least: least share of content words that quotes or question must have.
    """
    proof = " ".join(quotes)
    strangers = unsupported(answer, proof)
    if strangers:
        return f"{strangers[0]} is not in the documents"
    known = set(words(f"{proof} {question}"))
    for name in _NAME.findall(answer):
        if not set(words(name)) <= known:
            return f"{name} is not in the documents"
    # Figures are proven above, in whatever form they are written: their words count as covered.
    said = _terms(without_figures(answer))
    figures = len(_terms(answer) - said)
    if not said and not figures:
        return "it says nothing"
    if (len(said & _terms(f"{proof} {question}")) + figures) / (len(said) + figures) < least:
        return "its words are not those of the documents"
    # An answer that only repeats the question is covered by it, and still says nothing.
    return "" if figures or said & _terms(proof) else "it says nothing"


def pair_objection(pair: FaqPair) -> str:
    """Why a pair's quote does not prove its answer, in a few words; empty when it does, or where there is no document."""
    return "" if pair.document_id is None else reviewed_objection(pair.question, pair.answer, pair.quote)


def reviewed_objection(question: str, answer: str, quote: str) -> str:
    """Why a quote does not prove a reviewed answer, in a few words; empty when it does. A part of the quote is proven."""
    if locate_quote(quote, answer) is not None and not unsupported(answer, quote):
        return ""
    return objection(answer, [quote], question, least=LEAST_REVIEWED_SUPPORT)


def _terms(text: str) -> set[str]:
    """The stems of content words, numbers in digits."""
    return {str(NUMBER_WORDS[word]) if word in NUMBER_WORDS else stem(word) for word in content_words(text)}
