"""Figures in texts, compared: numbers with their units, dates and times of day, whatever way they are written.

"1,000" is 1000, "May 3" is "3 May", "five kilograms" is "5 kg" and "5 p.m." is "17:00"; "5 lb" is not "5 kg". "1.5 kg" is
"1500 g": units are converted where that is exact (`engine.knowledge.unit_sizes`).
"""

from __future__ import annotations

from collections.abc import Sequence
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
        self._numbers = [figure for figure in found if isinstance(figure, Number)]
        self._bare = {number.value for number in self._numbers if not number.units}
        self._dates = {reading for figure in found if isinstance(figure, Date) for reading in figure.readings}
        self._times = {reading for figure in found if isinstance(figure, Clock) for reading in figure.readings}
        self._units = {unit for text in texts for unit in loose_units(text)}

    def holds(self, figure: Figure) -> bool:
        if isinstance(figure, Date):
            return any(self._has_date(reading) for reading in figure.readings)
        if isinstance(figure, Clock):
            return bool(figure.readings & self._times) or any(self._has_hour(reading) for reading in figure.readings)
        return figure.weak or self._has_number(figure)

    def _has_number(self, wanted: Number) -> bool:
        same = [number for number in self._numbers if number.value == wanted.value]
        if not wanted.units:
            return bool(same) or self._in_date(wanted.value) or (self._across and self._in_time(wanted.value))
        if self._across and (any(not number.units for number in same) or self._in_time(wanted.value)):
            return True
        if any(number.units & wanted.units for number in same):
            return True
        if any(not number.units for number in same) and wanted.units & self._units:
            return True
        return bool(amounts(wanted.value, wanted.units) & self._amounts)

    @cached_property
    def _amounts(self) -> frozenset[Amount]:
        """What its numbers are in their units, and those without one in the units that stand elsewhere."""
        return frozenset(chain.from_iterable(amounts(one.value, one.units or self._units) for one in self._numbers))

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

    def _in_time(self, value: str) -> bool:
        """Whether a number is the hour or the minutes of a time of day: "18 Uhr", "22 h 30"."""
        return any(value in map(str, divmod(time, 60)) for time in self._times)

    def _in_date(self, value: str) -> bool:
        return any(value in map(str, known) for known in self._dates)
