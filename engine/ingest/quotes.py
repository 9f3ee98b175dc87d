"""Finding a quote in the page that it was taken from."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left

from engine.domain import BlockKind, BoundingBox, LineBox, Page, Place
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
    return _locate(page_text, quote, 0)


def place_of(page: Page, quote: str, *, near: int = 0) -> Place | None:
    """Where a quote stands on a page, and the boxes of the lines that it covers.

    Args:
        page: the page.
        quote: the words, found by the rules of `locate_quote`.
        near: an offset into the page's text; where it says the same several times, the occurrence that starts nearest counts.

    Returns:
        The place, or None where the page does not say so. It has no boxes where the format has no positions; a block that
        knows its own box alone gives that.
    """
    span = _locate(page.text, quote, near)
    return None if span is None else Place(*span, _boxes(page, *span))


def _boxes(page: Page, start: int, end: int) -> tuple[BoundingBox, ...]:
    boxes: list[BoundingBox] = []
    for block in page.blocks:
        if block.start < end and start < block.end:
            lines = [line for line in block.lines if line.start < end and start < line.end]
            if block.kind is BlockKind.TABLE_ROW:  # cells stand at columns
                boxes += [line.box for line in lines]
            else:
                boxes += [_part(page.text, line, start, end) for line in lines]
            if not block.lines and block.bbox is not None:
                boxes.append(block.bbox)
    return tuple(dict.fromkeys(boxes))


def _part(text: str, line: LineBox, start: int, end: int) -> BoundingBox:
    """The box of the part of a line that lies between two offsets, as if all letters were equally wide.

    Lines from top to bottom or from right to left are given whole.
    """
    left, top, right, bottom = line.box
    words = text[line.start : line.end]
    if not words or bottom - top > right - left or any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in words):
        return line.box
    letter = (right - left) / len(words)
    first, last = max(start - line.start, 0), min(end, line.end) - line.start
    return left + first * letter, top, left + last * letter if last < len(words) else right, bottom


def _locate(text: str, quote: str, near: int) -> tuple[int, int] | None:
    wanted = quote.strip()
    if not wanted:
        return None
    start = _nearest(text, wanted, near)
    if start is not None:
        return start, start + len(wanted)
    folded, origins = _fold(text)
    needle = _fold(wanted)[0].strip()
    at = _nearest(folded, needle, bisect_left(origins, near)) if needle else None
    if at is None:
        return None
    return origins[at], origins[at + len(needle) - 1] + 1


def _nearest(text: str, wanted: str, near: int) -> int | None:
    """The start of the occurrence that begins nearest to an offset."""
    near = min(max(near, 0), len(text))
    starts = [text.rfind(wanted, 0, near + len(wanted)), text.find(wanted, near)]
    return min((start for start in starts if start >= 0), key=lambda start: abs(start - near), default=None)


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
