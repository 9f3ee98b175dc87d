"""What can be checked of a pair that is in another language than its quote, each check with a plain reason.

None of them knows what the words mean. They make sure that the pair is in the chosen language, has no figure, address or code
that the quote lacks, is no longer than what it says can be, and is nothing that the instructions or an order in the text made.
"""

from __future__ import annotations

import re
from functools import cache

from engine.faq.figures_across import strange_figures
from engine.faq.language import LANGUAGES, is_in
from engine.faq.translating import INSTRUCTION, MAX_ANSWER, MAX_QUESTION
from engine.faq.types import Candidate
from engine.faq.words import words

_LEAST_QUESTION = 6
_ROOM, _MOST_GROWTH, _MOST_GROWTH_OF_HAN = 60, 3, 8
"""An answer may have this many characters, and so many times those of the quote; Chinese and Japanese take fewer characters."""
_HAN = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
_ENDS_ASKING = {"el": ";\u037e?", "ar": "؟?"}
_MARKS = "?？؟\u037e"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|<\|")
_ADDRESS = re.compile(
    r"[^\s<>()\"']*(?:@|://)[^\s<>()\"']*|\bwww\.[^\s<>()\"']+|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}\b(?:/[^\s<>()\"']*)?",
    re.IGNORECASE | re.ASCII,
)
_CODE = re.compile(r"(?<![\w-])[A-Za-z]+-?\d[A-Za-z0-9-]*")
_LEAKED_RUN = 5
"""So many words of the instructions in a row are no chance."""
_REPEATED_RUN = 4
_LEAST_COPIED, _COPIED_SHARE = 3, 0.75
"""So many words in small letters, and such a share of them, tell a copy from an answer that is a name."""
_POINTS_AT_TEXT = re.compile(
    r"\b(?:laut (?:dem |diesem )?(?:text|abschnitt|dokument)"
    r"|(?:in|nach) diese[mnr]? (?:text|abschnitt|dokument|satz|passage|seite)"
    r"|(?:dans|selon) (?:ce|cet|cette|le) (?:texte|passage|document|section|paragraphe)"
    r"|(?:en|según) (?:este|esta|el) (?:texto|pasaje|documento|sección|párrafo)"
    r"|(?:in|secondo) (?:questo|questa|il) (?:testo|brano|documento|sezione|paragrafo)"
    r"|(?:neste|segundo o|de acordo com o) (?:texto|documento|parágrafo|trecho)"
    r"|(?:in deze|volgens de) (?:tekst|passage|paragraaf))\b",
    re.IGNORECASE,
)
_ORDERS = re.compile(
    r"<\||\bsystem prompt\b|\byou are now\b|\bas an ai\b|\bjailbreak\b"
    r"|\b(?:ignore|disregard|forget)\b.{0,40}\b(?:instructions?|prompts?|rules|above|previous|everything)\b"
    r"|\b(?:ignorier\w*|vergiss|missachte)\b.{0,40}\b(?:anweisung\w*|anleitung\w*|regeln|obige\w*|vorige\w*|alles)\b"
    r"|\b(?:ignore[zr]?|oublie[zr]?)\b.{0,40}\b(?:instructions|consignes|règles|précédent\w*|ci-dessus)\b"
    r"|\b(?:ignor[ae]|olvid[ae]|dimentica|esqueça)\b.{0,40}\b(?:instruc\w+|istruzion\w+|instruç\w+|regl\w+|anterior\w*|precedent\w*)\b"
    r"|\b(?:answer|reply|respond|write|output|print)\b.{0,30}\b(?:instead|only with|exactly|the following)\b",
    re.IGNORECASE | re.DOTALL,
)


def plain_texts(candidate: Candidate, _page_text: str) -> str:
    """Whether question and answer are plain texts of bounded length, the question one question."""
    question, answer = candidate.question, candidate.answer
    if _CONTROL.search(question) or _CONTROL.search(answer):
        return "Question or answer has characters that are no text."
    if not _LEAST_QUESTION <= len(question) <= MAX_QUESTION:
        return "The question is too short or too long."
    ends = _ENDS_ASKING.get(candidate.translated.target, "?？")
    if question[-1] not in ends or sum(question.count(mark) for mark in _MARKS) > 1:
        return "This is not one plain question."
    if not any(character.isalnum() for character in answer) or answer[-1] in _MARKS:
        return "The answer does not say anything."
    growth = _MOST_GROWTH_OF_HAN if _HAN.search(candidate.quote) else _MOST_GROWTH
    return (
        "The answer says more than the quote." if len(answer) > min(MAX_ANSWER, _ROOM + growth * len(candidate.quote)) else ""
    )


def in_chosen_language(candidate: Candidate, _page_text: str) -> str:
    """Whether question and answer are of the chosen language, as far as that can be told."""
    target, question, answer = candidate.translated.target, candidate.question, candidate.answer
    if any(is_in(text, target) is False for text in (question, answer, f"{question} {answer}")):
        return f"Question or answer is not in {LANGUAGES.get(target, target)}."
    return "The answer is not translated." if is_in(answer, target) is not True and _copied(candidate) else ""


def _copied(candidate: Candidate) -> bool:
    """Whether an answer mostly has the words of the quote."""
    known = set(words(candidate.quote.lower()))
    said = [word for word in words(candidate.answer) if word.isalpha() and word.islower()]
    return len(said) >= _LEAST_COPIED and sum(word in known for word in said) >= _COPIED_SHARE * len(said)


def figures_held(candidate: Candidate, _page_text: str) -> str:
    """Whether the quote has every number, date and time of the question and the answer, in whatever form."""
    source, target = candidate.translated.source, candidate.translated.target
    for name, text in (("answer", candidate.answer), ("question", candidate.question)):
        strange = strange_figures(text, target, candidate.quote, source)
        if strange:
            return f"The {name} has a number that the quote lacks: {strange[0]}."
    return ""


def addresses_held(candidate: Candidate, _page_text: str) -> str:
    """Whether the quote has every web address, e-mail address and code such as "XK-40" of the question and the answer."""
    known = f"{candidate.quote} {' '.join(candidate.chunk.heading_path)}".casefold()
    said = f"{candidate.question} {candidate.answer}"
    strange = [
        text for pattern in (_ADDRESS, _CODE) for text in pattern.findall(said) if text.strip(".,;:").casefold() not in known
    ]
    return f"The quote does not have {strange[0]}." if strange else ""


def nothing_leaked(candidate: Candidate, _page_text: str) -> str:
    """Whether question and answer are free of the instructions' words."""
    said = _runs(f"{candidate.question} {candidate.answer}", _LEAKED_RUN)
    leaked = said & _instruction_runs(candidate.translated.target) - _runs(candidate.quote, _LEAKED_RUN)
    return "Question or answer is copied from the instructions." if leaked else ""


def no_orders(candidate: Candidate, _page_text: str) -> str:
    """Whether the quote is free of orders to the model: nobody could tell an answer from obedience."""
    heading = candidate.chunk.heading_path[-1] if candidate.chunk.heading_path else ""
    return "The text tells a model what to write." if _ORDERS.search(f"{heading}\n{candidate.quote}") else ""


def says_something_once(candidate: Candidate, _page_text: str) -> str:
    """Whether the answer is another text than the question, and neither goes round in circles."""
    question, answer = ([word.casefold() for word in words(text)] for text in (candidate.question, candidate.answer))
    if question == answer:
        return "The answer only repeats the question."
    for said in (question, answer):
        runs = [tuple(said[at : at + _REPEATED_RUN]) for at in range(len(said) - _REPEATED_RUN + 1)]
        if len(runs) > len(set(runs)):
            return "Question or answer repeats itself."
    return ""


def does_not_point_at_text(candidate: Candidate, _page_text: str) -> str:
    """Whether the question is free of "in diesem Text" and the like; English has more such checks."""
    return "The question points at the text instead of standing alone." if _POINTS_AT_TEXT.search(candidate.question) else ""


@cache
def _instruction_runs(target: str) -> frozenset[tuple[str, ...]]:
    return _runs(INSTRUCTION.format(language=LANGUAGES.get(target, target)), _LEAKED_RUN)


def _runs(text: str, length: int) -> frozenset[tuple[str, ...]]:
    found = [word.casefold() for word in words(text)]
    return frozenset(tuple(found[at : at + length]) for at in range(len(found) - length + 1))
