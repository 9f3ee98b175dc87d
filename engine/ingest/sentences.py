"""Where sentences begin and end."""

from __future__ import annotations

import re

from engine.ingest.text import split_marker

_TITLES = "dr mr mrs ms mx prof st rev hon gen col capt lt sgt messrs"
_REFERENCES = "v vs cf viz e.g i.e eg ie ca approx fig figs eq sec ch vol pp tel ext abbr incl excl resp z.b d.h bzw ggf str"
_COMPANIES = "etc inc ltd co corp jr sr bros dept est min max hr hrs al ed a.m p.m am pm"
_DATES = "jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun"
_COUNTED = "no nos art p para item page tab op"

_STARTERS = (
    "the a an in it he she they we you i this that these those there his her its their our but and however as at for on by"
    " after before when while if some many most all no since during both one"
)
_OPENERS = frozenset(_STARTERS.split())
"""What follows initials at the end of a sentence: after "U.S." any other capital is that of a name."""
_NEVER_FINAL = frozenset(f"{_TITLES} {_REFERENCES}".split())
"""A full stop after these never ends a sentence: a name, a number or an explanation follows."""
_SELDOM_FINAL = frozenset(f"{_COMPANIES} {_DATES}".split())
"""After these it ends one only where a capital letter follows."""
_BEFORE_NUMBER = frozenset(_COUNTED.split())
"""A full stop after these does not end a sentence where a number follows ("No. 5")."""

_END = re.compile(r"(?:(?<![.!?…])[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？]+[」』”’]*)\s*")
"""A run of marks is tried from its first one alone, so that a long one takes linear time."""
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘«]+$")
_FIRST_WORD = re.compile(r"\w*")
_LONGEST_WORD = 40
_INITIALS = re.compile(r"(?:[A-Z]\.)*[A-Z]$")


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Start and end offsets of each sentence, in order, without surrounding white space.

    A line's end is a sentence's end (in page texts, lines are blocks). Bullets and numbers of list items belong to no
    sentence. Abbreviations (e.g., Dr., No. 5), decimals and initials do not end one.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for line in text.splitlines(keepends=True):
        body = line.strip()
        if body:
            at = start + line.index(body)
            spans += _split_line(text, at + len(body) - len(split_marker(body)[1]), at + len(body))
        start += len(line)
    return spans


def _split_line(text: str, start: int, end: int) -> list[tuple[int, int]]:
    spans = []
    for match in _END.finditer(text, start, end):
        if match.end() < end and _is_final(text, start, match):
            spans.append((start, match.start() + len(match.group().rstrip())))
            start = match.end()
    return [*spans, (start, end)]


def _is_final(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a sentence ends at a mark that looks like it."""
    if not match.group().startswith(".") or match.group().startswith(".."):
        return not text[match.end()].islower()
    found = _LAST_WORD.search(text, max(start, match.start() - _LONGEST_WORD), match.start())
    word = found.group() if found else ""
    following = text[match.end()]
    if following.islower() or word.lower() in _NEVER_FINAL:
        return False
    if word.lower() in _SELDOM_FINAL:
        return following.isupper()
    if word.lower() in _BEFORE_NUMBER:
        return not following.isdigit()
    if _INITIALS.match(word) is None or word == "I":
        return True
    first = _FIRST_WORD.match(text, match.end())
    return "." in word and first is not None and first[0].lower() in _OPENERS
