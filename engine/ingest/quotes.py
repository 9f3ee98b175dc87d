"""Finding a quote in the page that it was taken from."""

from __future__ import annotations

import re
import unicodedata

from engine.ingest.text import LIGATURES

_FOLDED = {
    **LIGATURES,
    **dict.fromkeys("‘’‚‛′´`", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    "…": "...",
    "\u00ad": "",
    "\u200b": "",
}
_HYPHEN_BREAK = re.compile(r"(?<=\w)[-‐\u00ad]\s+(?=\w)")


def locate_quote(page_text: str, quote: str) -> tuple[int, int] | None:
    """Where a quote stands in a page's text.

    First as it is; then with any white space taken for any other, words that were hyphenated at a line's end joined, and
    typographic quotation marks, dashes and ligatures taken for plain ones. Letters must match exactly.

    Returns:
        Start and end offsets into `page_text`, or None where the page does not say so.
    """
    wanted = quote.strip()
    if not wanted:
        return None
    start = page_text.find(wanted)
    if start >= 0:
        return start, start + len(wanted)
    folded, origins = _fold(page_text)
    needle = _fold(wanted)[0].strip()
    at = folded.find(needle) if needle else -1
    if at < 0:
        return None
    return origins[at], origins[at + len(needle) - 1] + 1


def _fold(text: str) -> tuple[str, list[int]]:
    """The text in plain form, and for each of its characters the offset where it came from."""
    skipped = {at for match in _HYPHEN_BREAK.finditer(text) for at in range(*match.span())}
    characters: list[str] = []
    origins: list[int] = []
    for offset, character in enumerate(text):
        if offset in skipped:
            continue
        plain = " " if character.isspace() else _FOLDED.get(character, character)
        if plain == " " and characters and characters[-1] == " ":
            continue
        plain = unicodedata.normalize("NFC", plain)
        characters.extend(plain)
        origins.extend([offset] * len(plain))
    return "".join(characters), origins
