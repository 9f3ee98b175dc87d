"""What a row is about, as a noun phrase that a question can be built on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.faq import row_words as known
from engine.faq.row_cells import DAYS, MONTHS, Cell, is_code, is_date, is_figure, is_text, label_of
from engine.faq.words import words

_MAX_SUBJECT = 80
_MAX_WORDS = 10
_CLAUSE = re.compile(r"\b(?:is|are|was|does|do|did|not|cannot|can|can't|doesn't|won't|has|have|will)\b")
_AFTER_HEAD = re.compile(r"\s(?:in|of|for|with|over|abroad|to|from|up|per|on|at|under|without|\().*", re.IGNORECASE)
_TELLS_OF_VALUES = known.PRICES | known.FEES | {"times", "hours"}
_NUMBERED = re.compile(r"^(?:chapter\s|section\s)?[\d.]+[.)]?\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Subject:
    """A noun phrase. `solid`: it can be the subject of a sentence; if not, it is only fit for "for …".

    `preposition` is there where no other fits: "on Monday". `kind` is what sort of thing it is, a singular in lower case.
    """

    phrase: str
    solid: bool = False
    plural: bool = False
    kind: str = ""
    preposition: str = ""


def subject_column(cells: Sequence[Cell]) -> int | None:
    """Which cell says what a row is about: the first, unless that is only a number, a date or a code; None where none is."""
    first = cells[0]
    coded = kind_of(first.label) in known.CODED
    nameless = known.ORDINALS.fullmatch(first.label) or (is_figure(first.value) and not coded)
    if not nameless:
        return 0
    named = [i for i, cell in enumerate(cells) if i and is_text(cell.value)]
    titled = [i for i in named if _head(label_of(cells[i].label).name) in known.NAME_LABELS]
    if titled:
        return titled[0]
    return 0 if re.fullmatch(r"(?:1\d|20)\d\d", first.value) and first.label.lower() == "year" else None


def describe(label: str, value: str, context: str) -> Subject | None:
    """The phrase for what a cell names; None where it is too long or senseless."""
    value = " ".join(value.split()).rstrip(".,:;")
    if (
        not value
        or len(value) > _MAX_SUBJECT
        or len(value.split()) > _MAX_WORDS
        or any(mark in value or mark in label for mark in '?"')
    ):
        return None
    kind = kind_of(label)
    moment = _moment(kind, value)
    if moment is not None:
        return moment
    if _CLAUSE.search(value):
        return Subject(f'"{value}"', kind=kind)
    small = lowered(value, context)
    if kind in known.PLACES:
        return Subject(f"the {value}" if known.WITH_THE.match(value) else value, True, kind=kind)
    if kind == "model" and is_code(value.split()[0]):
        return Subject(f"the {value}", True, kind=kind)
    coded = kind in known.CODED and (any(map(str.isdigit, value)) or is_code(value))
    if coded or kind == "age" or (is_code(value) and kind not in known.COUNT_KINDS):
        return Subject(f"{_kind_words(label, context)} {value}", False, kind=kind)
    if kind in known.MASS_KINDS:
        return Subject(small if _has_kind(value, kind) else f"{small} {kind}", True, kind=kind)
    if kind in known.COUNT_KINDS:
        return _counted(kind, value, small)
    if (kind in {"event", "product"} and value.split()[-1].islower()) or kind == "event":
        return Subject(f"the {value}", True, kind=kind)
    return _thing(value, small, kind)


def kind_of(label: str) -> str:
    """The kind of thing that a column lists, in the singular: "room" of "Room type", "leave" of "Type of leave"."""
    found = [word.lower() for word in words(label_of(label).name)]
    if not found:
        return ""
    if len(found) > 2 and found[0] in known.TYPE_WORDS and found[1] == "of":
        return known.singular(found[-1])
    if len(found) > 1 and found[-1] in known.TYPE_WORDS:
        found.pop()
    return known.singular(found[-1])


def heading_subject(headings: Sequence[str]) -> Subject | None:
    """What a line below these headings is about: the innermost that is not as general as "Technical data"."""
    for heading in reversed(headings):
        name = _NUMBERED.sub("", " ".join(heading.split())).partition(":")[0].strip(" .#-–")
        found = [word.lower() for word in words(name)]
        if not found or all(word in known.GENERIC_HEADINGS for word in found) or found[-1] in _TELLS_OF_VALUES:
            continue
        if len(name) > 50 or len(found) > 6 or "?" in name or _CLAUSE.search(name) or not name[0].isalnum():
            return None
        last = name.split()[-1]
        the = (last.islower() and last.isalpha()) or re.fullmatch(r"[a-z]-[a-z]+", last)
        if the and known.is_plural(last):
            return Subject(name, True, True)
        return Subject(f"the {name}" if the and not known.is_mass(last) else name, True)
    return None


def lowered(value: str, context: str) -> str:
    """A value as it stands within a sentence: its first word is written small where it is surely no name."""
    first, _, others = value.partition(" ")
    if not (first[:1].isupper() and (first[1:].islower() or len(first) == 1)) or any(w[:1].isupper() for w in others.split()):
        return value
    small = first.lower()
    if (known.is_common(first) and (others or known.is_plural(first))) or re.search(
        rf"(?<![\w-]){re.escape(small)}(?![\w-])", context
    ):
        return f"{small} {others}".strip()
    return value


def _moment(kind: str, value: str) -> Subject | None:
    if DAYS.fullmatch(value):
        plain = re.sub(r"\b(?:Weekdays?|Weekends?|Public|Holidays?)\b", lambda match: match.group().lower(), value)
        span = re.search(r"\s(?:to|till|until|through)\s", value)
        return Subject(plain, kind="day", preposition="from" if span else "on")
    if MONTHS.fullmatch(value):
        return Subject(value, kind="month", preposition="from" if " to " in value else "in")
    if kind == "year" and value.isdigit():
        return Subject(value, kind="year", preposition="in")
    return Subject(value, kind="date", preposition="on") if is_date(value) and len(value.split()) <= 3 else None


def _counted(kind: str, value: str, small: str) -> Subject:
    people = words(value)[0].lower() if words(value) else ""
    if kind in {"ticket", "rate", "membership", "pass"} and people in known.PEOPLE:
        return Subject(f"a {kind} for {value[0].lower()}{value[1:]}", True, kind=kind)
    last = words(value)[-1] if words(value) else ""
    if _has_kind(value, kind) or (last.lower() in known.STANDING_ALONE and (" " in value or kind == "room")):
        return Subject(f"the {small if ' ' in small else small.lower()}", True, known.is_plural(last), kind)
    return Subject(f"the {value} {kind}", True, kind=kind)


def _thing(value: str, small: str, kind: str) -> Subject:
    """What has its noun with it: with an article only where that is sure."""
    found = words(_AFTER_HEAD.sub("", value)) or words(value)
    head = found[-1] if found else ""
    named = kind in known.NAMED
    if known.is_plural(head):
        return Subject(small, named, True, kind)
    if known.is_mass(head):
        return Subject(small, named, False, kind)
    if named and head.lower() in known.COUNTABLE_HEADS:
        plain = small if small != value or any(c.isdigit() for c in found[0]) else value[0].lower() + value[1:]
        return Subject(known.with_article(plain), True, False, kind)
    return Subject(value, False, False, kind)


def _has_kind(value: str, kind: str) -> bool:
    return any(known.singular(word.lower()) == kind for word in words(value))


def _kind_words(label: str, context: str) -> str:
    name = label_of(label).name.lower()
    return "error code" if name == "code" and "error code" in context.lower() else name


def _head(name: str) -> str:
    found = words(name)
    return known.singular(found[-1].lower()) if found else ""
