"""Numbers in a workbook as the person sees them: with the unit, decimals or date that the cell's format gives them.

The format codes are those of ECMA-376 (Office Open XML), part 1, section 18.8.30. What is rarely used, such as fractions and
conditions, is shown as the plain number.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal

BUILT_IN = {
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    9: "0%",
    10: "0.00%",
    14: "yyyy-mm-dd",
    15: "d-mmm-yy",
    16: "d-mmm",
    17: "mmm-yy",
    18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM",
    20: "h:mm",
    21: "h:mm:ss",
    22: "yyyy-mm-dd h:mm",
    37: "#,##0",
    38: "#,##0",
    39: "#,##0.00",
    40: "#,##0.00",
    45: "mm:ss",
    46: "[h]:mm:ss",
}
"""Format codes that every workbook knows by number."""

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|\[\$(?P<currency>[^\]-]*)[^\]]*\]|(?P<elapsed>\[[hms]+\])|\[[^\]]*\]'
    r"|_.|\*.|(?P<digits>[#0?][#0?,]*(?:\.[#0?]*,*)?|\.[#0?]+)|(?P<part>AM/PM|A/P|[ymdhs]+)|(?P<literal>.)",
    re.IGNORECASE | re.DOTALL,
)
_UNKNOWN = frozenset("/@eEgGbB")
"""Letters of fractions, texts, exponents and calendars that are not shown here."""
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - cells know no time zone
_EPOCH_1904 = datetime(1904, 1, 1)  # noqa: DTZ001
_FIRST_SOUND_DAY = 61
"""Before this day the serial numbers count a 29 February 1900 that never was."""
_MAX_DAYS = 2_958_466
"""One after 31 December 9999."""
_MAX_DECIMALS = 15
_ROUNDING = Context(prec=400, rounding=ROUND_HALF_UP)
"""A half goes away from zero, as spreadsheet programs show it; the precision is enough for all digits of the largest number."""
_MAX_THOUSANDS = 5
"""Commas behind the digits, each of which divides by a thousand."""


def shown_number(value: float, code: str, *, from_1904: bool = False) -> str:
    """A number as its format code shows it; dates and times in ISO 8601.

    Args:
        value: the cell's number.
        code: its format code; empty or `General` for none.
        from_1904: whether the workbook counts days from 1904.
    """
    tokens = list(_TOKEN.finditer(code.split(";")[0]))
    if any(token["part"] or token["elapsed"] for token in tokens) and not any(token["digits"] for token in tokens):
        return _moment(value, tokens, from_1904=from_1904) or _plain(value)
    digits = [token["digits"] for token in tokens if token["digits"]]
    unknown = any(token["part"] or (token["literal"] or "") in _UNKNOWN for token in tokens)
    if len(digits) != 1 or unknown or not math.isfinite(value):
        return _plain(value)
    return _with_units(value, digits[0], tokens)


def _plain(value: float) -> str:
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.15g}"


def _with_units(value: float, digits: str, tokens: list[re.Match[str]]) -> str:
    around: list[str] = []
    percent = any(token["literal"] == "%" for token in tokens)
    number = _digits(abs(Decimal(repr(value))) * (100 if percent else 1), digits)
    for token in tokens:
        if token["digits"]:
            around.append(number)
        else:
            around.append(next((text for key in ("quoted", "escaped", "currency", "literal") if (text := token[key])), ""))
    text = "".join(around).strip()
    return f"-{text}" if value < 0 and any(character in "123456789" for character in number) and text[0] != "-" else text


def _digits(value: Decimal, digits: str) -> str:
    thousands = min(len(digits) - len(digits.rstrip(",")), _MAX_THOUSANDS)
    whole, _, decimals = digits.rstrip(",").partition(".")
    optional = len(decimals) - len(decimals.rstrip("#?"))
    places = min(len(decimals), _MAX_DECIMALS)
    rounded = value.scaleb(-3 * thousands).quantize(Decimal(1).scaleb(-places), context=_ROUNDING)
    text = f"{rounded:{',' if ',' in whole else ''}.{places}f}"
    for _ in range(min(optional, places)):
        text = text.removesuffix("0")
    return text.removesuffix(".")


def _moment(value: float, tokens: list[re.Match[str]], *, from_1904: bool) -> str | None:
    letters = "".join(
        (token["part"] or "").lower() for token in tokens if (token["part"] or "").upper() not in ("AM/PM", "A/P")
    )
    if not 0 <= value < _MAX_DAYS:
        return None
    if any(token["elapsed"] for token in tokens):
        minutes = round(value * 24 * 60)
        return f"{minutes // 60}:{minutes % 60:02}"
    days = value if from_1904 or value >= _FIRST_SOUND_DAY else value + 1
    try:
        moment = (_EPOCH_1904 if from_1904 else _EPOCH) + timedelta(seconds=round(days * 86400))
    except OverflowError:
        return None
    time = ("%H:%M:%S" if "s" in letters else "%H:%M") if "h" in letters or "s" in letters else ""
    date = "%Y-%m-%d" if "d" in letters else "%Y-%m" if "m" in letters and "y" in letters else "%Y" if "y" in letters else ""
    return moment.strftime(" ".join(filter(None, (date, time)))) or None
