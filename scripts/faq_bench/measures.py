"""What is measured of extracted pairs. Looks at the pairs alone, not at the checks that let them through."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from engine.embedding.base import Embedder
from engine.faq.types import ScoredPair
from engine.ingest.sentences import split_sentences
from scripts.faq_bench.ours import Extracted

NEAR = 0.9
_LEANS = re.compile(
    r"\b(?:it|its|they|them|their|he|him|his|she|her|hers|this|these|those|such|former|latter|above|following)\b"
    r"|\b(?:the|that) (?:section|passage|text|sentence|paragraph|document|page|article|context)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def covered(extracted: Extracted) -> int:
    """How many gold spans lie in the quote of a pair that is shown."""
    quotes = [(pair.candidate.chunk.page, *_place(pair)) for pair in extracted.shown]
    return sum(
        any(page == gold.page and start <= gold.start and gold.end <= end for page, start, end in quotes)
        for gold in extracted.article.golds
    )


def without_proof(extracted: Extracted) -> int:
    """Pairs, shown or rejected, whose quote is not on its page, or whose answer has a number that the quote lacks."""
    pages = {page.number: page.text for page in extracted.article.pages}
    wrong = 0
    for pair in (*extracted.shown, *extracted.rejected):
        candidate = pair.candidate
        numbers, proved = Counter(_NUMBER.findall(candidate.answer)), Counter(_NUMBER.findall(candidate.quote))
        wrong += candidate.quote not in pages[candidate.chunk.page] or not numbers.keys() <= proved.keys()
    return wrong


def stands_alone(pair: ScoredPair) -> bool:
    """Whether a question has no word that points at something outside of it."""
    return not _LEANS.search(pair.candidate.question)


def finds_its_quote(extracted: Extracted, embedder: Embedder) -> list[bool]:
    """For each pair shown, whether the sentence of its chunk that is nearest to the question is the quote or overlaps it."""
    results = []
    for pair in extracted.shown:
        chunk = pair.candidate.chunk
        pieces = _pieces(chunk.text)
        vectors = embedder.embed([pair.candidate.question, *(chunk.text[start:end] for start, end in pieces)])
        start, end = pieces[int(np.argmax(vectors[1:] @ vectors[0]))]
        low = chunk.text.index(pair.candidate.quote)
        results.append(start < low + len(pair.candidate.quote) and low < end)
    return results


def duplicates(shown: Sequence[ScoredPair], embedder: Embedder) -> tuple[int, int]:
    """Pairs whose question is, normalised, that of another one; and those that are as near as `NEAR` to another one."""
    questions = [" ".join(re.findall(r"\w+", pair.candidate.question.lower())) for pair in shown]
    same = sum(count - 1 for count in Counter(questions).values())
    if not shown:
        return same, 0
    vectors = embedder.embed([pair.candidate.question for pair in shown])
    close = np.triu(vectors @ vectors.T >= NEAR, k=1)
    return same, int(close.any(axis=0).sum())


def _place(pair: ScoredPair) -> tuple[int, int]:
    chunk = pair.candidate.chunk
    start = chunk.start + chunk.text.index(pair.candidate.quote)
    return start, start + len(pair.candidate.quote)


def _pieces(text: str) -> list[tuple[int, int]]:
    """Sentences, line by line."""
    pieces, at = [], 0
    for line in text.splitlines(keepends=True):
        pieces += [(at + start, at + end) for start, end in split_sentences(line)]
        at += len(line)
    return pieces
