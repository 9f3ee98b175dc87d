"""Lead fields: what kind each is, and which values it accepts."""

from __future__ import annotations

import re
from enum import StrEnum

from engine.agents.words import LETTER, NOT_A_VALUE, is_name_word, name_words

LONGEST_EMAIL = 254
"""Characters of an e-mail address (RFC 5321, the longest path)."""

LONGEST_LOCAL_PART = 64
"""Characters before the @ (RFC 5321, section 4.5.3.1.1)."""

MOST_NAME_WORDS = 5
MOST_COMPANY_WORDS = 8
LONGEST_NAME = 80
LONGEST_VALUE = 120
LONGEST_ANSWER = 300
"""Characters of a message that may be nothing but an answer to the agent's question."""

EMAIL = re.compile(
    r"(?<![\w.+@/-])[^\W_][\w.%+'’-]{0,63}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,24}(?![\w@])",
)
_DIGIT = re.compile(r"[0-9]")
_PHONE_SHAPE = re.compile(r"\+?[0-9(][0-9 ()./\u00a0-]*[0-9]")
_HAS_LETTER = re.compile(LETTER)
_FORMULA = re.compile(
    r"[=＝]"  # a formula, whatever follows
    r"|[-+@－＋＠]\S*[^\W\d][\d.]*\("  # a function: +SUM(
    r"|[-+@－＋＠]\S*[^\W\d]\|[^|]*!"  # another program: +1-cmd|' /C calc'!A0
    r"|[-+－＋]\$?[A-Za-z]{1,3}\$?\d{1,7}(?:[-+*/^&:=]|\Z)"  # cells: -A1+B2
)
"""What a spreadsheet runs (OWASP, CSV injection). A sign before a number or a word is none."""


class FieldKind(StrEnum):
    """What a lead field holds, which decides how it is found and checked."""

    NAME = "name"
    EMAIL = "email"
    PHONE = "phone"
    COMPANY = "company"
    OTHER = "other"


_KINDS: dict[str, FieldKind] = {
    **dict.fromkeys(("name", "full name", "your name", "contact name", "customer name"), FieldKind.NAME),
    **dict.fromkeys(("email", "e mail", "mail", "email address", "mail address"), FieldKind.EMAIL),
    **dict.fromkeys(("phone", "telephone", "mobile", "phone number", "tel", "cell", "telephone number"), FieldKind.PHONE),
    **dict.fromkeys(("company", "company name", "organisation", "organization", "employer", "business"), FieldKind.COMPANY),
}


def label(field: str) -> str:
    """A field's name as people write it: `team_size` is "team size"."""
    return " ".join(field.replace("_", " ").split())


def kind_of(field: str) -> FieldKind:
    """The kind of a field, by its name; `OTHER` for fields that only the agent's owner knows."""
    return _KINDS.get(label(field), FieldKind.OTHER)


def is_valid(field: str, value: str) -> bool:
    """Whether a field accepts a value."""
    return not looks_like_formula(value) and _VALIDATORS[kind_of(field)](value)


def looks_like_formula(text: str) -> bool:
    """Whether a text begins with what a spreadsheet would run. No field takes that, whatever becomes of it later."""
    return _FORMULA.match(text[:LONGEST_VALUE]) is not None


def _valid_name(value: str) -> bool:
    words = name_words(value)
    return (
        1 <= len(words) <= MOST_NAME_WORDS
        and len(value) <= LONGEST_NAME
        and " ".join(words) == value
        and all(is_name_word(word) for word in words)
    )


def _valid_email(value: str) -> bool:
    local = value.partition("@")[0]
    return (
        EMAIL.fullmatch(value) is not None
        and len(value) <= LONGEST_EMAIL
        and len(local) <= LONGEST_LOCAL_PART
        and ".." not in value
        and not local.endswith(".")
    )


def _valid_phone(value: str) -> bool:
    """Six digits, the shortest local numbers, to fifteen, the longest of ITU-T E.164."""
    return _PHONE_SHAPE.fullmatch(value) is not None and 6 <= len(_DIGIT.findall(value)) <= 15


def _valid_company(value: str) -> bool:
    words = value.split()
    return (
        1 <= len(words) <= MOST_COMPANY_WORDS
        and len(value) <= LONGEST_NAME
        and _is_line(value)
        and "@" not in value
        and _HAS_LETTER.search(value) is not None
        and not all(word.casefold().strip(".,!") in NOT_A_VALUE for word in words)
    )


def _valid_other(value: str) -> bool:
    words = value.split()
    return (
        0 < len(value) <= LONGEST_VALUE
        and _is_line(value)
        and any(character.isalnum() for character in value)
        and not all(word.casefold().strip(".,!") in NOT_A_VALUE for word in words)
    )


def _is_line(value: str) -> bool:
    return value.isprintable() and value == value.strip()


_VALIDATORS = {
    FieldKind.NAME: _valid_name,
    FieldKind.EMAIL: _valid_email,
    FieldKind.PHONE: _valid_phone,
    FieldKind.COMPANY: _valid_company,
    FieldKind.OTHER: _valid_other,
}
