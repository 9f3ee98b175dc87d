"""Reading the figures of a text: numbers with their units, dates and times of day, whatever way they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from engine.knowledge.unit_words import (
    BEFORE_NUMBERS,
    MONTHS,
    MULTIPLIERS,
    NUMBER_WORDS,
    UNITS,
    alias_pattern,
    units_written,
)

_GAP = r"[\s-]{0,3}"
_MONTH = rf"(?P<month>{alias_pattern(' '.join(MONTHS))})\b\.?"
_DAY = r"(?<![\d.,:/])(?P<day>\d{1,2})(?:st|nd|rd|th|er|\.)?"
_YEAR = r"(?P<year>\d{4})\b"
_NAMED_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_DAY}(?:\s+(?:of|de))?\s+{_MONTH}(?:,?\s+(?:de\s+)?{_YEAR})?",
        rf"\b{_MONTH}\s+{_DAY}(?![\d:]|[.,]\d)(?:,?\s+{_YEAR})?",
        rf"\b(?P<day>){_MONTH},?\s+(?:de\s+)?{_YEAR}",
    )
)
_NUMERIC_DATES = (
    re.compile(r"(?<![\d./-])(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?![\d./-]\d|\d)"),
    re.compile(r"(?<![\d./-])(?P<day>\d{1,2})(?P<mark>[./-])(?P<month>\d{1,2})(?P=mark)(?P<year>\d{4})(?!\d|[./-]\d)"),
)
_CLOCK = re.compile(
    r"(?<![\d.,:])(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d))?\s*(?P<half>[ap])\.?\s?m\b\.?"
    r"|(?<![\d.,:])(?P<hour24>\d{1,2}):(?P<minute24>[0-5]\d)(?![\d:])",
    re.IGNORECASE,
)
_DIGITS = r"\d{1,3}(?:[\u00a0\u202f\u2009'’]\d{3})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,:]\d+)*"
_ONE_WORD = "|".join((*NUMBER_WORDS, *MULTIPLIERS))
_WORDS = rf"\b(?:{_ONE_WORD})(?:(?:[\s-]+|(?<=d)\s+and\s+|(?<=n)\s+and\s+)(?:{_ONE_WORD}))*\b"
_UNIT = alias_pattern(" ".join(UNITS.values()))
_NUMBER = re.compile(
    rf"(?:(?P<before>(?<!\w)(?:{alias_pattern(BEFORE_NUMBERS)}))\s?)?"
    rf"(?P<sign>(?<![\w-])[-−])?(?:(?P<digits>{_DIGITS})|(?P<words>{_WORDS}))"
    rf"(?:{_GAP}(?P<times>{'|'.join(MULTIPLIERS)})\b)?"
    rf"(?:{_GAP}(?P<after>{_UNIT})(?!\w))?",
    re.IGNORECASE,
)
_IN_BRACKETS = re.compile(rf"[(\[]\s?(?P<unit>{_UNIT})\s?[)\]]", re.IGNORECASE)
_LOOSE_UNIT = re.compile(rf"(?<![^\W\d])(?:{_UNIT})(?!\w)", re.IGNORECASE)
_RANGE = re.compile(
    r"\s?[-–—−~x×]\s?|\s(?:to|till|until|through|bis|à|a)\s|\s(?P<listed>and|or|und|oder|et|ou|y|o)\s", re.IGNORECASE
)
"""What may stand between two numbers that have one unit: "2–3 hours", "30 x 20 cm"."""
_YEAR_LIKE = re.compile(r"[12]\d{3}")
_SPACED = re.compile(r"(?<![\d.,:])\d{1,3}(?: \d{3})+(?!\d)")
_ENGLISH_GROUPS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
_OTHER_GROUPS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?")
_PLAIN_LETTERS = str.maketrans("ſıİ", "siI")
"""Letters that match "s" and "i" where case is ignored, and that `lower` does not turn into them."""
_SIGNED_UNITS = frozenset({"°C", "°F", "degree", "%"})
"""Elsewhere a dash before a number is more often a bullet or a range."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number. `units` are those that its unit may be; `weak` is the word "one" without a unit, which may be a pronoun."""

    text: str
    value: str
    units: frozenset[str] = frozenset()
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Date:
    """A date by its possible readings (year, month, day), zero for what is not said: "03/05/2024" may be in March or in May."""

    text: str
    readings: frozenset[tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day by its possible readings in minutes after midnight."""

    text: str
    readings: frozenset[int]


Figure = Number | Date | Clock


def numbers(text: str) -> set[str]:
    """Every number of a text in one form: digits or words, thousands grouped or not, with decimals only where there are any.

    Times of day and version numbers stay in one piece. The word "one" counts where a unit follows.
    """
    return {number.value for number in _numbers(_plain_digits(text)) if not number.weak}


def without_figures(text: str) -> str:
    """A text with a space in place of each figure."""
    for pattern in (*_NAMED_DATES, *_NUMERIC_DATES, _CLOCK, _NUMBER):
        text = pattern.sub(" ", text)
    return text


def figures(text: str) -> list[Figure]:
    """The figures of a text in order: dates first, then times of day in what is left, then numbers."""
    text = _plain_digits(text)
    found: list[tuple[int, Figure]] = []
    for pattern in (*_NAMED_DATES, *_NUMERIC_DATES):
        text = _take(pattern, text, found, _date)
    text = _take(_CLOCK, text, found, _clock)
    found += _lent(text, [(match, _number(match)) for match in _NUMBER.finditer(text)])
    return [figure for _, figure in sorted(found, key=lambda item: item[0])]


def _take(
    pattern: re.Pattern[str], text: str, found: list[tuple[int, Figure]], read: Callable[[re.Match[str]], Figure | None]
) -> str:
    """Read what a pattern finds, and blank it out for those that come after."""

    def blank(match: re.Match[str]) -> str:
        figure = read(match)
        if figure is None:
            return match.group()
        found.append((match.start(), figure))
        return "\0" * len(match.group())

    return pattern.sub(blank, text)


def _date(match: re.Match[str]) -> Date | None:
    parts = match.groupdict()
    year, day = int(parts["year"] or 0), int(parts["day"] or 0)
    month = int(parts["month"]) if parts["month"].isdecimal() else MONTHS.get(parts["month"].lower(), 0)
    readings = {(year, month, day)}
    if parts.get("mark") == "/":
        readings.add((year, day, month))
    possible = frozenset((year, month, day) for year, month, day in readings if 1 <= month <= 12 and day <= 31)
    return Date(match.group().strip(), possible) if possible else None


def _clock(match: re.Match[str]) -> Clock | None:
    parts = match.groupdict()
    hour, minute = int(parts["hour"] or parts["hour24"]), int(parts["minute"] or parts["minute24"] or 0)
    if parts["half"] is None:
        # "5:00" may be in the afternoon, "17:00" is no other time.
        hours = {hour, hour % 12 + 12} if 1 <= hour <= 12 else {hour}
    else:
        hours = {hour % 12 + (12 if parts["half"] in "pP" else 0)} if 1 <= hour <= 12 else set()
    possible = frozenset(hour * 60 + minute for hour in hours if hour <= 24)
    return Clock(match.group().strip(), possible) if possible else None


def _lent(text: str, read: list[tuple[re.Match[str], list[Number]]]) -> Iterator[tuple[int, Number]]:
    """Numbers and where they stand; one of a range has the unit of the other: the 2 of "2–3 hours", the 10 of "$5–10"."""
    for (left, few), (right, more) in reversed(list(pairwise(read))):
        between = _RANGE.fullmatch(text, left.end(), right.start())
        if between is None or (between["listed"] and _YEAR_LIKE.fullmatch(few[-1].value)):
            continue
        if right["after"] and not few[-1].units:
            few[-1] = _with_units(few[-1], more[-1].units, left["sign"])
        elif left["before"] and not more[0].units:
            more[0] = _with_units(more[0], few[-1].units, right["sign"])
    for match, numbers_ in read:
        yield from ((match.start(), number) for number in numbers_)


def _numbers(text: str) -> Iterator[Number]:
    for match in _NUMBER.finditer(text):
        yield from _number(match)


def _number(match: re.Match[str]) -> list[Number]:
    """What one match says: mostly one number, several for "1,2,3" or "five six". The unit is the last one's."""
    parts = match.groupdict()
    values = _written(parts["digits"]) if parts["digits"] else [str(value) for value in _spelled(parts["words"])]
    if (times := MULTIPLIERS.get((parts["times"] or "").lower())) and re.fullmatch(r"\d+(?:\.\d+)?", values[-1]):
        values[-1] = _plain(Decimal(values[-1]) * times)
    units = units_written(parts["before"] or parts["after"] or "")
    weak = not parts["times"] and (parts["words"] or "").lower() == "one"
    text = match.group().strip() if len(values) == 1 else ""
    found = [Number(text or value, value, weak=weak) for value in values]
    return [*found[:-1], _with_units(found[-1], units, parts["sign"])] if units else found


def _with_units(number: Number, units: frozenset[str], sign: str | None) -> Number:
    """A number with its units, below zero where there is a sign and the units go below zero."""
    value = f"-{number.value}" if sign and units & _SIGNED_UNITS else number.value
    return Number(number.text, value, units)


def _written(digits: str) -> list[str]:
    bare = re.sub(r"[\s'’]", "", digits)
    if _ENGLISH_GROUPS.fullmatch(bare):
        bare = bare.replace(",", "")
    elif _OTHER_GROUPS.fullmatch(bare):
        bare = bare.replace(".", "").replace(",", ".")
    if ":" in bare:
        return [bare.removeprefix("0")] if re.fullmatch(r"\d{2}:\d\d", bare) else [bare]
    if bare.count(",") > 1:
        return [value for part in bare.split(",") for value in _written(part)]
    decimal = bare.replace(",", ".")
    if decimal.count(".") > 1:
        return [bare]
    # A zero in front is dropped from a day or an hour, and kept in what may be a code or a telephone number.
    return [_plain(Decimal(decimal))] if "." in decimal or len(bare) <= 2 else [bare]


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _spelled(words: str) -> list[int]:
    """The numbers that words spell: "two hundred and six" is one, "five six" are two."""
    found: list[int] = []
    total, current, open_ = 0, 0, False
    for word in re.findall(r"[a-z]+", words.lower()):
        if word == "and":
            continue
        factor, value = MULTIPLIERS.get(word), NUMBER_WORDS.get(word, 0)
        if factor and open_ and (current >= 100 if factor == 100 else current == 0):
            found.append(total + current)  # "hundred hundred": two numbers, however many follow
            total, current = 0, 0
        if factor == 100:
            current = max(current, 1) * 100
        elif factor:
            total, current = total + max(current, 1) * factor, 0
        elif open_ and not _goes_on(current, value, total):
            found.append(total + current)
            total, current = 0, value
        else:
            current += value
        open_ = True
    return [*found, total + current]


def _goes_on(current: int, value: int, total: int) -> bool:
    """Whether a number that has come to `current` may go on with a word below a hundred: "twenty five", "hundred five"."""
    if current % 100 == 0:
        return current > 0 or total > 0
    return current % 100 >= 20 and current % 10 == 0 and 0 < value < 10


def loose_units(text: str) -> Iterator[str]:
    """Units that stand anywhere in a text. A single letter is mostly something else, unless it is in brackets: "Power (W)"."""
    for match in _IN_BRACKETS.finditer(text):
        yield from units_written(match["unit"])
    for match in _LOOSE_UNIT.finditer(text):
        if len(match.group()) > 1 or not match.group().isalpha():
            yield from units_written(match.group())


def join_groups(text: str) -> str:
    """A text with "10 000" as one number, which it may or may not be."""
    return _SPACED.sub(lambda match: match.group().replace(" ", ""), text)


def _plain_digits(text: str) -> str:
    """A text with the digits of all scripts as 0 to 9 and with plain letters, no longer and no shorter."""
    return text if text.isascii() else re.sub(r"\d", lambda digit: str(int(digit.group())), text.translate(_PLAIN_LETTERS))
