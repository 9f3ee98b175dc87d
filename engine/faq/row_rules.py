"""Questions to table rows and to lines `label: value`, by rule: English only, and nothing where a label is not understood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.faq import row_words as known
from engine.faq.row_cells import DAYS as _DAYS
from engine.faq.row_cells import (
    Cell,
    Label,
    cells_of,
    is_clock,
    is_code,
    is_date,
    is_english,
    is_measure,
    is_money,
    is_placeholder,
    is_text,
    is_truth,
    label_of,
)
from engine.faq.row_labels import KNOWN, is_known, question_to
from engine.faq.row_subjects import Subject, describe, heading_subject, kind_of, subject_column
from engine.faq.types import RowFact

MAX_QUESTIONS_OF_A_ROW = 8
"""A row of many columns is asked about so many of them, those first whose names are understood."""

_ENGLISH = KNOWN | known.PLACES | known.NAMED | known.COUNT_KINDS | known.MASS_KINDS | known.PROPERTY
_MAX_LINE_VALUE = 8
_YOURS = Subject("")


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
    with the heading that says what it is about.

    Args:
        row: as tables are written as text.
        headings: those above it, the outermost first.
        context: the text around it, which tells names from other words and English from other languages.
    """
    cells = cells_of(row)
    around = "\n".join((*headings, context))
    if not cells or not is_english([*(cell.label for cell in cells), *headings], _ENGLISH, around):
        return
    found = list(_of_line(cells, headings) if len(cells) == 1 or _is_property(cells) else _of_row(cells, around))
    found.sort(key=lambda asked: _rank(asked.fact.label))
    yield from sorted(found[:MAX_QUESTIONS_OF_A_ROW], key=lambda asked: asked.column)


def fact_cells(row: str, headings: Sequence[str] = ()) -> Iterator[tuple[RowFact, str]]:
    """Every fact that a row states, understood or not, and its value: what else could answer a question to a row."""
    cells = cells_of(row)
    if not cells:
        return
    if len(cells) == 1 or _is_property(cells):
        cell = _line_cell(cells)
        subject = heading_subject(headings)
        yield _line_fact(cell, subject), cell.value
        return
    at = subject_column(cells)
    if at is not None:
        second = _second(cells, at)
        for i, cell in enumerate(cells):
            if i != at:
                yield _fact(cells[at], cell), cell.value
                if second is not None and cell is not second:
                    yield _fact(cells[at], cell, second), cell.value


def _rank(label: str) -> int:
    """What customers ask first: prices and times, then what is understood, then the rest."""
    last = label_of(label).name.split()[-1:]
    wanted = bool(last) and last[0] in known.PRICES | known.FEES | known.DURATIONS
    return 0 if wanted else 1 if is_known(label) else 2


def _of_row(cells: Sequence[Cell], context: str) -> Iterator[RowQuestion]:
    at = subject_column(cells)
    if at is None:
        return
    own = cells[at]
    subject = describe(own.label, own.value, context)
    if subject is None:
        return
    if kind_of(own.label) in known.MATRIX and len(cells) > 2 and not any(is_known(cell.label) for cell in cells[1:]):
        return  # columns are things, and the first cell is what is told of them
    names = [label_of(cell.label).name.lower() for cell in cells]
    second = _second(cells, at) if _is_shared(own, context) else None
    for i, cell in enumerate(cells):
        if i != at and cell is not second and cell.label != own.label:
            label = label_of(cell.label)
            if label.name.lower() == "hours" and "opening hours" in context.lower():
                label = Label("Opening hours")
            detail = label.detail or (label.unit if names.count(label.name.lower()) > 1 else "")
            detail = ", ".join(filter(None, (second.value if second else "", detail)))
            yield from _asked(i, cell, question_to(label, cell.value, subject), detail, _fact(own, cell, second))


def _of_line(cells: Sequence[Cell], headings: Sequence[str]) -> Iterator[RowQuestion]:
    cell = _line_cell(cells)
    label = label_of(cell.label)
    subject = heading_subject(headings)
    fact = _line_fact(cell, subject)
    if _DAYS.fullmatch(label.name):
        yield from _asked(0, cell, _day_question(label.name, headings), "", fact)
        return
    if not is_known(label.name) and not _is_short_fact(cell):
        return
    if len(cell.value.split()) > _MAX_LINE_VALUE * 2 or (subject is not None and label.name.lower() in subject.phrase.lower()):
        return
    if subject is None:
        yield from _asked(0, cell, _your_question(label.name, cell.value), "", fact)
        return
    yield from _asked(0, cell, question_to(label, cell.value, subject), label.detail, fact)


def _asked(column: int, cell: Cell, question: str | None, detail: str, fact: RowFact) -> Iterator[RowQuestion]:
    if question is None:
        return
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


def _line_fact(cell: Cell, subject: Subject | None) -> RowFact:
    return RowFact(_normal(subject.phrase if subject else ""), _normal(cell.label))


def _fact(own: Cell, cell: Cell, second: Cell | None = None) -> RowFact:
    further = f"; {second.label}: {second.value}" if second else ""
    return RowFact(_normal(f"{own.label}: {own.value}{further}"), _normal(cell.label))


def _second(cells: Sequence[Cell], at: int) -> Cell | None:
    """The cell that tells rows with one subject apart: the next that names something."""
    return next((cell for i, cell in enumerate(cells) if i > at and is_text(cell.value)), None)


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
    subject = describe("day", day, "")
    return f"What are the opening hours {subject.preposition} {subject.phrase}?" if hours and subject else None


def _your_question(name: str, value: str) -> str | None:
    """What is asked of whoever wrote the document, where nothing else is said to be meant."""
    noun = known.CONTACTS.get(name.lower().rstrip("."), name.lower())
    if is_placeholder(value) or noun.split()[-1] not in known.CONTACT_NOUNS | {"hours"}:
        return None
    return f"What {'are' if noun.endswith('hours') else 'is'} your {noun}?"


def _normal(text: str) -> str:
    return " ".join(text.split()).casefold()
