"""Questions to what a column's name stands for: "How much does … cost?" to a price, "Does … include …?" to a yes or no."""

from __future__ import annotations

import re

from engine.faq import row_words as known
from engine.faq.row_cells import (
    Label,
    is_clock,
    is_count,
    is_free,
    is_moment,
    is_money,
    is_partial,
    is_period,
    is_placeholder,
    is_truth,
)
from engine.faq.row_subjects import Subject
from engine.faq.words import STOP_WORDS, words

_PRICE = re.compile(
    r"(?:(?P<period>monthly|yearly|annual|weekly|daily|hourly|nightly)\s)?(?:price|cost|costs|rate|fare|tariff|charge)s?"
    r"(?:\s(?P<rest>(?:per|for)\s\S.*))?",
    re.IGNORECASE,
)
_PERSON = re.compile(r"[A-Z][\w.'’-]+(?: [A-Z][\w.'’-]+)+")
_ASKS = re.compile(
    r"(?:can|could|is|are|do|does|how|what|when|where|who|which|must|may|has|have|will|should)\s.+", re.IGNORECASE
)
_IT = re.compile(r"\b(?:it|them|this)\b", re.IGNORECASE)
_EXTREME = re.compile(r"(?P<which>max|maximum|min|minimum)\.?\s(?:number of\s|no\.? of\s)?(?P<noun>.+)", re.IGNORECASE)
_NUMBER_OF = re.compile(r"^(?:number|no\.?) of (?P<noun>.+)", re.IGNORECASE)
_UNFIT = re.compile(r"[?!\"“”<>|{}\[\]()=]|(?<!Max)(?<!max)(?<!Min)(?<!min)\.\s")
_MAX_LABEL_WORDS = 6


def question_to(label: Label, value: str, subject: Subject) -> str | None:
    """The question that a cell answers; None where its column's name is not understood or there is nothing in it."""
    name = label.name.strip()
    if is_placeholder(value) or known.NOT_ASKED.fullmatch(name):
        return None
    if name.lower() in known.TO_DO:
        return None if subject.preposition else f"What should I do about {subject.phrase}?"
    if name.endswith("?") or (_ASKS.fullmatch(name) and len(name.split()) > 2):
        return _asked_already(name.rstrip("? "), value, subject)
    if not _is_noun_phrase(name):
        return None
    noun = as_noun(name)
    for form in (_verb, _state, _truth, _trailing, _price, _money, _duration, _hours, _moment, _contact, _count, _special):
        if (found := form(noun, value, subject)) is not None:
            return found or None
    return what_is(noun, subject)


def is_known(name: str) -> bool:
    """Whether a column's name is among those that are understood."""
    found = [word.lower() for word in words(name)]
    return bool(found) and (found[-1] in KNOWN or found[0] in KNOWN or name.lower() in known.TO_DO)


def as_noun(name: str) -> str:
    """A column's name within a sentence: its first word small, and all where all are capitalised, but not "USB" or "iOS"."""
    first, _, others = name.partition(" ")
    found = [known.WRITTEN_OUT.get(first.lower(), first), *others.split()]
    titles = [word[:1].isupper() and (word[1:].islower() or len(word) == 1) for word in found]
    every = len(found) > 1 and all(titles)
    return " ".join(
        word.lower() if plain and (every or not at) else word
        for at, (word, plain) in enumerate(zip(found, titles, strict=True))
    )


def what_is(noun: str, subject: Subject) -> str:
    """The plain question, which fits every noun."""
    return f"What {_be(noun)} the {noun} {_of(noun, subject)}?"


def _is_noun_phrase(name: str) -> bool:
    found = words(name)
    if not found or len(found) > _MAX_LABEL_WORDS or _UNFIT.search(name) or not name[0].isalpha():
        return False
    if found[-1].lower().endswith("ed") and found[-1].lower() not in known.STATES | known.ATTRIBUTES:
        return False  # "last updated"
    trailing = found[-1].lower() in STOP_WORDS - {"time"}
    if trailing and not (len(found) == 2 and found[0].lower() in known.TRAILING):
        return False
    first = found[0].lower()
    return (first not in STOP_WORDS or first in {"time", "own", "has", "with"}) and len(name) > 1


def _asked_already(name: str, value: str, subject: Subject) -> str | None:
    if name.partition(" ")[0].lower() in known.VERBS:
        return _verb(name.lower(), value, subject)
    if not _ASKS.fullmatch(name) or not subject.phrase or subject.phrase.startswith('"'):
        return None
    name = name[0].upper() + name[1:]
    if _IT.search(name):
        phrase = subject.phrase
        if not subject.solid and not subject.plural and " " not in phrase and phrase.istitle():
            phrase = known.with_article(phrase.lower()) if subject.kind not in known.PLACES else phrase
        return _IT.sub(lambda _: phrase, name, count=1) + "?"
    return f"{name} {subject.preposition or 'for'} {subject.phrase}?"


def _verb(noun: str, value: str, subject: Subject) -> str | None:
    first, _, rest = noun.partition(" ")
    verb = known.VERBS.get(first)
    if verb is None:
        return None
    if not subject.solid:
        return ""
    if rest:
        return f"{_do(subject)} {subject.phrase} {verb} {known.with_article(rest)}?" if _answers(value) else ""
    return "" if _answers(value) or verb == "have" else f"What {_do(subject).lower()} {subject.phrase} {verb}?"


def _state(noun: str, value: str, subject: Subject) -> str | None:
    found = noun.split()
    last = found[-1].lower()
    if not (last in known.STATES or last.endswith(known.STATE_ENDINGS)) or not (_answers(value) or last in known.STATES):
        return None
    if len(found) == 1:
        if subject.preposition or subject.phrase.startswith('"') or is_moment(value):
            return ""
        return f"{_be_of(subject).capitalize()} {subject.phrase} {noun}?"
    if not _answers(value):
        return ""
    thing = " ".join(found[:-1])
    preposition = subject.preposition or known.STATE_PREPOSITIONS.get(last, "for")
    return f"{_be(thing).capitalize()} {known.with_article(thing)} {last} {preposition} {subject.phrase}?"


def _truth(noun: str, value: str, subject: Subject) -> str | None:
    if not _answers(value):
        return None
    head = noun.split()[-1]
    if noun in known.PERMITTED:
        return f"{_be(noun).capitalize()} {noun} allowed {subject.preposition or 'in'} {subject.phrase}?"
    if subject.preposition or not subject.solid or subject.kind in known.PLACES:
        be = "Are" if known.is_plural(head) else "Is"
        return f"{be} there {known.with_article(noun)} {subject.preposition or 'for'} {subject.phrase}?"
    verb = "include" if subject.kind in known.INCLUDING else "have"
    return f"{_do(subject)} {subject.phrase} {verb} {known.with_article(noun)}?"


def _trailing(noun: str, value: str, subject: Subject) -> str | None:
    found = noun.split()
    if len(found) != 2 or found[0] not in known.TRAILING or found[1] not in STOP_WORDS:
        return None
    if subject.preposition or not subject.solid:
        return ""
    if found == ["valid", "for"] and is_period(value):
        return f"How long {_be_of(subject)} {subject.phrase} valid?"
    if found[1] == "by" and value.lower().startswith(("not ", "no ", "none")):
        return ""
    asks = "Who" if found[1] == "by" else "What"
    return f"{asks} {_be_of(subject)} {subject.phrase} {noun}?"


def _price(noun: str, value: str, subject: Subject) -> str | None:
    match = _PRICE.fullmatch(noun)
    if match is None or "%" in value or not (is_money(value) or is_free(value) or is_count(value) or "request" in value):
        return None
    if not subject.solid or subject.kind in known.PLACES or noun.startswith("charge"):
        return None
    named = subject.phrase.split()[-1].lower()
    if named in known.FEES | known.PRICES:
        return f"How much {_be_of(subject)} {subject.phrase}?"
    later = known.PER.get((match["period"] or "").lower(), match["rest"] or "")
    return f"How much {_do(subject).lower()} {subject.phrase} cost{' ' + later if later else ''}?"


def _money(noun: str, value: str, subject: Subject) -> str | None:
    head = noun.split()[-1]
    if not (is_money(value) or (is_free(value) and head in known.FEES | known.PRICES | {"entry", "admission"})):
        return None
    named = subject.phrase.split()[-1].lower() if subject.phrase else ""
    if noun in known.FEES and named in known.FEES and subject.solid:
        return f"How much {_be_of(subject)} {subject.phrase}?"
    amount = head in known.FEES | known.PRICES | known.AMOUNTS
    return f"How much {_be(noun)} the {noun} {_of(noun, subject)}?" if amount and head not in known.ATTRIBUTES else None


def _duration(noun: str, value: str, subject: Subject) -> str | None:
    head = noun.split()[-1]
    if head not in known.DURATIONS or not is_period(value):
        return None
    if noun in {"time", "duration"} and subject.solid:
        lasts = noun == "duration" and subject.kind in known.LASTING
        return f"How long {_do(subject).lower()} {subject.phrase} {'last' if lasts else 'take'}?"
    if noun in {"delivery time", "shipping time"} and subject.kind in known.PLACES:
        return f"How long does {noun.split()[0]} to {subject.phrase} take?"
    return f"How long {_be(noun)} the {noun} {_of(noun, subject)}?"


def _hours(noun: str, value: str, subject: Subject) -> str | None:
    if noun.split()[-1] != "hours" and noun not in {"opening times", "open"}:
        return None
    return f"What are the {'opening hours' if noun == 'open' else noun} {subject.preposition or 'of'} {subject.phrase}?"


def _moment(noun: str, value: str, subject: Subject) -> str | None:
    head = noun.split()[-1]
    if subject.preposition and noun in {"opens", "closes"} and is_clock(value):
        return f"When do you {known.MOMENT_VERBS[noun]} {subject.preposition} {subject.phrase}?"
    if not is_moment(value) or subject.preposition:
        return None
    if noun in known.MOMENT_VERBS and subject.solid:
        return f"When {_do(subject).lower()} {subject.phrase} {known.MOMENT_VERBS[noun]}?"
    if noun == "date" and subject.kind == "event":
        return f"When is {subject.phrase}?"
    if noun == "time" and subject.solid and is_clock(value):
        return f"At what time {_be_of(subject)} {subject.phrase}?"
    if noun in {"day", "days"} and subject.solid:
        return f"On which {noun} {_be_of(subject)} {subject.phrase}?"
    return f"When {_be(noun)} the {noun} {_of(noun, subject)}?" if head in known.MOMENTS else None


def _contact(noun: str, value: str, subject: Subject) -> str | None:
    head, _, last = noun.lower().rpartition(" ")
    found = known.CONTACTS.get(last.rstrip("."))
    return what_is(f"{head} {found}".strip(), subject) if found else None


def _count(noun: str, value: str, subject: Subject) -> str | None:
    extreme = _EXTREME.fullmatch(noun)
    if extreme and is_count(value):
        which = "minimum" if extreme["which"].lower().startswith("min") else "maximum"
        if known.is_plural(extreme["noun"].split()[-1]):
            return f"What is the {which} number of {extreme['noun']} {subject.preposition or 'for'} {subject.phrase}?"
    counted = _NUMBER_OF.sub(r"\g<noun>", noun)
    if not is_count(value) or not known.is_plural(counted.split()[0]) or counted.split()[-1] in known.PRICES | known.FEES:
        return None
    if subject.preposition or not subject.solid or " " in counted or subject.kind in known.PLACES | known.MASS_KINDS:
        return f"How many {counted} are there {subject.preposition or 'for'} {subject.phrase}?"
    verb = "include" if subject.kind in known.INCLUDING - {"course", "programme", "program", "tour"} else "have"
    return f"How many {counted} {_do(subject).lower()} {subject.phrase} {verb}?"


def _special(noun: str, value: str, subject: Subject) -> str | None:
    head = noun.split()[-1]
    if noun in known.MEANINGS:
        return "" if subject.preposition else f"What does {subject.phrase} mean?"
    if noun in known.NOTES:
        return f"What should I know about {subject.phrase}?" if not subject.preposition else ""
    if noun in known.PLACES_ASKED and subject.kind == "event":
        return f"Where is {subject.phrase}?"
    return f"Who is the {noun} of {subject.phrase}?" if head in known.PERSONS and _PERSON.fullmatch(value) else None


def _answers(value: str) -> bool:
    return is_truth(value) or is_partial(value)


def _of(noun: str, subject: Subject) -> str:
    head = noun.split()[-1]
    own = head in known.ATTRIBUTES | known.CONTACT_NOUNS or head in known.PERSONS
    own = own and subject.kind != head and (head not in known.PRICES or (subject.solid and subject.kind not in known.PLACES))
    return f"{subject.preposition or ('of' if own else 'for')} {subject.phrase}"


def _be(noun: str) -> str:
    before = re.split(r"\s(?:of|per|for|in|to)\s", noun)[0]
    return "are" if known.is_plural(before.split()[-1]) else "is"


def _be_of(subject: Subject) -> str:
    return "are" if subject.plural else "is"


def _do(subject: Subject) -> str:
    return "Do" if subject.plural else "Does"


KNOWN = frozenset(
    {
        *known.PRICES,
        *known.FEES,
        *known.DURATIONS,
        *known.MOMENTS,
        *known.MOMENT_VERBS,
        *known.CONTACTS,
        *known.CONTACT_NOUNS,
        *known.PERSONS,
        *known.ATTRIBUTES,
        *known.PLAIN_LABELS,
        *known.STATES,
        *known.PERMITTED,
    }
)
"""Words that a label which is understood begins or ends with."""
