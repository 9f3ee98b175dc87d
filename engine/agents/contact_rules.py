"""E-mail addresses and telephone numbers in a message."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.agents.fields import EMAIL
from engine.agents.found import Found

_PHONE = re.compile(r"(?<![\w@#$€£¥.,/+-])(?<![0-9]:)(?:\+|\(\+)?\(?[0-9][0-9 ()./\u00a0-]{4,22}[0-9](?![\w@%€£$]|[.,:][0-9])")
_DATE = re.compile(
    r"(?:[0-9]{4}[-./ ][0-9]{1,2}[-./ ][0-9]{1,2}|[0-9]{1,2}[-./ ][0-9]{1,2}[-./ ](?:[0-9]{4}|[0-9]{2}))(?:[ -].*)?"
)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:[ .][0-9]{3})+(?: ?- ?[0-9]{1,3}(?:[ .][0-9]{3})+)?")
_NORTH_AMERICAN = re.compile(r"(?:1[ .-])?(?:\([0-9]{3}\) ?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}")
_PHONE_CUE = re.compile(
    r"\b(?:tel|telephone|phone|mobile|cell|cellphone|handy|whatsapp|signal|fax|call|ring|text|reach|dial|sms|landline)\b", re.I
)
_NUMBER_CUE = re.compile(r"\b(?:my|the|new|contact|is a|it's|on|at)\s+number\b|\bnumber is\b", re.I)
_OTHER_NUMBER = re.compile(
    r"\b(?:order|invoice|ticket|reference|ref|tracking|customer|account|card|iban|vat|tax|serial|booking|reservation|policy|"
    r"contract|case|part|article|item|sku|isbn|pin|code|zip|postcode|postal|passport|licen[cs]e|id|version|price|pay|paid|"
    r"costs?|about|total|usd|eur|gbp|euros?|dollars?|pounds?|room|between)\b[^.;!?\n0-9]{0,18}$",
    re.I,
)
_UNIT = re.compile(
    r"\s*(?:[€£$%]|(?:usd|eur|gbp|chf|euros?|dollars?|pounds?|people|persons?|units?|pieces|kg|km|am|pm|o'clock)\b)", re.I
)
_NEGATED = re.compile(
    r"\b(?:not|instead of|rather than|isn't|no longer|old (?:one|number|address|e-?mail)(?: was| is)?|your)\s*:?\s*"
    r"(?:e-?mail |number |address )?$",
    re.I,
)
_INTRODUCTION = re.compile(
    r"(?:(?:and|or|,|so|please)\s+)*(?:(?:you can|please|just|feel free to)\s+)*(?:(?:my|the|our)\s+)?"
    r"(?:new |work |direct |contact )?(?:(?:e-?mail|mail|telephone|phone|mobile|cell|tel|number|address|contact|call|reach|"
    r"write|text|ring|whatsapp|me|us|to|"
    r"at|on|is|under|via|by|it's|it is|number is|using|my)\b[\s.:=-]*)+[<(\[\"'`]*$",
    re.I,
)
_LOOK_BACK = 60
"""Characters before a value in which words that announce it are looked for."""


def find_emails(field: str, message: str) -> Iterator[Found]:
    """The e-mail addresses of a message, but for those that it calls wrong or the reader's."""
    for match in EMAIL.finditer(message):
        if not _NEGATED.search(message[max(0, match.start() - _LOOK_BACK) : match.start()]):
            yield _found(field, message, match.start(), match.end())


def find_phones(field: str, message: str, *, asked: bool) -> Iterator[Found]:
    """The telephone numbers of a message.

    Numbers with an international prefix, or grouped as telephone numbers are, stand for themselves; others need a word such
    as "call", or that a telephone number was asked for. Prices, dates, quantities and order numbers are passed over.

    Args:
        field: the field that they are for.
        message: what the customer wrote.
        asked: whether the agent has just asked for a telephone number.
    """
    for match in _PHONE.finditer(message):
        start, end = match.start(), match.start() + len(_trimmed(match.group()))
        before, text = message[max(0, start - _LOOK_BACK) : start], message[start:end]
        if _is_other_number(text, before, message[end:]):
            continue
        if _stands_alone(text) or asked or _announced(before):
            yield _found(field, message, start, end)


def _trimmed(text: str) -> str:
    """Without an unmatched bracket or a separator at the end."""
    text = text.rstrip(" .-/(\u00a0")
    return text[:-1].rstrip() if text.endswith(")") and "(" not in text else text


def _is_other_number(text: str, before: str, after: str) -> bool:
    return (
        _DATE.fullmatch(text) is not None
        or _OTHER_NUMBER.search(before) is not None
        or _NEGATED.search(before) is not None
        or _UNIT.match(after) is not None
    )


def _stands_alone(text: str) -> bool:
    digits = sum(character.isdecimal() for character in text)
    if text.lstrip("(").startswith("+") or text.startswith("00"):
        return 8 <= digits <= 15
    if _THOUSANDS.fullmatch(text):
        return False
    return _NORTH_AMERICAN.fullmatch(text) is not None or (text.lstrip("(").startswith("0") and 9 <= digits <= 12)


def _announced(before: str) -> bool:
    clause = re.split(r"[.;!?\n]\s", before)[-1]
    return _PHONE_CUE.search(clause) is not None or _NUMBER_CUE.search(clause) is not None


def _found(field: str, message: str, start: int, end: int) -> Found:
    introduction = _INTRODUCTION.search(message, max(0, start - _LOOK_BACK), start)
    return Found(field, message[start:end], introduction.start() if introduction else start, end)
