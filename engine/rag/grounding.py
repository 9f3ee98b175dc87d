"""Nothing is said that the documents do not say: citations are checked when they are made, answers are held against them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.domain import Citation
from engine.ingest import locate_quote
from engine.knowledge.passages import Passage
from engine.knowledge.terms import content_stems, words

LEAST_WORD_SUPPORT = 0.6
"""Least share of an answer's content words that its quotes or the question must have."""

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-Z][\w'’-]+")
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
}


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


def objection(answer: str, quotes: Sequence[str], question: str) -> str:
    """Why an answer is not covered by its quotes, in a few words; empty when it is.

    Numbers and names must be in the quotes (names also may be in the question), and most content words in either.
    """
    proof = " ".join(quotes)
    strangers = numbers(answer) - numbers(proof)
    if strangers:
        return f"the number {min(strangers)} is not in the documents"
    known = set(words(f"{proof} {question}"))
    for name in _NAME.findall(answer):
        if not set(words(name)) <= known:
            return f"{name} is not in the documents"
    said = content_stems(answer)
    if not said:
        return "it says nothing"
    if len(said & content_stems(f"{proof} {question}")) / len(said) < LEAST_WORD_SUPPORT:
        return "its words are not those of the documents"
    # An answer that only repeats the question is covered by it, and still says nothing.
    return "" if said & content_stems(proof) else "it says nothing"


def numbers(text: str) -> set[str]:
    """All numbers of a text, "five" and "5" alike; separators of thousands do not count."""
    digits = {re.sub(r"[.,](?=\d{3}\b)", "", number) for number in _NUMBER.findall(text)}
    return digits | {_NUMBER_WORDS[word] for word in words(text) if word in _NUMBER_WORDS}


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
