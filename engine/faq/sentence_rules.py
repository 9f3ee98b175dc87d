"""Questions to plain English sentences, by rule: no model, no parser, no word that the sentence lacks.

A sentence is cut at its auxiliary verb (or at one of a few common verbs) into subject, verb and rest. Where the rest holds a
time, a price, a number or a reason, that is what is asked for, and it is left out of the question; otherwise a modal verb
gives a yes/no question and a definition gives "What is …?". What does not fit is left to the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engine.faq.words import word_set

AUXILIARIES = "is|are|was|were|can|could|must|may|might|will|would|shall|should"
_MODALS = frozenset({"can", "could", "must", "may", "should", "shall"})
_SPLIT = re.compile(rf"(?P<subject>(?:[^,;:]|:(?=\d)){{2,70}}?)\s(?P<verb>{AUXILIARIES})\s(?P<rest>.+)", re.DOTALL)
# Verbs whose third person and whose plural are hardly ever nouns; of the last line only the third person.
_BOTH_FORMS = word_set("take last cover include contain require start begin need receive expire apply cost provide")
_THIRD_ONLY = word_set(
    "hold weigh open close end offer support measure run produce use work allow leave arrive answer pay keep give return stay"
)
PLAIN_VERBS = {verb: verb for verb in _BOTH_FORMS} | {
    (f"{verb[:-1]}ies" if verb.endswith("y") else f"{verb}s"): verb for verb in _BOTH_FORMS | _THIRD_ONLY
}
_PLAIN = re.compile(rf"(?P<subject>(?:[^,;:]|:(?=\d)){{2,60}}?)\s(?P<verb>{'|'.join(PLAIN_VERBS)})\s(?P<rest>.+)", re.DOTALL)
_BAD_SUBJECT = re.compile(
    r"\b(?:that|which|who|whose|if|when|while|because|since|although|where|and then|there|to|not|do|does|did|has|have|had)\b"
    r"|\band$|\s(?:it|they|he|she|we|you)$|^(?:in|on|at|by|for|with|after)\b|^(?:the|a|an|our|your|all|any|no|each|every)$",
    re.IGNORECASE,
)
# After such a word the "verb" before was a noun: "free returns are possible".
_BAD_REST = re.compile(rf"(?:{AUXILIARIES}|have|has|had|and|or|of|which|that|who)\b", re.IGNORECASE)
CLAUSE_END = re.compile(
    r"[,;(–—]|:(?!\d)| - "
    r"|\s(?:but|because|while|whereas|although|so that|which|who|and (?:is|are|was|were|can|must|may|will))\s"
)
_SPELLED = "two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|sixty|ninety"
_NUMBER = rf"(?:\d[\d.,]*(?:\s?(?:to|or|-|–)\s?\d[\d.,]*)?|{_SPELLED})"
_PERIOD = r"(?:(?:working|business|calendar)\s)?(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?)"
_CLOCK = r"(?:\d{1,2}[:.]\d{2}|\d{1,2}\s?(?:am|pm|a\.m\.|p\.m\.|o'clock)|noon|midnight)"
_DAY = r"(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday|weekday|weekend)s?"
_MONTH = r"(?:january|february|march|april|may|june|july|august|september|october|november|december)"
_MONEY = r"(?:[$€£¥]\s?\d[\d.,]*|\d[\d.,]*\s?(?:eur|euros?|usd|dollars?|gbp|pounds?|chf|[$€£¥]))"
_SAME_DAY = r"(?:on\s)?the\s(?:same|next|following)\s(?:(?:working|business)\s)?day"

# What can be asked for: the phrase that ends a clause, and the words that ask for it. `{unit}` is the phrase's own unit.
_PHRASES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(rf"\s(?P<prep>within|after|for|in)\s(?:the\sfirst\s)?{_NUMBER}\s(?P<unit>{_PERIOD})\b.*", re.IGNORECASE),
        "{Prep} how many {unit}",
    ),
    (re.compile(rf"(?<!\bof)(?<!\bfor)\s(?:every|each)\s(?:{_NUMBER}\s)?(?:{_PERIOD}|{_DAY})\b.*", re.IGNORECASE), "How often"),
    (re.compile(rf"\s(?:once|twice|{_NUMBER}\stimes)\s(?:a|per|every)\s\w+.*", re.IGNORECASE), "How often"),
    (re.compile(rf"\s(?:at|from|until|before|by|between)\s(?:about\s)?{_CLOCK}.*", re.IGNORECASE), "When"),
    (re.compile(rf"\s(?:(?:on|from|until)\s{_DAY}|{_SAME_DAY})\b.*", re.IGNORECASE), "When"),
    (
        re.compile(rf"\s(?:on|in|from|until|by|since|before|after)\s(?:\d{{1,2}}\s)?{_MONTH}\b.*", re.IGNORECASE),
        "When",
    ),
    (re.compile(r"\s(?P<prep>in|since|until)\s(?:1[0-9]|20)\d\d(?:\s.*)?$", re.IGNORECASE), "{Prep} which year"),
    (re.compile(r"\sby\s[a-z]+ing\b.*", re.IGNORECASE), "How"),
)
_AMOUNT = re.compile(
    rf"(?:(?:about|around|up\sto|at\sleast|at\smost|exactly|only)\s)*(?:(?P<money>{_MONEY})|{_NUMBER}\s(?P<unit>(?:{_PERIOD}|[a-z]+)))\b",
    re.IGNORECASE,
)
_NO_OBJECT = re.compile(
    rf"(?:(?:on|at|from|in|for|to|until|with|every|each|by|as)\s|(?:place|part|effect|{_DAY})\b)", re.IGNORECASE
)
_REASON = re.compile(r"\sbecause\s.+", re.IGNORECASE)
_SUPPOSED = re.compile(r"(?:may|could) (?:not )?(?:well )?(?:be|have)\b", re.IGNORECASE)
"""Says that something is possible, not that it is permitted: nobody asks for that."""
_PERSONS = {
    "i": "you",
    "you": "I",
    "your": "my",
    "yours": "mine",
    "we": "you",
    "our": "your",
    "us": "you",
    "yourself": "myself",
}
_OBJECT_YOU = re.compile(r"\b(to|for|with|from|by|at|on|of|about|give|gives|send|tell|help) you\b")
_DETERMINERS = word_set("the a an all any every each our your my its no some most both orders customers members")


@dataclass(frozen=True, slots=True)
class _Clause:
    subject: str
    verb: str
    rest: str
    auxiliary: str
    """The verb that goes before the subject in a question."""
    main: str
    """What follows the subject: empty, or a plain verb in its base form."""


def sentence_questions(sentence: str, context: str = "") -> Iterator[str]:
    """Questions that the sentence answers, the most telling first; none where no rule fits.

    Args:
        sentence: one sentence, with its full stop.
        context: the text around it, which tells names from words that are only capitalised as first of a sentence.
    """
    clause = _split(sentence.strip().rstrip(".!"))
    if clause is None:
        return
    subject = _turned(lowered(clause.subject, context))
    for asks, rest in _asked(clause):
        verb = {"are": "am"}.get(clause.auxiliary, clause.auxiliary) if subject == "I" else clause.auxiliary
        parts = [asks, verb, subject, clause.main, _turned(rest)]
        question = " ".join(part for part in parts if part)
        yield question[0].upper() + question[1:] + "?"


def _split(sentence: str) -> _Clause | None:
    """The first clause of a sentence, cut at whichever verb comes first; None where it cannot be told."""
    found = [match for match in (_SPLIT.fullmatch(sentence), _PLAIN.fullmatch(sentence)) if match]
    match = min(found, key=lambda match: match.start("verb"), default=None)
    if match is None or _BAD_SUBJECT.search(match["subject"]) or _BAD_REST.match(match["rest"]):
        return None
    base = PLAIN_VERBS.get(match["verb"])
    if base is None:
        return _Clause(match["subject"], match["verb"], match["rest"], match["verb"], "")
    return _Clause(match["subject"], match["verb"], match["rest"], "do" if match["verb"] == base else "does", base)


def _asked(clause: _Clause) -> Iterator[tuple[str, str]]:
    """What can be asked of a clause: the question's first words, and what is left of the rest."""
    reason = _REASON.search(clause.rest)
    if reason and not CLAUSE_END.search(clause.rest[: reason.start()]):
        yield "Why", clause.rest[: reason.start()]
    first = CLAUSE_END.split(clause.rest, maxsplit=1)[0].strip()
    yield from _amount(clause, first)
    if not clause.rest.lower().startswith(("not ", "no ")):
        yield from _phrase(f" {first}")
    yield from _plain(clause, first)


def _phrase(first: str) -> Iterator[tuple[str, str]]:
    """The question for the earliest phrase that can be asked for, which takes with it all that follows."""
    found = [(match, asks) for pattern, asks in _PHRASES if (match := pattern.search(first))]
    if found:
        match, asks = min(found, key=lambda pair: pair[0].start())
        named = match.groupdict()
        yield asks.format(Prep=(named.get("prep") or "").capitalize(), unit=named.get("unit")), first[: match.start()].strip()


def _amount(clause: _Clause, first: str) -> Iterator[tuple[str, str]]:
    """How much or how many, where a number follows the plain verb, or a verb after a modal one ("can cover 36 months")."""
    modal = clause.auxiliary in _MODALS
    verb, _, following = first.partition(" ") if modal else (clause.main, "", first)
    match = _AMOUNT.match(following)
    if match is None or not verb:
        return
    left = verb if modal else ""
    if match["money"] or verb in {"cost", "weigh"}:
        yield "How much", left
    elif verb in {"take", "last"}:
        yield "How long", left
    else:
        yield f"How many {match['unit']}", left


def _plain(clause: _Clause, first: str) -> Iterator[tuple[str, str]]:
    """Yes/no questions for modal verbs, "What is …" for definitions, "What does … cover" for plain verbs."""
    if clause.auxiliary in _MODALS:
        if not _SUPPOSED.match(f"{clause.auxiliary} {first}"):
            yield "", first
        return
    defines = clause.auxiliary in {"is", "are"} and re.match(r"(?:a|an|the|one of)\s", first)
    has_object = clause.main and not _AMOUNT.match(first) and not _NO_OBJECT.match(first)
    if defines or has_object:
        yield "What", ""


def lowered(subject: str, context: str) -> str:
    """A subject within a sentence: its first word in lower case unless it is a name."""
    first, _, others = subject.partition(" ")
    return f"{first.lower()} {others}".strip() if is_ordinary(subject, context) else subject


def is_ordinary(subject: str, context: str) -> bool:
    """Whether a sentence that begins with this subject has its first word in capitals for that reason alone.

    A name is a word that the text has capitalised within a sentence, or that stands alone or before another capital.
    """
    first, _, others = subject.partition(" ")
    if first == "I" or (len(first) > 1 and not first[1:].islower()):
        return False
    word = first.removesuffix("'s").removesuffix("’s")
    known = first.lower() in _DETERMINERS | set(_PERSONS) or re.search(rf"\b{re.escape(word.lower())}\b", context)
    named = re.search(rf"[a-z,] {re.escape(word)}\b", context)
    ordinary = others[:1].islower() or (not others and first.endswith("s"))
    return bool(known or (ordinary and not named))


def _turned(text: str) -> str:
    """The text as the person who asks would say it: "you" becomes "I" or "me", "our" becomes "your"."""
    turned = _OBJECT_YOU.sub(r"\1 me", text)
    return " ".join(_PERSONS.get(word.lower(), word) for word in turned.split())
