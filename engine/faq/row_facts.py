"""What a row tells, fact by fact: a value of something, and where it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.faq import row_words as known
from engine.faq.row_cells import DAYS, Cell, is_clock, is_free, is_money, is_period, is_placeholder, is_text, is_truth, label_of
from engine.faq.row_headings import Place, country, group, is_variant, kind_of_thing, listed, place_of, priced_below, venue
from engine.faq.row_labels import is_known
from engine.faq.row_subjects import describe, kind_of, subject_column
from engine.faq.types import RowFact

_CLOSED = frozenset({"closed", "24 hours", "open 24 hours", "all day", "by appointment", "by appointment only"})
_HOURS = frozenset({"hours", "opening hours", "opening times", "open", "business hours"})
_OPENING = "Opening hours"


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that a row tells: the value of `cell` for what `own` names.

    `column` counts the row's cells from 0. `second` is the cell that tells rows with one subject apart. `place` is where it
    holds, as far as the row itself says so. `turned`: in the document the columns are the things.
    """

    column: int
    own: Cell
    cell: Cell
    second: Cell | None = None
    place: Place | None = None
    turned: bool = False

    def fact(self, place: Place | None = None) -> RowFact:
        """What it is compared by, as it holds everywhere or at a place."""
        further = f"; {self.second.label}: {self.second.value}" if self.second else ""
        where = " @ ".join(found.phrase for found in (self.place, place) if found)
        subject = f"{self.own.label}: {self.own.value}{further}"
        return RowFact(normal(f"{subject} @ {where}" if where else subject), normal(self.cell.label))


def told_of(cells: Sequence[Cell], headings: Sequence[str]) -> list[Told]:
    """All that a row of several cells tells, understood or not."""
    turned = _turned(cells, headings)
    if turned is not None:
        return turned
    at = subject_column(cells)
    if at is None:
        return []
    own = cells[at]
    if is_truth(own.value) or is_placeholder(own.value):
        return []  # what the row is about was in a cell that is empty
    return [Told(column, own, cell) for column, cell in enumerate(cells) if column != at]


def told_of_line(cell: Cell, headings: Sequence[str]) -> Told | None:
    """What a line `label: value` tells as a row of a list does, "Standard: 4.90 EUR"; None for other lines."""
    listable = is_variant(cell.label) or priced_below(cell, headings) or not is_known(label_of(cell.label).name)
    found = listed(cell, headings) if listable else None
    return None if found is None else Told(0, *found)


def second_of(cells: Sequence[Cell], told: Told) -> Cell | None:
    """The cell that tells rows with one subject apart: the next after it that names something."""
    if told.turned or told.own not in cells:
        return None
    return next((cell for cell in cells[cells.index(told.own) + 1 :] if is_text(cell.value)), None)


def place_above(told: Told, headings: Sequence[str]) -> Place | None:
    """Where a fact holds by the headings, which matters where another part of the document has another value."""
    kind = kind_of(told.own.label)
    place = None if kind in known.PLACES else place_of(headings, kind)
    named = normal(f"{told.own.value} {told.place.phrase if told.place else ''}")
    return None if place is None or normal(place.phrase.split(" ", 1)[1].removeprefix("the ")) in named else place


def normal(text: str) -> str:
    """A text as it is compared."""
    return " ".join(text.split()).casefold()


def _turned(cells: Sequence[Cell], headings: Sequence[str]) -> list[Told] | None:
    """What a row of a comparison or a timetable tells: its first column has no name or is of features. None for other rows."""
    first, others = cells[0], list(enumerate(cells))[1:]
    labels = [cell.label for _, cell in others]
    day = DAYS.fullmatch(first.value) is not None and (not first.label or kind_of(first.label) == "day")
    if day and len(others) > 1 and all(map(venue, labels)):
        return list(_hours(first.value, others))
    if first.label and kind_of(first.label) not in known.MATRIX:
        return None
    if len(others) < 2 or (any(map(is_known, labels)) and not all(map(group, labels))):
        return None if first.label else list(_of_nameless(first, others, headings, day=day))
    if all(map(DAYS.fullmatch, labels)):
        place = venue(first.value)
        whole_house = normal(first.value) in _HOURS
        return [told for column, cell in others for told in _opening(column, cell, place)] if place or whole_house else []
    kind = kind_of_thing(first.value, headings)
    if all(country(label) or group(label) for label in labels):
        return list(_by_place(first, others, kind))
    if all(label.lower() in known.PER for label in labels):
        return list(_by_period(first, others, kind))
    return list(_compared(first, others, headings))


def _hours(day: str, others: Sequence[tuple[int, Cell]]) -> Iterator[Told]:
    """Days down, places across."""
    for column, cell in others:
        if _is_hours(cell.value):
            yield Told(
                column, Cell("Day", day, day), Cell(_OPENING, cell.value, cell.span), place=venue(cell.label), turned=True
            )


def _opening(column: int, cell: Cell, place: Place | None) -> Iterator[Told]:
    """Days across."""
    if _is_hours(cell.value):
        yield Told(column, Cell("Day", cell.label, cell.label), Cell(_OPENING, cell.value, cell.span), place=place, turned=True)


def _is_hours(value: str) -> bool:
    return is_clock(value) or normal(value) in _CLOSED


def _of_nameless(first: Cell, others: Sequence[tuple[int, Cell]], headings: Sequence[str], *, day: bool) -> Iterator[Told]:
    """Rows are things, and the headings say of which kind; or days, or things that need no kind."""
    kind = "day" if day else kind_of_thing(first.value, headings) or "item"
    subject = describe(kind, first.value, "")
    asked = others if kind != "item" else [(column, cell) for column, cell in others if _has_amounts(cell.label)]
    if subject is not None and (day or kind != "item" or subject.solid):
        own = Cell(kind.capitalize(), first.value, first.span)
        yield from (Told(column, own, cell) for column, cell in asked)


def _has_amounts(label: str) -> bool:
    return label_of(label).name.lower().rpartition(" ")[2] in known.PRICES | known.FEES | known.DURATIONS


def _by_place(first: Cell, others: Sequence[tuple[int, Cell]], kind: str) -> Iterator[Told]:
    """Things of a kind down, countries or groups across: "Standard; Germany: 4.90 EUR; Austria: 9.90 EUR"."""
    for column, cell in others:
        name = "Price" if is_money(cell.value) or is_free(cell.value) else "Time" if is_period(cell.value) else ""
        if kind and name:
            own = Cell(kind.capitalize(), first.value, first.span)
            place = country(cell.label, kind) or group(cell.label)
            yield Told(column, own, Cell(name, cell.value, cell.span), place=place, turned=True)


def _by_period(first: Cell, others: Sequence[tuple[int, Cell]], kind: str) -> Iterator[Told]:
    """Things of a kind down, what they cost a month or a year across."""
    for column, cell in others:
        if kind and (is_money(cell.value) or is_free(cell.value)):
            price = Cell(f"{cell.label} price", cell.value, cell.span)
            yield Told(column, Cell(kind.capitalize(), first.value, first.span), price, turned=True)


def _compared(first: Cell, others: Sequence[tuple[int, Cell]], headings: Sequence[str]) -> Iterator[Told]:
    """Features down, things across."""
    names = [label_of(cell.label).name for _, cell in others]
    lasts = {name.split()[-1] if " " in name else "" for name in names}
    same = "product" if len(lasts) == 1 and all(last.isalpha() and last.islower() for last in lasts) else ""
    kinds = [kind_of_thing(name, headings) or same for name in names]
    if all(kinds):
        for (column, cell), name, kind in zip(others, names, kinds, strict=True):
            yield Told(column, Cell(kind.capitalize(), name, name), Cell(first.value, cell.value, cell.span), turned=True)
