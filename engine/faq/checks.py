"""The hard checks: what a pair must satisfy to be shown for review, each with a plain reason.

All of them look at text alone, so they hold whatever a model wrote.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from engine.faq import translated_checks as translated
from engine.faq.answerable import defined, fits_kind, leaves_an_answer, leaves_an_object
from engine.faq.language import language_of
from engine.faq.prompts import EXAMPLES
from engine.faq.types import Candidate, Origin
from engine.faq.words import STOP_WORDS, content_stems, names, numbers, words
from engine.ingest import locate_quote

MIN_GROUNDED = 0.6
"""Least share of a question's content words that quote and headings have. Below it, on passages of encyclopedia articles and
manuals, the default model's questions were about something else more often than not."""

MIN_WORDING, MIN_WORD = -1.1, -5.5
"""Least log-probability, in nats, of a question's words in the mean, and of each. Measured on the default model and the even
articles of XQuAD, and read by hand: what is below was mostly bent out of shape by its grammar, or senseless."""
MIN_BUILT_WORDING, MIN_BUILT_WORD = -1.3, -10.0
"""The same for questions that transform the sentence: they have words that the model would not choose, and are mostly right all
the same. Below, the sentence was mostly cut in the wrong place."""
_NOT_WHOLE = "The question is not a whole sentence."
DOUBTFUL = "The wording of the question is doubtful."

_MIN_WORDS, _MAX_WORDS, _MAX_CHARACTERS = 3, 30, 220
_OPENING = re.compile(
    r"(?:(?:for|in|on|at|by|to|from|with|within|after|until|since|under|of|before|up to)\s)?"
    r"(?:what|how|when|where|who|whom|whose|which|why)\b"
    r"|(?:can|could|is|are|was|were|does|do|did|must|may|might|will|would|should|shall|has|have|am)\b",
    re.IGNORECASE,
)
_TWO_QUESTIONS = re.compile(
    r"\b(?:and|or) (?:what|who|when|where|why|how|which) (?:is|are|was|were|do|does|did|has|have|can)\b", re.IGNORECASE
)
_POINTS_AT_TEXT = re.compile(
    r"\b(?:this|the|that|above|following)\s(?:section|passage|text|sentence|paragraph|document|page|article|context|chapter|statement|excerpt)\b"
    r"|\baccording to (?:the|this)\b|\bmentioned\b|\b(?:topic|sentence)\s?:",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"\b(?:it|its|they|them|their|he|him|his|she|her|this|these|those|such(?! as))\b", re.IGNORECASE)
_BROKEN = re.compile(
    r"\b(?:and|or|of|the|a|an|after|before|if|not|than|as|is|are|was|were|my|your)\?$|\b(?:do|does|did)\b.*\bbe\b"
    r"|\b(?:in|on|at|by|for|of|from|to|with|than|the|a|an)\s(?:in|on|at|by|for|of|to|with|is|are|was|were)\b"
    r"|\b(?:the|an?)\s(?:the|an?)\b",
    re.IGNORECASE,
)
"""Signs of a sentence that a small model lost its way in: a dangling word, "does … be", two prepositions in a row."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]|<\|")
_LEAST_ENGLISH = 10
_SMALL_WORD = 3
"""Letters that words have which say nothing by themselves, in most languages."""
_MAY_BE_DOUBLED = frozenset({"nous", "vous"})


def rejection_of(candidate: Candidate, page_text: str) -> str:
    """Why a candidate cannot become a pair, in a sentence; empty where nothing speaks against it.

    Pairs that the document has word for word need only be on the page. The answer of a pair in another language than its quote
    cannot be a part of it; what else can be compared is.
    """
    if candidate.translation is not None:
        checks = (*_TRANSLATED, *_TRANSLATED_INTO_ENGLISH) if candidate.translation.target == "en" else _TRANSLATED
        return next((reason for check in checks if (reason := check(candidate, page_text))), "")
    further = _ROW_QUESTION if candidate.row is not None else _QUESTION if candidate.english else _FOREIGN_QUESTION
    checks = _PROOF if candidate.origin is Origin.WRITTEN else (*_PROOF, *further)
    return next((reason for check in checks if (reason := check(candidate, page_text))), "")


def grounded_share(candidate: Candidate) -> float:
    """The share of the question's content words that the quote or the headings have, in 0…1."""
    asked = content_stems(candidate.question)
    known = content_stems(" ".join((candidate.quote, *candidate.chunk.heading_path)))
    return len(asked & known) / len(asked) if asked else 0.0


def _quote_on_page(candidate: Candidate, page_text: str) -> str:
    return "" if locate_quote(page_text, candidate.quote) else "The quote is not on the page."


def _answer_in_quote(candidate: Candidate, _page_text: str) -> str:
    if not candidate.answer.strip() or locate_quote(candidate.quote, candidate.answer) is None:
        return "The answer is not a part of the quote."
    # A span may still cut a number in two.
    return "" if numbers(candidate.answer) <= numbers(candidate.quote) else "The answer has a number that the quote lacks."


def _shape(candidate: Candidate, _page_text: str) -> str:
    question = candidate.question
    if question.count("?") > 1 or _TWO_QUESTIONS.search(question) or _CONTROL.search(question):
        return "This is not one plain question."
    if not question.endswith("?") or not _OPENING.match(question):
        return "This is not one plain question."
    if not _MIN_WORDS <= len(words(question)) <= _MAX_WORDS or len(question) > _MAX_CHARACTERS:
        return "The question is too short or too long."
    return ""


def _foreign_shape(candidate: Candidate, _page_text: str) -> str:
    question = candidate.question
    if len(re.findall("[?？؟]", question)) != 1 or question[-1] not in "?？؟" or _CONTROL.search(question):
        return "This is not one plain question."
    return "" if len(question) <= _MAX_CHARACTERS else "The question is too short or too long."


def _foreign_language(candidate: Candidate, _page_text: str) -> str:
    """Whether question and quote are of one language, where both can be told."""
    asked, told = language_of([candidate.question]), language_of([candidate.quote])
    return "" if not asked or not told or asked == told else "The question is in another language than the quote."


def _well_worded(candidate: Candidate, _page_text: str) -> str:
    wording = candidate.wording
    mean, least = (MIN_BUILT_WORDING, MIN_BUILT_WORD) if candidate.origin is Origin.RULE else (MIN_WORDING, MIN_WORD)
    return DOUBTFUL if wording is not None and (wording.mean < mean or wording.least < least) else ""


def _nothing_added(candidate: Candidate, _page_text: str) -> str:
    known = " ".join((candidate.quote, *candidate.chunk.heading_path))
    return "" if numbers(candidate.question) <= numbers(known) else "The question has a number that the quote lacks."


def _paired(candidate: Candidate, _page_text: str) -> str:
    question = candidate.question
    return "" if question.count("(") == question.count(")") and question.count('"') % 2 == 0 else _NOT_WHOLE


def _grammatical(candidate: Candidate, _page_text: str) -> str:
    return _NOT_WHOLE if _BROKEN.search(candidate.question) else ""


def _stands_alone(candidate: Candidate, _page_text: str) -> str:
    question = candidate.question
    if _POINTS_AT_TEXT.search(question):
        return "The question points at the text instead of standing alone."
    pronoun = _PRONOUN.search(question)
    # A pronoun is fine once the question has said what it is about.
    if pronoun and len(content_stems(question[: pronoun.start()])) < 2:
        return "The question does not say what it is about."
    return "" if content_stems(question) else "The question does not say what it is about."


def _no_repetition(candidate: Candidate, _page_text: str) -> str:
    asked = [word.lower() for word in words(candidate.question)]
    content = [word for word in asked if word not in STOP_WORDS]
    pairs = list(pairwise(asked))
    telling = [pair for pair in pairs if not STOP_WORDS.issuperset(pair)]  # "of the" may come twice
    doubled = any(left == right for left, right in pairs)
    if doubled or any(content.count(word) > 2 for word in content) or any(telling.count(pair) > 1 for pair in telling):
        return "The question repeats itself."
    return ""


def _no_foreign_repetition(candidate: Candidate, _page_text: str) -> str:
    """The same without a list of small words: "de la" may stand in a question as often as it likes, and "nous nous" as well."""
    asked = [word.lower() for word in words(candidate.question)]
    long = [word for word in asked if len(word) > _SMALL_WORD]
    pairs = list(pairwise(asked))
    doubled = any(left == right and left not in _MAY_BE_DOUBLED for left, right in pairs)
    telling = [pair for pair in pairs if max(map(len, pair)) > _SMALL_WORD]
    triples = list(zip(asked, asked[1:], asked[2:], strict=False))
    again = len(telling) > len(set(telling)) or len(triples) > len(set(triples))
    return "The question repeats itself." if doubled or again or any(long.count(word) > 2 for word in long) else ""


def _not_an_example(candidate: Candidate, _page_text: str) -> str:
    asked = words(candidate.question.lower())
    copied = any(asked == words(example.lower()) for _, _, example in EXAMPLES)
    return "The question is copied from the instructions." if copied else ""


def _nothing_invented(candidate: Candidate, _page_text: str) -> str:
    known = " ".join((candidate.quote, *candidate.chunk.heading_path))
    if not numbers(candidate.question) <= numbers(known):
        return "The question has a number that the quote lacks."
    known_words = {word.lower() for word in words(f"{known} {candidate.chunk.text}")}
    if any(name.lower() not in known_words for name in names(candidate.question)):
        return "The question has a name that the passage lacks."
    if grounded_share(candidate) < MIN_GROUNDED:
        return "The question is about something that the quote does not say."
    return ""


def _same_language(candidate: Candidate, _page_text: str) -> str:
    """The rules, the examples and the default model know English only."""
    quoted = [word.lower() for word in words(candidate.quote)]
    english = any(word in STOP_WORDS for word in quoted)
    return (
        "The quote does not seem to be English."
        if len(quoted) >= _LEAST_ENGLISH and not english and ": " not in candidate.quote
        else ""
    )


_Check = Callable[[Candidate, str], str]
_PROOF: tuple[_Check, ...] = (_quote_on_page, _answer_in_quote)
_QUESTION: tuple[_Check, ...] = (
    _shape,
    _paired,
    _grammatical,
    fits_kind,
    leaves_an_answer,
    leaves_an_object,
    defined,
    _stands_alone,
    _no_repetition,
    _not_an_example,
    _nothing_invented,
    _same_language,
    _well_worded,
)
_FOREIGN_QUESTION: tuple[_Check, ...] = (_foreign_shape, _foreign_language, _no_foreign_repetition, _nothing_added)
_ROW_QUESTION: tuple[_Check, ...] = (_shape, _paired, _no_repetition, _nothing_added)
"""A question to a row is one of a few patterns around the row's own words: what it asks for is in the row."""
_TRANSLATED: tuple[_Check, ...] = (
    _quote_on_page,
    translated.plain_texts,
    translated.in_chosen_language,
    translated.addresses_held,
    translated.figures_held,
    translated.nothing_leaked,
    translated.no_orders,
    translated.says_something_once,
    translated.does_not_point_at_text,
)
_TRANSLATED_INTO_ENGLISH: tuple[_Check, ...] = (_shape, _paired, _grammatical, _stands_alone, _no_repetition)
