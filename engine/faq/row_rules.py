"""Questions to table rows and to lines `label: value`, by rule."""

from __future__ import annotations

from collections.abc import Iterator

_MAX_QUESTIONS_OF_A_ROW = 4
_MAX_SUBJECT = 80


def row_questions(row: str, topic: str) -> Iterator[tuple[str, str]]:
    """Questions and answers of one row; each answer is a span of the row.

    `Plan: Basic; Price: 5 EUR` gives "What is the price for plan Basic?" and "Price: 5 EUR"; a single `label: value` is asked
    about with the topic of its section.
    """
    cells = _cells(row)
    if len(cells) == 1:
        label, value, _ = cells[0]
        about = f" for {topic}" if topic and topic.lower() not in label.lower() else ""
        yield f"{_what_is(label)}{about}?", value
        return
    if not cells:
        return
    first_label, subject, _ = cells[0]
    if len(subject) > _MAX_SUBJECT:
        return
    # Most tables have their subject in the first column; its name tells what the subject is.
    kind = "" if first_label.split()[-1].lower() in subject.lower() else f"{_as_noun(first_label)} "
    for label, _value, span in cells[1 : 1 + _MAX_QUESTIONS_OF_A_ROW]:
        yield f"{_what_is(label)} for {kind}{subject}?", span


def _cells(row: str) -> list[tuple[str, str, str]]:
    """Label, value and the span of the row that holds both, of each cell."""
    cells: list[tuple[str, str, str]] = []
    for part in row.rstrip(" .").split("; "):
        label, colon, value = part.partition(": ")
        if colon and label.strip() and value.strip():
            cells.append((label.strip(), value.strip(), part.strip()))
        elif cells:  # A semicolon inside a value.
            label, value, span = cells.pop()
            cells.append((label, f"{value}; {part}", f"{span}; {part}"))
    return cells


def _what_is(label: str) -> str:
    last = label.split()[-1].lower()
    plural = last.endswith("s") and not last.endswith(("ss", "us", "is"))
    return f"What {'are' if plural else 'is'} the {_as_noun(label)}"


def _as_noun(label: str) -> str:
    """A label as it stands within a sentence: in lower case, but for abbreviations and names such as `USB port`."""
    return " ".join(word.lower() if word.istitle() and len(word) > 1 else word for word in label.split())
