"""What headings tell of the rows below them: of what kind they are, what their values are, and where or for whom they hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.faq import row_words as known
from engine.faq.row_cells import Cell, is_count, is_free, is_money, is_period, label_of
from engine.faq.row_places import COUNTRIES, GROUPS, SEASONS, VARIANTS, VENUES
from engine.faq.row_subjects import describe
from engine.faq.words import word_set, words

_KINDS = known.MASS_KINDS | known.COUNT_KINDS
_TRANSPORTED = frozenset({"delivery", "shipping", "shipment", "transport"})
_WITHIN = re.compile(r"(?:[\w-]+ ){0,3}?(?P<how>to|in|within) (?:the )?(?P<where>[A-Z][\w .-]*)")
_ITS_HOURS = re.compile(
    r"(?i:opening (?:hours|times) of )(?:the )?(?P<of>[\w' -]+)"
    r"|(?:the )?(?P<whose>[\w' -]+?)(?i:,? (?:opening )?(?:hours|times))"
)
_AMOUNTS = known.PRICES | known.FEES
_TIMES = frozenset({"time", "times", "duration", "durations"})
_OF_TABLES = word_set("comparison compare comparing features overview details table at a glance our all the and")
_PEOPLE = GROUPS | known.PEOPLE | word_set("tenant landlord adult child student senior member employee employer buyer seller")
_MAX_PLACE = 5
_ITEM = "Item"
_FOR_PEOPLE = frozenset({"ticket", "rate", "membership", "pass"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where, for whom or when a row holds: "in Germany". `within`: it belongs to the row's subject, "delivery to Germany"."""

    phrase: str
    within: bool = False


def place_of(headings: Sequence[str], kind: str = "") -> Place | None:
    """What the innermost heading that names a place, a group or a season says; None where none does.

    Args:
        headings: those above the row, the outermost first.
        kind: what the row's subject is, which decides between "in Germany" and "to Germany".
    """
    for heading in reversed(headings):
        name = " ".join(heading.split()).strip(" .:#-–")
        if found := country(name, kind) or venue(name) or group(name):
            return found
    return None


def country(name: str, kind: str = "") -> Place | None:
    """A country or what is like one, also as in "Delivery to Germany"."""
    match = _WITHIN.fullmatch(name)
    where, how = (match["where"], match["how"]) if match else (name, "")
    where = where.removeprefix("The ").removeprefix("the ")
    if where.lower() not in COUNTRIES or not where[:1].isupper():
        return None
    phrase = f"the {where}" if known.WITH_THE.match(where) else where
    if kind in _TRANSPORTED:
        return Place(f"{how if how == 'within' else 'to'} {phrase}", within=True)
    return Place(f"{'within' if how == 'within' else 'in'} {phrase}")


def venue(name: str) -> Place | None:
    """A place that people go to: "at the Lisbon office"."""
    found = name.removeprefix("The ").removeprefix("the ").split()
    if not 0 < len(found) <= _MAX_PLACE or found[-1].lower() not in VENUES or not all(map(_is_word, found)):
        return None
    if len(found) == 1 or (known.is_common(found[0]) and found[1:] == [word.lower() for word in found[1:]]):
        return Place(f"at the {' '.join(found).lower()}")
    return Place(f"at the {' '.join(found)}")


def _is_word(word: str) -> bool:
    return word.replace("-", "").replace("'", "").isalpha() and (word[0].isupper() or word.lower() in VENUES)


def group(name: str) -> Place | None:
    """A group of people, or a season: "for business customers", "in the high season"."""
    found = name.removeprefix("For ").lower().split()
    if " ".join(found) in SEASONS:
        return Place(SEASONS[" ".join(found)])
    people = 0 < len(found) <= 2 and found[-1] in GROUPS | known.PEOPLE
    return Place(f"for {' '.join(found)}") if people and all(word.replace("-", "").isalpha() for word in found) else None


def kind_of_thing(name: str, headings: Sequence[str]) -> str:
    """What kind of thing a row or a column stands for; empty where that is not sure.

    Its name may say so ("Family ticket", "K100"), or the heading: "plan" below "Compare our plans". Only names such as "Basic"
    take it from a heading further out.
    """
    found = words(label_of(name).name)
    if not 0 < len(found) <= _MAX_PLACE or not name[:1].isalnum():
        return ""
    own = known.singular(found[-1].lower())
    if own in _KINDS:
        return own
    if len(found) == 1 and any(map(str.isdigit, found[0])) and any(map(str.isalpha, found[0])):
        return "model"
    told = [heading for heading in headings if not {word.lower() for word in words(heading)} <= _OF_TABLES]
    nearest = _kind_of_heading(told[-1]) if told else ""
    if is_variant(name):
        return nearest or next(filter(None, (_kind_of_heading(heading) for heading in reversed(told))), "")
    is_name = len(found) == 1 and found[0].isalpha() and found[0][0].isupper() and found[0].lower() not in _PEOPLE
    return nearest if is_name else ""


def is_variant(name: str) -> bool:
    """Whether a name is one that things of many kinds have: "Basic", "Next day"."""
    found = [word.lower() for word in words(label_of(name).name)]
    return bool(found) and (all(word in VARIANTS for word in found) or "-".join(found) in VARIANTS)


def _kind_of_heading(heading: str) -> str:
    found = {known.singular(word.lower()) for word in words(heading)} & _KINDS
    found = found - {"option", "service", "support", "system", "series", "setting", "field"} if len(found) > 1 else found
    return found.pop() if len(found) == 1 else ""


def whose_hours(headings: Sequence[str]) -> str:
    """Whose opening hours the innermost heading is about, "the reception"; empty where it does not say."""
    match = _ITS_HOURS.fullmatch(" ".join(headings[-1].split())) if headings else None
    found = venue((match["of"] or match["whose"]).strip()) if match else None
    return found.phrase.removeprefix("at ") if found else ""


def lists_amounts(heading: str) -> bool:
    """Whether a heading says that what stands below it has prices or times: "Delivery costs"."""
    found = words(label_of(heading).name.lower())
    return bool(found) and (found[-1] in _AMOUNTS | _TIMES or found[0] in {"prices", "costs", "fees", "rates"})


def priced_below(cell: Cell, headings: Sequence[str]) -> bool:
    """Whether a line's label is what has a price or a time, since the heading says that all below has one: not "Deposit"."""
    last = [word.lower() for word in words(label_of(cell.label).name)][-1:]
    return bool(headings) and lists_amounts(headings[-1]) and not set(last) & (_AMOUNTS | _TIMES | known.DURATIONS)


def listed(cell: Cell, headings: Sequence[str]) -> tuple[Cell, Cell] | None:
    """A line as a row: "Standard: 4.90" below "Delivery costs" is "Delivery: Standard; Price: 4.90".

    None where the heading does not say that, or where the label is not surely the name of a thing.
    """
    heading = headings[-1] if headings else ""
    found = [word.lower() for word in words(label_of(heading).name)]
    kinds = ({known.singular(word) for word in found} & _KINDS) - _AMOUNTS - {"tariff"}
    unit = label_of(heading).unit
    priced = is_money(cell.value) or is_free(cell.value)
    if lists_amounts(heading):
        name = "Time" if _TIMES & set(found) else "Price"
        fits = is_period(cell.value) if name == "Time" else priced or is_count(cell.value)
    elif kinds and len(found) == 1:
        name, fits = ("Time", True) if is_period(cell.value) and not priced else ("Price", priced)
    else:
        return None
    own = _named(cell.label, kinds.pop() if len(kinds) == 1 else "", time=name == "Time") if fits else None
    if own is not None and own.label == _ITEM and not priced:
        return None
    return None if own is None else (own, Cell(f"{name} ({unit})" if unit else name, cell.value, cell.span))


def _named(label: str, kind: str, *, time: bool) -> Cell | None:
    """A line's label as the name of one thing of a kind, or of a thing that needs no kind."""
    found = [word.lower() for word in words(label)]
    if not found or len(found) > _MAX_PLACE:
        return None
    own = known.singular(found[-1])
    kind = own if own in _KINDS and not time and len(found) > 1 else kind
    of_kind = own == kind or (found[0] in known.PEOPLE and kind in _FOR_PEOPLE)
    if kind and (of_kind or is_variant(label)):
        return Cell(kind.capitalize(), label, label)
    if time or found[0] in _PEOPLE or not all(word.replace("-", "").isalpha() for word in found):
        return None
    name = label.lower() if len(found) == 1 and label.istitle() else label
    subject = describe(_ITEM, name, "")
    return Cell(_ITEM, name, label) if subject is not None and subject.solid else None
