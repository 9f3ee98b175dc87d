"""Which column of a table is the question, which the answer, and what else counts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import get_args

from engine.errors import InputError
from engine.requests import ColumnRole

ROLES: tuple[ColumnRole, ...] = get_args(ColumnRole)
"""What a column can be: what is asked and answered; an instruction that goes before the question, or a text that goes after it;
the name of the passage that the row comes from, by which examples are kept together."""

REQUIRED: tuple[ColumnRole, ...] = ("question", "answer")

_COMMON: Mapping[ColumnRole, tuple[str, ...]] = {
    "question": (
        "question",
        "questions",
        "frage",
        "fragen",
        "pregunta",
        "domanda",
        "pergunta",
        "vraag",
        "pytanie",
        "q",
        "prompt",
        "query",
        "user",
        "human",
        "instruction",
        "input",
    ),
    "answer": (
        "answer",
        "answers",
        "antwort",
        "antworten",
        "réponse",
        "reponse",
        "respuesta",
        "risposta",
        "resposta",
        "antwoord",
        "odpowiedź",
        "a",
        "response",
        "output",
        "completion",
        "reply",
        "assistant",
        "gpt",
    ),
    "system": ("system", "system prompt", "system message", "instructions", "instruction"),
    "context": ("context", "kontext", "contexte", "contexto", "contesto", "input"),
    "group": ("group", "gruppe", "passage"),
}
"""Names that columns of each kind commonly have, the surest first."""

_SHOWN_COLUMNS = 20
_SHOWN_CHARACTERS = 40


def mapped_columns(header: Sequence[str], given: Mapping[ColumnRole, str] | None = None) -> dict[ColumnRole, str]:
    """The columns of a header by what they are: those that somebody named, and for the rest those with a common name.

    Letter case does not count.

    Raises:
        InputError: a named column is not there or there twice, or no column is the question or the answer.
    """
    found = {role: _named(header, role, name) for role, name in (given or {}).items()}
    found |= guessed_columns(header, found)
    missing = [role for role in REQUIRED if role not in found]
    if missing:
        noun = "column" if len(missing) == 1 else "columns"
        raise InputError(
            f"the {noun} {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; {listed(header)}.",
            hint="Say which column is the question and which the answer, in a command as --column question=NAME.",
        )
    return found


def guessed_columns(header: Sequence[str], taken: Mapping[ColumnRole, str] | None = None) -> dict[ColumnRole, str]:
    """The columns whose names say what they are; no column twice, and none that is taken."""
    found = dict(taken or {})
    by_name = {_plain(name): name for name in reversed(header) if name}
    for role in ROLES:
        names = (by_name[name] for name in _COMMON[role] if name in by_name)
        free = next((name for name in names if name not in found.values()), None)
        if role not in found and free is not None:
            found[role] = free
    return found


def parse_columns(assignments: Iterable[str]) -> dict[ColumnRole, str]:
    """Columns from texts such as `question=Frage`.

    Raises:
        InputError: a text is no assignment, or names nothing that a column can be.
    """
    found: dict[ColumnRole, str] = {}
    for assignment in assignments:
        role, equals, name = (part.strip() for part in assignment.partition("="))
        known = next((known for known in ROLES if known == role), None)
        if not equals or not name or known is None:
            hint = f"Write it like question=Frage. A column can be: {', '.join(ROLES)}."
            raise InputError(f"{assignment!r} does not say what a column is.", hint=hint)
        found[known] = name
    return found


def listed(header: Collection[str]) -> str:
    """What columns there are, in words and at a bounded length."""
    names = [repr(name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}…") for name in header]
    more = len(names) - _SHOWN_COLUMNS
    shown = ", ".join(names[:_SHOWN_COLUMNS]) + (f" and {more} more" if more > 0 else "")
    return f"the columns are {shown}" if names else "there are no columns"


def _named(header: Sequence[str], role: ColumnRole, name: str) -> str:
    same = [column for column in header if column == name] or [column for column in header if _plain(column) == _plain(name)]
    if len(same) == 1:
        return same[0]
    many = "two columns" if same else "no column"
    raise InputError(f"there is {many} {name[:_SHOWN_CHARACTERS]!r} for the {role}; {listed(header)}.", hint="Name another.")


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()
