"""Checking and scoring candidates, and choosing the best question to each fact."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby

import numpy as np

from engine.domain import Chunk, FaqPair, FaqStatus, new_id, utc_now
from engine.embedding.base import Embedder, Vectors
from engine.faq.checks import DOUBTFUL, grounded_share, rejection_of
from engine.faq.row_rules import fact_cells
from engine.faq.scores import ODD_LENGTH, in_unit, left_to_answer, mean_of_measured
from engine.faq.translated_scores import Meaning, parts_of, rejected_by_meaning, remark_of, score_of_translated
from engine.faq.types import Candidate, Origin, RowFact, ScoredPair, ScoreParts
from engine.faq.units import is_row, sentences_of
from engine.faq.words import words

MIN_RELEVANCE = 0.4
"""Least cosine of question and quote (MiniLM)."""

MIN_LEAD = 0.0
"""The quote must be at least as near to the question as every other sentence of the document (the round trip)."""

MIN_MODEL_SCORE = 0.65
"""Least score of a question that a model worded. Read by hand on the even articles of XQuAD: below it, most questions of the
default model ask for something that the quote does not say."""

AMBIGUOUS = "Several rows of the document answer this question, each in another way."

_FULL_LEAD = 0.15
"""A lead that counts in full."""

WEIGHTS = {"relevance": 0.28, "lead": 0.12, "grounded": 0.16, "form": 0.16, "fact": 0.08, "wording": 0.2}
"""What each part of the score counts for; they add up to 1."""

_RULE_WORDING = 0.9
"""How well rules word. By reading, about seven of ten questions that rules made of the articles could be published, and four of
ten that the default model worded."""
_BUILT_WORDING, _BUILT_RANGE = 1.0, 5
"""Of a transformation: less a fifth of the nats that a model finds it unlikely, which tells the better of two forms."""
_UNTOLD_WORDING = 0.7
"""For models that do not say how likely their words are."""
_WORDING_RANGE = 1.5
"""Nats below 0 at which a wording counts for nothing."""

_PREFERRED_WORDS = range(5, 19)
_YES_NO = re.compile(
    r"(?:can|could|is|are|was|were|does|do|did|must|may|might|will|would|should|shall|has|have|am)\b", re.IGNORECASE
)


class Curator:
    """Curates the candidates of one document."""

    def __init__(self, embedder: Embedder, chunks: Sequence[Chunk], pages: Mapping[int, str]) -> None:
        """Prepare for a document.

        Args:
            embedder: compares questions with sentences.
            chunks: all chunks of the document, so that a question can be tried on every sentence.
            pages: the text of each page by its number.
        """
        self._embedder = embedder
        self._pages = pages
        self._sentences = list(dict.fromkeys(sentence for chunk in chunks for sentence in sentences_of(chunk)))
        self._row_facts = _row_facts(chunks)
        self._vectors: Vectors | None = None

    def curate(self, candidates: Sequence[Candidate]) -> list[ScoredPair]:
        """The best pair for each fact among the candidates, for review; where none passes, the best of those, rejected.

        Raises:
            EmbeddingError: the encoder failed.
        """
        translated = [candidate for candidate in candidates if candidate.translation is not None]
        scored = self._scored([candidate for candidate in candidates if candidate.translation is None])
        scored += [self._judge_translated(*one) for one in zip(translated, self._meanings(translated), strict=True)]
        scored.sort(key=lambda pair: (_fact_of(pair), pair.status is FaqStatus.REJECTED, -pair.score))
        best = [next(group) for _, group in groupby(scored, key=_fact_of)]
        order = {_key_of(candidate): position for position, candidate in reversed(list(enumerate(candidates)))}
        return sorted(best, key=lambda pair: order[_fact_of(pair)])

    def _scored(self, candidates: Sequence[Candidate]) -> list[ScoredPair]:
        if not candidates:
            return []
        questions = self._embedder.embed([candidate.question for candidate in candidates])
        quotes = self._embedder.embed([candidate.quote for candidate in candidates])
        sentences = self._embedder.embed([candidate.sentence or candidate.quote for candidate in candidates])
        relevance = np.maximum(np.sum(questions * quotes, axis=1), np.sum(questions * sentences, axis=1))
        others = self._best_others(candidates, questions)
        return [
            self._judge(candidate, float(near), float(near - other))
            for candidate, near, other in zip(candidates, relevance, others, strict=True)
        ]

    def _meanings(self, candidates: Sequence[Candidate]) -> Sequence[Meaning | None]:
        """What the encoder finds of pairs in another language than their quote; None for languages that it does not know."""
        spoken = {code for one in candidates if one.translation for code in (one.translation.source, one.translation.target)}
        if not candidates or not self._embedder.knows(spoken):
            return [None] * len(candidates)
        questions = self._embedder.embed([candidate.question for candidate in candidates])
        answers = self._embedder.embed([candidate.answer for candidate in candidates])
        quotes = self._embedder.embed([candidate.quote for candidate in candidates])
        near = np.sum(questions * quotes, axis=1)
        leads = near - self._best_others(candidates, questions)
        return [
            Meaning(float(answer), float(question), in_unit(float(lead) / _FULL_LEAD))
            for answer, question, lead in zip(np.sum(answers * quotes, axis=1), near, leads, strict=True)
        ]

    def _judge_translated(self, candidate: Candidate, meaning: Meaning | None) -> ScoredPair:
        parts = parts_of(candidate, meaning)
        reason = rejection_of(candidate, self._pages.get(candidate.chunk.page, "")) or rejected_by_meaning(meaning)
        status = FaqStatus.REJECTED if reason else FaqStatus.PENDING
        return ScoredPair(candidate, score_of_translated(parts), parts, status, reason or remark_of(candidate, meaning))

    def _best_others(self, candidates: Sequence[Candidate], questions: Vectors) -> Vectors:
        """For each question, its cosine with the nearest sentence outside the quote; -1 where there is none."""
        if self._vectors is None:
            self._vectors = self._embedder.embed(self._sentences)
        if not self._sentences:
            return np.full(len(candidates), -1.0, dtype=np.float32)
        similarity = questions @ self._vectors.T
        for row, candidate in enumerate(candidates):
            quote = " ".join(candidate.quote.split())
            for column in np.argsort(-similarity[row]):
                sentence = " ".join(self._sentences[column].split())
                if sentence not in quote and quote not in sentence:
                    break
                similarity[row, column] = -1.0
        best: Vectors = similarity.max(axis=1)
        return best

    def _judge(self, candidate: Candidate, relevance: float, lead: float) -> ScoredPair:
        parts = ScoreParts(
            relevance=in_unit(relevance),
            # Which of a table's rows is nearest is chance, and all words of its question are a row's own or a rule's.
            lead=None if candidate.row else in_unit(lead / _FULL_LEAD),
            grounded=None if candidate.row else grounded_share(candidate),
            form=form_of(candidate),
            fact=candidate.fact,
            wording=wording_of(candidate),
        )
        reason = rejection_of(candidate, self._pages.get(candidate.chunk.page, ""))
        if not reason and candidate.row is not None:
            reason = AMBIGUOUS if len(self._row_facts.get(candidate.row, ())) > 1 else ""
        elif not reason and candidate.origin is not Origin.WRITTEN:
            reason = _rejected_by_meaning(relevance, lead)
        if not reason and candidate.origin is Origin.MODEL and score_of(parts) < MIN_MODEL_SCORE:
            reason = DOUBTFUL
        status = FaqStatus.REJECTED if reason else FaqStatus.PENDING
        score = 1.0 if candidate.origin is Origin.WRITTEN and not reason else score_of(parts)
        return ScoredPair(candidate, score, parts, status, reason)


def score_of(parts: ScoreParts) -> float:
    """The weighted mean of the parts that were measured, in 0…1."""
    return mean_of_measured(parts, WEIGHTS)


def form_of(candidate: Candidate) -> float:
    """How well a question is built, in 0…1: of a usual length, and leaving something to be answered.

    A yes/no question counts for less, because its answer is mostly in it; a question that has all of the answer's words
    counts for nothing.
    """
    if candidate.origin is Origin.WRITTEN:
        return 1.0
    score = left_to_answer(candidate)
    if _YES_NO.match(candidate.question):
        score *= 0.6
    return score if len(words(candidate.question)) in _PREFERRED_WORDS else score * ODD_LENGTH


def wording_of(candidate: Candidate) -> float:
    """How well a question is worded, in 0…1, by how likely the model finds it."""
    if candidate.origin is Origin.WRITTEN:
        return 1.0
    if candidate.wording is None:
        return _RULE_WORDING if candidate.origin is Origin.RULE else _UNTOLD_WORDING
    if candidate.origin is Origin.RULE:
        return in_unit(_BUILT_WORDING + candidate.wording.mean / _BUILT_RANGE)
    return in_unit(1 + candidate.wording.mean / _WORDING_RANGE)


def faq_pairs(pairs: Sequence[ScoredPair], *, collection_id: str, document: str, model: str) -> Iterator[FaqPair]:
    """Curated pairs as they are stored.

    Args:
        pairs: what `Curator.curate` gave.
        collection_id: where they belong.
        document: the document's name.
        model: the chat model's name; pairs that no model worded say how they came about instead.
    """
    for pair in pairs:
        candidate = pair.candidate
        yield FaqPair(
            id=new_id(),
            collection_id=collection_id,
            question=candidate.question,
            answer=candidate.answer,
            quote=candidate.quote,
            document_id=candidate.chunk.document_id,
            document=document,
            page=candidate.chunk.page,
            heading=" › ".join(candidate.chunk.heading_path),
            score=round(pair.score, 4),
            status=pair.status,
            reason=pair.reason,
            model=model if candidate.origin in (Origin.MODEL, Origin.TRANSLATED) else candidate.origin.value,
            created_at=utc_now(),
            chunk_id=candidate.chunk.id,
            parts={name: round(value, 4) for name, value in asdict(pair.parts).items() if value is not None},
            origin=candidate.origin.value,
        )


def _row_facts(chunks: Sequence[Chunk]) -> dict[RowFact, set[str]]:
    """What the rows of a document tell: the different values of each fact."""
    facts: dict[RowFact, set[str]] = {}
    for chunk in chunks:
        if ": " in chunk.text:
            for row in filter(is_row, sentences_of(chunk)):
                for fact, value in fact_cells(row, chunk.heading_path):
                    facts.setdefault(fact, set()).add(" ".join(value.split()).casefold())
    return facts


def _rejected_by_meaning(relevance: float, lead: float) -> str:
    if relevance < MIN_RELEVANCE:
        return "Question and quote are not about the same thing."
    return "Another sentence of the document fits the question better." if lead < MIN_LEAD else ""


def _fact_of(pair: ScoredPair) -> tuple[str, str]:
    return _key_of(pair.candidate)


def _key_of(candidate: Candidate) -> tuple[str, str]:
    return candidate.chunk.id, candidate.key or candidate.quote
