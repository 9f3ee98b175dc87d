"""File names that came from somewhere else, made harmless."""

from __future__ import annotations

import re
import unicodedata

MAX_NAME_BYTES = 160
"""Short enough for every file system (255 bytes) with a prefix of ours in front."""
FALLBACK_NAME = "document"

_RESERVED = {"con", "prn", "aux", "nul"} | {f"{device}{n}" for device in ("com", "lpt") for n in range(1, 10)}
_PUNCTUATION = set(" ._-()+&,'")
_MAX_SUFFIX = 12


def safe_name(name: str) -> str:
    """A name that is safe to store, to show and to write to disk, and that still looks like the given one.

    Folders are cut off (both kinds of slash), odd characters become `_`, leading dots and outer spaces go, names that are
    devices on Windows get a `_` in front, and the length is at most `MAX_NAME_BYTES` in UTF-8 with the ending kept.
    Never empty, and `safe_name(safe_name(x)) == safe_name(x)`.
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rstrip("/").rpartition("/")[2]
    kept = unicodedata.normalize("NFC", "".join(map(_keep, last)))
    tidy = re.sub(r"_{2,}", "_", re.sub(r"\s+", " ", kept)).strip(" .")
    if not any(character.isalnum() for character in tidy):
        return FALLBACK_NAME
    if tidy.split(".")[0].strip().lower() in _RESERVED:
        tidy = f"_{tidy}"
    return _shorten(tidy)


def _keep(character: str) -> str:
    if unicodedata.category(character)[0] in "LNM" or character in _PUNCTUATION:
        return character
    return "" if unicodedata.category(character).startswith("C") else "_"


def _shorten(name: str) -> str:
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix) > _MAX_SUFFIX:
        stem, dot, suffix = name, "", ""
    room = MAX_NAME_BYTES - len((dot + suffix).encode())
    return stem.encode()[:room].decode(errors="ignore").strip(" .") + dot + suffix
