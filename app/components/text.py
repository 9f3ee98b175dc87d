"""Safe ways to show text that people, documents and models have written, and short forms of numbers and times.

Whatever comes from outside is shown with `st.text` or passes through `plain` before it reaches anything that reads Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from engine.domain import Json, utc_now

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_AUTOLINK = re.compile(r"(?i)(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)")
_WORD_JOINER = "\u2060"
"""An invisible character. Addresses become links after escapes are resolved; it is what keeps them text."""


def plain(text: str) -> str:
    """Markdown that shows exactly this text on one line: no emphasis, link, image, formula or icon."""
    return _PUNCTUATION.sub(r"\\\1", _AUTOLINK.sub(_WORD_JOINER, " ".join(text.split())))


def shortened(text: str, limit: int) -> str:
    """The text on one line, cut to `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def sentence(text: str) -> str:
    """The text with a capital first letter, unless it begins with a name such as `report.pdf`."""
    first = text.split(maxsplit=1)[0] if text.strip() else ""
    return text[:1].upper() + text[1:] if first.isalpha() else text


def duration(seconds: float) -> str:
    """Seconds for people: `0.4 s`, `12 s`, `3 min 5 s`, `1 h 2 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def shown_value(value: float | None, form: str) -> str:
    """A figure in a form such as `{:.3f}`; empty where there is none."""
    return "" if value is None else form.format(value)


def size(count: float) -> str:
    """Bytes for people, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def counted(count: int, noun: str) -> str:
    """A number and its noun: `1 page`, `2 pages`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def ago(moment: datetime) -> str:
    """How long ago something was: `just now`, `5 min ago`, `2 days ago`, or the date."""
    seconds = (utc_now() - moment).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 86_400:
        return f"{seconds // 3600:.0f} h ago"
    if seconds < 7 * 86_400:
        return f"{counted(int(seconds // 86_400), 'day')} ago"
    return clock(moment)[:10]


def clock(moment: datetime) -> str:
    """A moment in the local time of this machine, to the second."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def number(data: Mapping[str, Json], key: str) -> float | None:
    """The number under a key of plain data; None where there is none."""
    value = data.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def string(data: Mapping[str, Json], key: str) -> str:
    """The text under a key of plain data; empty where there is none."""
    value = data.get(key)
    return value if isinstance(value, str) else ""


def mapping(data: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    """The object under a key of plain data; empty where there is none."""
    value = data.get(key)
    return value if isinstance(value, dict) else {}
