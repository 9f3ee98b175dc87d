"""The scores of pairs that are in another language than their quote."""

from __future__ import annotations

from dataclasses import dataclass

from engine.faq.figures_across import READABLE
from engine.faq.language import is_in
from engine.faq.scores import ODD_LENGTH, in_unit, left_to_answer, mean_of_measured
from engine.faq.types import Candidate, TranslatedParts
from engine.faq.words import words

MIN_MEANING = 0.4
"""Least cosine of quote and answer, and of quote and question, where the encoder knows both languages."""
NOT_MEANT = "The answer does not say what the quote says."
UNCHECKED = "Nobody has checked that the answer says what the quote says: they are in different languages."
UNREAD_NUMBERS = "Nor are numbers in words compared."

WEIGHTS = {"meaning": 0.3, "language": 0.2, "form": 0.2, "fact": 0.1, "relevance": 0.15, "lead": 0.05}
"""What each part counts for, by hand: without an encoder for both languages a score stays below 0.65, so that nobody who
approves by score approves what was not compared."""

_PREFERRED_WORDS = range(3, 26)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an encoder that knows both languages finds: cosines of the quote with answer and question, and its lead in 0…1."""

    answer: float
    question: float
    lead: float


def parts_of(candidate: Candidate, meaning: Meaning | None) -> TranslatedParts:
    """What the score of a pair is made of. `meaning` is None where the encoder does not know both languages."""
    told = is_in(f"{candidate.question} {candidate.answer}", candidate.translated.target)
    return TranslatedParts(
        meaning=in_unit(meaning.answer) if meaning else 0.0,
        language=1.0 if told else 0.5 if told is None else 0.0,
        form=_form(candidate),
        fact=candidate.fact,
        relevance=in_unit(meaning.question) if meaning else None,
        lead=meaning.lead if meaning else None,
    )


def score_of_translated(parts: TranslatedParts) -> float:
    """The weighted mean of the parts that were measured, in 0…1."""
    return mean_of_measured(parts, WEIGHTS)


def rejected_by_meaning(meaning: Meaning | None) -> str:
    """Why a pair cannot mean what its quote says; empty where nothing speaks against it, or where nothing was measured."""
    return NOT_MEANT if meaning is not None and min(meaning.answer, meaning.question) < MIN_MEANING else ""


def remark_of(candidate: Candidate, meaning: Meaning | None) -> str:
    """What a reviewer should know of a pair that passes all checks."""
    translation = candidate.translated
    read = translation.target in READABLE and translation.source in READABLE
    remarks = ("" if meaning else UNCHECKED, "" if read else UNREAD_NUMBERS)
    return " ".join(remark for remark in remarks if remark)


def _form(candidate: Candidate) -> float:
    """A question of a usual length that does not have its whole answer in it."""
    usual = len(words(candidate.question)) in _PREFERRED_WORDS or not candidate.question.isascii()
    return left_to_answer(candidate) * (1.0 if usual else ODD_LENGTH)
