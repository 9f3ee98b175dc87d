"""Figures in texts, compared: numbers with their units, dates and times of day, whatever way they are written.

"1,000" is 1000, "May 3" is "3 May", "five kilograms" is "5 kg" and "5 p.m." is "17:00"; "5 lb" is not "5 kg". "1.5 kg" is
"1500 g": units are converted where that is exact (`engine.knowledge.unit_sizes`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain

from engine.knowledge.figure_reading import (
    Clock,
    Date,
    Figure,
    Number,
    figures,
    join_groups,
    loose_units,
    numbers,
    without_figures,
)
from engine.knowledge.unit_sizes import Amount, amounts

__all__ = ["numbers", "unsupported", "without_figures"]

_OF_TIMES = frozenset({"hour", "minute"})
"""Units that the parts of a time of day may have."""


def unsupported(answer: str, proof: str, *, across: bool = False) -> list[str]:
    """The figures of an answer that its proof does not hold, as the answer writes them, in order.

    A number must be there, with the same unit if it has one; a number without a unit is proven by one with a unit. A unit
    or a month may stand elsewhere ("Weight (kg): 5", "3 and 5 May") unless the number has another one of its own.

    Args:
        answer: what is said.
        proof: what is to hold its figures.
        across: whether they are in different languages. Then a unit or a month that only one of them has a known word for is
            not compared, and "18" is proven by "6 p.m.", since languages write times of day in their own ways.
    """
    ways = [figures(answer), figures(join_groups(answer))]
    known = _Known((proof, join_groups(proof)), across=across)
    return min(([figure.text for figure in way if not known.holds(figure)] for way in ways), key=len)


class _Known:
    """What a proof says."""

    def __init__(self, texts: Sequence[str], *, across: bool) -> None:
        self._across = across
        found = [figure for text in dict.fromkeys(texts) for figure in figures(text)]
        self._numbers: defaultdict[str, set[frozenset[str]]] = defaultdict(set)
        for number in found:
            if isinstance(number, Number):
                self._numbers[number.value].add(number.units)
        self._bare = {value for value, units in self._numbers.items() if frozenset() in units}
        dates = [figure for figure in found if isinstance(figure, Date)]
        self._dates = {reading for date in dates for reading in date.readings}
        self._in_dates = {str(part) for date in dates for part in self._spoken(date) if part}
        self._times = {reading for figure in found if isinstance(figure, Clock) for reading in figure.readings}
        self._in_times = {str(part) for time in self._times for part in divmod(time, 60)}
        self._units = {unit for text in texts for unit in loose_units(text)}

    def holds(self, figure: Figure) -> bool:
        if isinstance(figure, Date):
            return any(self._has_date(reading) for reading in figure.readings)
        if isinstance(figure, Clock):
            return bool(figure.readings & self._times) or any(self._has_hour(reading) for reading in figure.readings)
        return figure.weak or self._has_number(figure)

    def _spoken(self, date: Date) -> Iterator[int]:
        """The parts of a date that numbers stand for: a month does not where it is named, but may in another language."""
        named = any(map(str.isalpha, date.text))
        for year, month, day in date.readings:
            yield from (year, day) if named and not self._across else (year, month, day)

    def _has_number(self, wanted: Number) -> bool:
        same = self._numbers.get(wanted.value, set())
        bare = frozenset() in same
        # "18 Uhr", "22 h 30"
        in_time = self._across and wanted.units <= _OF_TIMES and wanted.value in self._in_times
        if not wanted.units:
            return bool(same) or wanted.value in self._in_dates or in_time
        if in_time or (bare and (self._across or bool(wanted.units & self._units))):
            return True
        if any(units & wanted.units for units in same):
            return True
        return bool(amounts(wanted.value, wanted.units) & self._amounts)

    @cached_property
    def _amounts(self) -> frozenset[Amount]:
        """What its numbers are in their units, and those without one in the units that stand elsewhere."""
        written = ((value, units) for value, found in self._numbers.items() for units in found)
        return frozenset(chain.from_iterable(amounts(value, units or self._units) for value, units in written))

    def _has_date(self, wanted: tuple[int, int, int]) -> bool:
        if any(all(one in (0, other) for one, other in zip(wanted, known, strict=True)) for known in self._dates):
            return True
        year, month, day = wanted
        if self._across and not self._dates:
            return all(str(part) in self._bare for part in (year, day) if part)
        months = {known[1] for known in self._dates if year in (0, known[0])}
        return month in months and str(day) in self._bare

    def _has_hour(self, minutes: int) -> bool:
        hour, rest = divmod(minutes, 60)
        return not rest and bool({str(hour), str(hour - 12)} & self._bare)
