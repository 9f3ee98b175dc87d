"""Cleaning of text, the same for every format."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}

# What nobody sees must not reach a model: soft hyphens, zero-width space and joiner, bidirectional overrides, Unicode tags.
_INVISIBLE = dict.fromkeys(
    [
        0x00AD,
        0x180E,
        0x200B,
        0x200E,
        0x200F,
        0x2060,
        0xFEFF,
        *range(0x202A, 0x202F),
        *range(0x2061, 0x2070),
        *range(0xE0000, 0xE0080),
    ]
)
# Control characters; those that are white space are left to `_SPACES`.
_CONTROL = dict.fromkeys(code for code in [*range(0x20), *range(0x7F, 0xA0)] if not chr(code).isspace())
_TABLE = str.maketrans(
    {**_INVISIBLE, **_CONTROL, **{ord(key): value for key, value in LIGATURES.items()}, 0xFFFE: None, 0xFFFF: None}
)
_MAX_LISTED = 10
_SPACES = re.compile(r"\s+")
_LIST_MARKER = re.compile(
    r"(?P<bullet>[•●○◦▪■□▸►‣⁃∙·–—*+-])\s+(?=\S)|(?P<number>\d{1,3}[.)]|\(\d{1,3}\)|[a-z][.)]|\([a-zA-Z]\))\s+(?=\S)"
)


def clean(text: str) -> str:
    """One line of text: composed (NFC), ligatures spelled out, invisible characters gone, each run of white space one space."""
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text.translate(_TABLE))).strip()


def clean_lines(text: str) -> str:
    """As `clean`, line by line; empty lines go."""
    return "\n".join(line for line in map(clean, text.splitlines()) if line)


def split_marker(line: str) -> tuple[str, str]:
    """Take the bullet or number off a list item.

    Returns:
        The marker as it is written in page texts (`-` for any bullet, the number as it stands, empty where there is none)
        and the rest of the line.
    """
    match = _LIST_MARKER.match(line)
    if match is None:
        return "", line
    return ("-" if match["bullet"] else match["number"]), line[match.end() :]


def numbered(noun: str, numbers: Sequence[int]) -> str:
    """`page 3`, or `pages 3, 5, 8`; of many the first ten."""
    shown = ", ".join(map(str, numbers[:_MAX_LISTED])) + (" …" if len(numbers) > _MAX_LISTED else "")
    return f"{noun}{'s' if len(numbers) > 1 else ''} {shown}"


def list_item(text: str, marker: str = "-") -> str:
    """A list item as it is written in page texts."""
    return f"{marker} {text}"
