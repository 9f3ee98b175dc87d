"""Text that no person could read: what comes out of fonts without a table of their characters, or of a wrong encoding.

Judged by what all legible text has in common. Where there is too little to judge, or the script is one of which too little is
known here, text is taken to be legible.
"""

from __future__ import annotations

import re
import unicodedata

_MIN_LETTERS = 40
_MAX_UNKNOWN = 0.1
"""Share of characters that stand for none: replacement characters, private use, unassigned."""
_COMMON = frozenset("aeilnorst")
_MIN_COMMON = 0.42
"""Share of these letters in words of the Latin script: two thirds in English or German, over half in Czech, Polish, Turkish or
Vietnamese, a third where letters were exchanged for others."""
_MIN_LATIN_LETTERS = 100
_LONGEST_MEAN_WORD = 25
_MAX_SYMBOLS = 0.6
"""Share of characters that are neither letters nor digits; leaders such as dots do not count."""
_MAX_MOJIBAKE = 0.005
_UNKNOWN = frozenset({"Co", "Cn", "Cs"})
_LEADERS = re.compile(r"[.\-_·…=|*+/\\]|\s")
_LATIN_WORD = re.compile(r"[a-zA-ZÀ-ɏ]{2,}")
_RUN = re.compile(r"[a-zA-ZÀ-ɏͰ-ϿЀ-ӿ0-9.,;:!?'-]+")
_SECOND_BYTES = "\u0080-\u00bfŒœŠšŸŽžƒˆ˜–—‘’‚“”„†‡•…‰‹›€™"
"""What the second byte of a letter in UTF-8 looks like as Latin-1 or Windows-1252."""
_MOJIBAKE = re.compile(f"[ÃÂÄÅÐÑ][{_SECOND_BYTES}]|â€[{_SECOND_BYTES}]")


def is_garbled(text: str) -> bool:
    """Whether a text is garbage and not words of any language."""
    seen = _LEADERS.sub("", text)
    if len(seen) < _MIN_LETTERS:
        return False
    unknown = sum(character == "\ufffd" or unicodedata.category(character) in _UNKNOWN for character in seen)
    symbols = sum(not character.isalnum() and unicodedata.category(character)[0] not in "MC" for character in seen)
    return (
        unknown > _MAX_UNKNOWN * len(seen)
        or symbols > _MAX_SYMBOLS * len(seen)
        or is_mojibake(text)
        or _has_odd_letters(text)
        or _lacks_spaces(text)
    )


def is_mojibake(text: str) -> bool:
    """Whether a text was UTF-8 and has been taken for another encoding: `Ã¤` where `ä` was meant."""
    return len(_MOJIBAKE.findall(text)) > max(2, _MAX_MOJIBAKE * len(text))


def _has_odd_letters(text: str) -> bool:
    """Whether the letters that every language in Latin script uses most are rare."""
    words = unicodedata.normalize("NFD", "".join(_LATIN_WORD.findall(text)).lower())
    letters = [character for character in words if character.isalpha()]
    if len(letters) < _MIN_LATIN_LETTERS or len(letters) < 0.5 * sum(map(str.isalpha, text)):
        return False
    return sum(letter in _COMMON for letter in letters) < _MIN_COMMON * len(letters)


def _lacks_spaces(text: str) -> bool:
    runs = [run for run in _RUN.findall(text) if any(map(str.isalpha, run))]
    letters = sum(map(len, runs))
    return letters > 150 and letters > 0.8 * len(text.strip()) and letters > _LONGEST_MEAN_WORD * len(runs)
