"""Questions to table rows and to lines `label: value`, by rule: English only, and nothing where a label is not understood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.faq import row_words as known
from engine.faq.row_cells import (
    DAYS,
    Cell,
    Label,
    cells_of,
    is_clock,
    is_code,
    is_date,
    is_english,
    is_figure,
    is_measure,
    is_money,
    is_placeholder,
    is_text,
    is_truth,
    label_of,
)
from engine.faq.row_comparisons import comparison_question
from engine.faq.row_facts import Told, normal, place_above, second_of, told_of, told_of_line
from engine.faq.row_headings import Place, group, place_of, priced_below, whose_hours
from engine.faq.row_labels import KNOWN, is_known, question_to
from engine.faq.row_places import VENUES
from engine.faq.row_subjects import Subject, describe, heading_subject, kind_of
from engine.faq.types import RowFact
from engine.faq.words import words

MAX_QUESTIONS_OF_A_ROW = 8
"""A row of many columns is asked about so many of them, those first whose names are understood."""

_ENGLISH = KNOWN.union(
    *(known.PLACES, known.NAMED, known.COUNT_KINDS, known.MASS_KINDS, known.PROPERTY, known.DAY_NAMES, VENUES),
    ("load", "user", "maximum", "minimum"),
)
"""Words that tell English tables from others."""
_MAX_LINE_VALUE = 8


@dataclass(frozen=True, slots=True)
class RowQuestion:
    """A question to a row. `answer` is a span of the row; `column` counts the row's cells from 0."""

    question: str
    answer: str
    column: int
    fact: RowFact


def row_questions(row: str, headings: Sequence[str] = (), context: str = "") -> Iterator[RowQuestion]:
    """Questions and answers of one row.

    `Plan: Basic; Price: 5 EUR` gives "How much does the Basic plan cost?" and "5 EUR"; a single `label: value` is asked about
    with the heading that says what it is about; `Price; Basic: 5 EUR; Pro: 9 EUR` is asked about column by column. Where a
    heading names a place, a group or a season, each question comes a second time with it, for documents in which several rows
    answer the first.

    Args:
        row: as tables are written as text.
        headings: those above it, the outermost first.
        context: the text around it, which tells names from other words and English from other languages.
    """
    cells = cells_of(row)
    around = "\n".join((*headings, context))
    if not cells or not is_english([*_telling(cells, headings), *headings], _ENGLISH, around):
        return
    is_line = len(cells) == 1 or _is_property(cells)
    found = list(_of_line(cells, headings, around) if is_line else _of_row(cells, headings, around))
    ranks = {asked.column: _rank(asked.fact.label) for asked in found}
    columns = sorted(ranks, key=lambda column: ranks[column])[:MAX_QUESTIONS_OF_A_ROW]
    yield from sorted((asked for asked in found if asked.column in columns), key=lambda asked: asked.column)


def fact_cells(row: str, headings: Sequence[str] = ()) -> Iterator[tuple[RowFact, str]]:
    """Every fact that a row states, understood or not, and its value: what else could answer a question to a row."""
    cells = cells_of(row)
    if not cells:
        return
    if len(cells) == 1 or _is_property(cells):
        cell = _line_cell(cells)
        told = told_of_line(cell, headings)
        if told is None:
            yield from ((fact, cell.value) for fact, _ in _line_facts(cell, headings))
            return
        found = [told]
    else:
        found = told_of(cells, headings)
    second = second_of(cells, found[0]) if found else None
    for told in found:
        for one in (told,) if second in (None, told.cell) else (told, replace(told, second=second)):
            place = place_above(one, headings)
            yield one.fact(), one.cell.value
            if place is not None:
                yield one.fact(place), one.cell.value


def _telling(cells: Sequence[Cell], headings: Sequence[str]) -> Iterator[str]:
    """What tells the language of a row: its labels; in comparisons the features and the things above, in the singular."""
    yield from (cell.label or cell.value for cell in cells)
    if not cells[0].label:
        yield from (known.singular(word) for heading in headings for word in words(heading))


def _rank(label: str) -> int:
    """What customers ask first: prices and times, then what is understood, then the rest."""
    last = label_of(label).name.split()[-1:]
    wanted = bool(last) and last[0] in known.PRICES | known.FEES | known.DURATIONS
    return 0 if wanted else 1 if is_known(label) else 2


def _of_row(cells: Sequence[Cell], headings: Sequence[str], context: str) -> Iterator[RowQuestion]:
    all_told = told_of(cells, headings)
    names = Counter(label_of(told.cell.label).name.lower() for told in all_told)
    shared = bool(all_told) and _is_shared(all_told[0].own, context)
    second = second_of(cells, all_told[0]) if shared else None
    for told in all_told:
        if told.cell is not second and told.cell.label != told.own.label:
            repeated = names[label_of(told.cell.label).name.lower()] > 1 and not told.turned
            yield from _of_told(replace(told, second=second), headings, context, repeated=repeated, speaks_unit=told.turned)


def _of_told(
    told: Told, headings: Sequence[str], context: str, *, repeated: bool = False, speaks_unit: bool = False
) -> Iterator[RowQuestion]:
    """The question to one fact, and the same with the place that the headings name."""
    label, subject = label_of(told.cell.label), describe(told.own.label, told.own.value, context)
    if subject is None:
        return
    if label.name.lower() == "hours" and "opening hours" in context.lower():
        label = Label("Opening hours")
    further = (told.second.value if told.second else "", label.detail or (label.unit if repeated else ""))
    for place in dict.fromkeys((None, place_above(told, headings))):
        within = " ".join(found.phrase for found in (told.place, place) if found and found.within)
        about = replace(subject, phrase=f"{subject.phrase} {within}") if within else subject
        question = (comparison_question if told.turned else question_to)(label, told.cell.value, about)
        where = [found.phrase for found in (told.place, place) if found and not found.within]
        if told.place and about.kind == "day":
            where[0] = f"{about.preposition} {about.phrase}"
            question = f"What are the opening hours of {told.place.phrase.removeprefix('at ')}?"
        spoken = [f"in {label.unit}"] if speaks_unit and label.unit and is_figure(told.cell.value) else []
        detail = ", ".join(filter(None, further))
        yield from _asked(told.column, told.cell, question, (*spoken, *where), detail, told.fact(place))


def _of_line(cells: Sequence[Cell], headings: Sequence[str], context: str) -> Iterator[RowQuestion]:
    cell = _line_cell(cells)
    told = told_of_line(cell, headings)
    if told is not None:
        yield from _of_told(told, headings, context, speaks_unit=True)
        return
    label = label_of(cell.label)
    question = _line_question(cell, label, headings)
    for fact, place in _line_facts(cell, headings):
        yield from _asked(0, cell, question, (place.phrase,) if place else (), "" if _is_day(cell) else label.detail, fact)


def _line_question(cell: Cell, label: Label, headings: Sequence[str]) -> str | None:
    if _is_day(cell):
        return _day_question(label.name, headings)
    if priced_below(cell, headings) or (not is_known(label.name) and (not _is_short_fact(cell) or is_money(cell.value))):
        return None
    subject = heading_subject(headings)
    where = group(subject.phrase.removeprefix("the ")) if subject else None
    if where is not None:
        preposition, _, phrase = where.phrase.partition(" ")
        subject = Subject(phrase, preposition=preposition)
    if len(cell.value.split()) > _MAX_LINE_VALUE * 2 or (subject is not None and label.name.lower() in subject.phrase.lower()):
        return None
    return _your_question(label.name, cell.value) if subject is None else question_to(label, cell.value, subject)


def _line_facts(cell: Cell, headings: Sequence[str]) -> Iterator[tuple[RowFact, Place | None]]:
    """What a line tells, and what it tells of the place that the headings name, if the subject is not that place."""
    subject = None if _is_day(cell) else heading_subject(headings)
    about = whose_hours(headings) if _is_day(cell) else subject.phrase if subject else ""
    yield RowFact(normal(about), normal(cell.label)), None
    place = place_of(headings[:-1] if about else headings)
    if place is not None and normal(place.phrase.split(" ", 1)[1]).removeprefix("the ") not in normal(about):
        yield RowFact(normal(f"{about} @ {place.phrase}"), normal(cell.label)), place


def _is_day(cell: Cell) -> bool:
    return DAYS.fullmatch(label_of(cell.label).name) is not None


def _asked(
    column: int, cell: Cell, question: str | None, where: Sequence[str], detail: str, fact: RowFact
) -> Iterator[RowQuestion]:
    if question is None:
        return
    question = f"{' '.join((question[:-1], *where))}?"
    if detail:
        question = f"{question[:-1]} ({detail})?"
    yield RowQuestion(question, _answer(cell), column, fact)


def _answer(cell: Cell) -> str:
    """The value where it can be understood alone, else its label and it."""
    label = label_of(cell.label)
    whole = cell.label.endswith("?") or (any(map(str.isalpha, cell.value)) and not is_truth(cell.value) and not label.unit)
    whole = (
        whole
        or label.name.rpartition(" ")[2].lower().rstrip(".") in known.CONTACTS
        or (not label.unit and (is_clock(cell.value) or is_date(cell.value)))
    )
    return cell.value if whole or is_money(cell.value) or (is_measure(cell.value) and " " in cell.value) else cell.span


def _is_property(cells: Sequence[Cell]) -> bool:
    """Whether a row is of a table of properties and their values."""
    return len(cells) == 2 and kind_of(cells[0].label) in known.PROPERTY and cells[1].label.lower() in known.VALUE


def _line_cell(cells: Sequence[Cell]) -> Cell:
    return cells[0] if len(cells) == 1 else Cell(cells[0].value, cells[1].value, cells[1].value)


def _is_shared(own: Cell, context: str) -> bool:
    """Whether several rows nearby have this subject."""
    return sum(line.startswith(f"{own.span}; ") for line in context.splitlines()) > 1


def _is_short_fact(cell: Cell) -> bool:
    """Whether a line of which the label is not known is still no prose: "Battery: 500 Wh"."""
    figure = any(map(str.isdigit, cell.value)) or is_truth(cell.value)
    short = len(cell.label.split()) <= 3 and len(cell.value.split()) <= _MAX_LINE_VALUE // 2
    return short and figure and not cell.label[-1].isdigit() and not is_code(cell.label) and is_text(cell.label)


def _day_question(day: str, headings: Sequence[str]) -> str | None:
    hours = next((h for h in reversed(headings) if "hours" in h.lower() or "opening times" in h.lower()), None)
    subject, whose = describe("day", day, ""), whose_hours(headings)
    of = f"of {whose} " if whose else ""
    return f"What are the opening hours {of}{subject.preposition} {subject.phrase}?" if hours and subject else None


def _your_question(name: str, value: str) -> str | None:
    """What is asked of whoever wrote the document, where nothing else is said to be meant."""
    noun = known.CONTACTS.get(name.lower().rstrip("."), name.lower())
    if is_placeholder(value) or noun.split()[-1] not in known.CONTACT_NOUNS | {"hours"}:
        return None
    return f"What {'are' if noun.endswith('hours') else 'is'} your {noun}?"
