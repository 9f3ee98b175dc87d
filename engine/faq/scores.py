"""What the scores of all pairs have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from engine.faq.types import Candidate, ScoreParts, TranslatedParts
from engine.faq.words import content_stems

_ENOUGH_NEW = 0.3
"""So large a share of the answer's words that the question lacks counts in full."""
ODD_LENGTH = 0.7
"""What the form of a question counts for that is shorter or longer than usual."""


def mean_of_measured(parts: ScoreParts | TranslatedParts, weights: Mapping[str, float]) -> float:
    """The weighted mean of the parts that were measured (not None), in 0…1.

    Args:
        parts: what the score is made of.
        weights: what each part counts for, by its name.
    """
    measured = {name: value for name, value in asdict(parts).items() if value is not None}
    return float(sum(weights[name] * value for name, value in measured.items()) / sum(weights[name] for name in measured))


def left_to_answer(candidate: Candidate) -> float:
    """How much the answer says that the question does not, in 0…1; 0 where the question has all of its words."""
    asked, answered = content_stems(candidate.question), content_stems(candidate.answer)
    new = len(answered - asked) / len(answered) if answered else 0.0
    return min(1.0, new / _ENOUGH_NEW)


def in_unit(value: float) -> float:
    """The value, or the nearest of 0 and 1."""
    return min(1.0, max(0.0, value))
