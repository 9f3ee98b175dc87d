"""Questions to comparisons, whose columns are things and whose rows are what is told of them."""

from __future__ import annotations

from engine.faq import row_words as known
from engine.faq.row_cells import Label, is_count, is_free, is_measure, is_money, is_partial, is_placeholder, is_truth
from engine.faq.row_labels import as_noun, is_known, question_to
from engine.faq.row_places import VENUES
from engine.faq.row_subjects import Subject
from engine.faq.words import word_set, words

_NO_FEATURE = word_set("can could may must has have is are does do will be to not no from with for by")


def comparison_question(label: Label, value: str, subject: Subject) -> str | None:
    """The question to what is told of a thing; None unless it is understood, yes or no, a number of something, or a measure."""
    found = [word.lower() for word in words(label.name)]
    if not found or found[0] in _NO_FEATURE or is_placeholder(value):
        return None
    answers = is_truth(value) or is_partial(value)
    if not answers and known.is_mass(found[-1]) and all(word.replace("-", "").isalpha() for word in found):
        own = _of_what_is_included(as_noun(label.name), value, subject, is_named=is_known(label.name))
        if own is not None:
            return own
    counted = is_count(value) and known.is_plural(found[-1])
    measured = is_measure(value) and len(found) <= 2 and not found[-1].endswith(("ed", "ing", "s"))
    told = found[-1] not in known.PERMITTED | known.STATES and (is_known(label.name) or counted or measured)
    return question_to(label, value, subject) if answers or told else None


def _of_what_is_included(noun: str, value: str, subject: Subject, *, is_named: bool) -> str | None:
    """What something costs there ("parking"), or of which kind it is: "What support does the Basic plan include?"."""
    if (is_money(value) or is_free(value)) and subject.solid:
        return f"How much does {noun} cost {'at' if subject.kind in VENUES else 'with'} {subject.phrase}?"
    in_words = any(map(str.isalpha, value)) and not is_measure(value) and not is_count(value)
    if is_named or not in_words or not subject.solid or subject.kind not in known.INCLUDING:
        return None
    return f"What {noun} {'do' if subject.plural else 'does'} {subject.phrase} include?"
