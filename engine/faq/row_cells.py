"""The cells of a row that is written as text, and what kinds of values they hold."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.faq.words import STOP_WORDS, words

_DETAIL = re.compile(
    r"(?P<name>[^()\[\]]*[^()\[\]\s])\s*(?:\((?P<round>[^()]*)\)|\[(?P<square>[^\[\]]*)\])\s*(?P<more>[^()\[\]]*)"
)
_UNIT_LABEL = re.compile(
    r"[A-Za-z%°µ/²³.]{1,4}|(?:[WHDLBT]\s?[x×/]\s?)+[WHDLBT]|(?:milli|centi|kilo)?(?:met(?:er|re)s?|lit(?:er|re)s?|grams?|watts?)"
    r"|euros?|dollars?|pounds?|inch(?:es)?|percent|hours?|minutes?|days?|months?|years?|EUR/[a-z]+|km/h",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"[-–—./?…*_\s]+|n\s?/\s?a|n\.\s?a\.?|na|nil|tb[acd]|unknown"
    r"|not applicable|not available yet|see (?:below|above)|null|nan|x|○|o",
    re.IGNORECASE,
)
_YES = re.compile(r"(?:yes|y|true|✓|✔️?|☑️?|✅|included|allowed)(?![\w/-])", re.IGNORECASE)
_NO = re.compile(r"(?:no|n|false|✗|✘|✕|✖️?|❌|not included|not allowed|not available)(?![\w/-])", re.IGNORECASE)
_PARTIAL = re.compile(
    r"(?:partly|partially|optional|on request|extra|sometimes|at extra cost|for a fee|limited|if required)\b.{0,40}", re.I
)
_CURRENCY = r"(?:[$€£¥₹]|EUR|USD|GBP|CHF|JPY|SEK|NOK|DKK|PLN|CZK|INR|CAD|AUD|euros?|dollars?|pounds?|cents?|francs?|rupees?)"
_MONEY = re.compile(
    rf"(?:{_CURRENCY}\s?\d|\d[\d.,' ]{{0,24}}(?:\s?(?:million|billion|m|bn))?\s?{_CURRENCY}(?!\w))", re.IGNORECASE
)
_FREE = re.compile(r"(?:free|gratis|no charge|free of charge|none)\b", re.IGNORECASE)
_PERIOD = re.compile(
    r"(?<!every )\b(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?|nights?"
    r"|overnight|immediate(?:ly)?|lifetime)\b"
    r"|\d\s?(?:h|s|min)\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"\b\d{1,2}:\d\d\b|\b\d{1,2}\.\d\d\s?(?:[-–]|to\b|h\b)|\b\d{1,2}\s?[ap]\.?m\b|\b(?:noon|midnight)\b|\b24/7\b|24 hours",
    re.IGNORECASE,
)
_DAY = (
    r"(?:mon(?:days?)?|tue(?:s(?:days?)?)?|wed(?:nesdays?)?|thu(?:r(?:s(?:days?)?)?)?|fri(?:days?)?|sat(?:urdays?)?|sun(?:days?)?"
    r"|weekdays?|weekends?|(?:public |bank |school )?holidays?)"
)
DAYS = re.compile(rf"{_DAY}(?:\.?\s?(?:,|&|and|or|/|to|till|until|through|-|–)\s?{_DAY})*\.?", re.IGNORECASE)
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?)"
)
MONTHS = re.compile(rf"{_MONTH}(?:\s(?:to|-|–|and|until)\s{_MONTH}|\s?[-–]\s?{_MONTH})?(?:\s\d{{4}})?", re.IGNORECASE)
_DATE = re.compile(
    rf"\b\d{{4}}-\d\d-\d\d\b|\b\d{{1,2}}[./]\d{{1,2}}[./](?:\d{{4}}|\d\d)(?![\d%])|\b\d{{1,2}}(?:st|nd|rd|th|\.)?\s(?:of\s)?{_MONTH}\b"
    rf"|\b{_MONTH}\s\d{{1,4}}\b",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"(?:(?:up to|at least|at most|about|over|more than|approx\.?|min\.?|max\.?|from)\s)?\d[\d.,]*\+?|unlimited|none", re.I
)
_FIGURE = re.compile(r"[\s.,:;/+–-]*\d[\d\s.,:;/%+–-]*")
_CODE = re.compile(r"(?=\S*\d)[A-Za-z]{0,4}[-./]?\d[\w./-]*")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a row: its column's name, what it holds, and the words of the row that have both."""

    label: str
    value: str
    span: str


@dataclass(frozen=True, slots=True)
class Label:
    """A column's name, in parts: `Price (EUR)` has the unit EUR, `Price (adults)` has the detail "adults"."""

    name: str
    unit: str = ""
    detail: str = ""


def cells_of(row: str) -> list[Cell]:
    """The cells of `label: value; label: value`. A semicolon inside a value stays in it.

    The first may have a value only: that of a table whose first column has no name.
    """
    cells: list[Cell] = []
    row = row.rstrip(" .")
    for part in row.split("; "):
        label, colon, value = part.partition(": ")
        if colon and label.strip() and value.strip():
            cells.append(Cell(label.strip(), value.strip(), part.strip()))
        elif not cells and part.strip() and "; " in row:
            cells.append(Cell("", part.strip(), part.strip()))
        elif cells and not cells[-1].label:
            return []
        elif cells:
            last = cells.pop()
            cells.append(Cell(last.label, f"{last.value}; {part}", f"{last.span}; {part}"))
    return cells


def label_of(text: str) -> Label:
    """A column's name in its parts."""
    match = _DETAIL.fullmatch(text.strip())
    if match is None:
        name, _, unit = text.strip().rpartition(", ")
        return Label(name, unit) if name and _UNIT_LABEL.fullmatch(unit) else Label(text.strip())
    inner = (match["round"] or match["square"] or "").strip()
    name = f"{match['name']} {match['more']}".strip()
    if not inner or _UNIT_LABEL.fullmatch(inner):
        return Label(name, unit=inner)
    return Label(name, detail=inner)


def is_placeholder(value: str) -> bool:
    """Whether a cell holds only a sign that there is nothing to say."""
    return _PLACEHOLDER.fullmatch(value) is not None


def is_truth(value: str) -> bool:
    """Whether a cell says yes or no, alone or with a remark: "Yes, in closed tins"."""
    for pattern in (_YES, _NO):
        match = pattern.match(value)
        if match is not None:
            return not value[match.end() :].strip() or value[match.end() :].lstrip()[0] in ",(;:.-–"
    return False


def is_partial(value: str) -> bool:
    """Whether a cell says neither yes nor no, and yet answers the same question: "optional"."""
    return _PARTIAL.fullmatch(value) is not None


def is_money(value: str) -> bool:
    """Whether a cell has an amount of money."""
    return _MONEY.search(value) is not None


def is_free(value: str) -> bool:
    """Whether a cell says that something costs nothing."""
    return _FREE.match(value) is not None


def is_period(value: str) -> bool:
    """Whether a cell has a length of time."""
    return _PERIOD.search(value) is not None and _CLOCK.search(value) is None


def is_clock(value: str) -> bool:
    """Whether a cell has a time of day."""
    return _CLOCK.search(value) is not None


def is_date(value: str) -> bool:
    """Whether a cell has a date or a month."""
    return _DATE.search(value) is not None or MONTHS.fullmatch(value) is not None


def is_moment(value: str) -> bool:
    """Whether a cell says when."""
    return (
        is_date(value)
        or is_clock(value)
        or DAYS.match(value) is not None
        or re.fullmatch(r"(?:daily|1\d{3}|20\d\d)", value) is not None
    )


def is_count(value: str) -> bool:
    """Whether a cell holds a number without a unit."""
    return _COUNT.fullmatch(value) is not None


def is_figure(value: str) -> bool:
    """Whether a cell holds nothing but figures: a number, a date, a time, an amount."""
    bare = re.sub(_CURRENCY, "", value, flags=re.IGNORECASE)
    return bool(_FIGURE.fullmatch(bare)) or (is_date(value) and len(value.split()) <= 3) or MONTHS.fullmatch(value) is not None


def is_code(value: str) -> bool:
    """Whether a cell holds a code or a letter that says nothing alone: "E15", "XL", "3"."""
    return len(value) <= 2 or _CODE.fullmatch(value) is not None or (value.isupper() and len(value) <= 3)


def is_text(value: str) -> bool:
    """Whether a cell names something in a few words."""
    plain = any(map(str.isalpha, value)) and not is_figure(value) and len(value.split()) <= 6 and len(value) <= 60
    other = (
        is_placeholder(value) or is_truth(value) or is_partial(value) or is_money(value) or is_free(value) or is_count(value)
    )
    return plain and not other and not is_measure(value) and "@" not in value and not is_clock(value)


def is_measure(value: str) -> bool:
    """Whether a cell begins with a number and goes on with at most two words, as in "1.7 litres"."""
    return (
        bool(re.match(r"(?:(?:up to|at least|about|from|over) )?\d", value)) and len(value.split()) <= 5 and not is_code(value)
    )


def is_english(labels: list[str], known: frozenset[str], context: str) -> bool:
    """Whether there is a sign that a row is English: a label that is known, or a few small words in the text around it."""
    if any(word.lower() in known for label in labels for word in words(label)):
        return True
    found = {word.lower() for word in words(context)}
    return len({word for word in found & STOP_WORDS if len(word) > 2}) > 1
