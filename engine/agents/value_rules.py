"""Companies, and the fields that only an agent's owner knows, in a customer's message."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.agents.fields import LONGEST_ANSWER, FieldKind, kind_of, label
from engine.agents.found import Found
from engine.agents.name_rules import read_name
from engine.agents.words import PLACES, is_capitalised, is_name_word

_Q = "['’]"
_SUFFIX = r"(?:Ltd|Limited|LLC|Inc|Corp|Corporation|GmbH|AG|KG|UG|SE|SA|SAS|SARL|SL|BV|NV|AB|AS|ApS|Oy|Oyj|PLC|plc|Pty|Pvt|LLP)"
_COMPANY_WORD = re.compile(r"[^\s,;:!?()\"“”@]+")
_JOINING = frozenset(("&", "and", "of", "the", "für", "de", "+"))

_STRONG = re.compile(
    rf"\b(?:(?:my|our) (?:company|business|employer|organi[sz]ation|firm)(?:{_Q}s)?(?: name)?(?: is|:| =)(?: called| named)?|"
    r"(?:company|organi[sz]ation|employer)(?: name)?(?: is| ?[:=]))\s+",
    re.I,
)
_WEAK = re.compile(
    rf"\b(?:(?:i|we) work (?:at|for|with)|(?:i{_Q}m|i am|we{_Q}re|we are) (?:calling|writing|employed) (?:with|at|by|from)|"
    r"(?:calling|writing|speaking) from|"
    r"on behalf of|i represent|representing|employed (?:by|at)|(?:ceo|cto|cfo|founder|co-founder|owner|director|manager|"
    rf"head of \w+|engineer|partner|buyer) (?:at|of)|working (?:at|for)|i (?:run|own)|we{_Q}re|we are)\s+",
    re.I,
)
_INTRODUCTION = re.compile(rf"\b(?:i{_Q}m|i am|this is|it{_Q}s|my name is|my name{_Q}s|name is)\s+", re.I)
_FROM = re.compile(r",? (?:here )?(?:from|with|at|of)\s+", re.I)
_WITH_SUFFIX = re.compile(rf"(?:[A-Z0-9][\w&.'’-]* (?:& |and )?){{1,4}}{_SUFFIX}\b\.?(?: & Co\.? KG)?")

_ABBREVIATION = re.compile(r"(?:Co|St|\w)\.")
"""Words with a full stop that does not end a sentence."""

_END = re.compile(r"\s{0,9}(?:[.!?](?:\s|$)|[;\n,]|\s(?:and|but|so)\s|\snot\s|\s{1,9}[-–—]\s|$)", re.I)
_LEAD_IN = re.compile(
    rf"(?:(?:yes|yeah|sure|ok|okay|of course|certainly|well|it{_Q}s|it is|that is|that{_Q}s|i{_Q}m|i am|we are|we{_Q}re|i work|"
    r"around|about|at|for|with|called|just|the (?:company|name) is)\b[\s,.!:-]*)*",
    re.I,
)
_LEAD_OUT = re.compile(r"(?:[\s,.!-]{0,9}\b(?:please|thanks|thank you)\b){0,3}[\s.!,]{0,9}$", re.I)
MOST_ANSWER_WORDS = 12
"""An answer to the agent's question that has more words is no plain value."""


def find_companies(field: str, message: str, *, asked: bool) -> Iterator[Found]:
    """Companies that a customer says they are of, the surest first.

    Args:
        field: the field that they are for.
        message: what the customer wrote.
        asked: whether the agent has just asked for the company.
    """
    for match in _STRONG.finditer(message):
        yield _until_end(field, message, match.start(), match.end())
    for start, end in _announced(message):
        name = _read_company(message[end:])
        if name:
            yield Found(field, name, start, end + len(name))
    for match in _WITH_SUFFIX.finditer(message):
        yield Found(field, match.group(), match.start(), match.end())
    if asked:
        yield from _whole_answer(field, message)


def find_values(field: str, message: str, *, asked: bool) -> Iterator[Found]:
    """Values of a field by its own name: "my budget is 500", "budget: 500", or the answer to the agent's question."""
    name = re.escape(label(field)).replace(r"\ ", "[ _-]")
    cue = rf"(?:\b(?:my|our)\s+{name}(?: is|{_Q}s| are| ?[:=])|(?:^|[\n,;][ \t]{{0,4}}){name} ?[:=])[ \t]{{0,4}}"
    for match in re.finditer(cue, message, re.I):
        yield _until_end(field, message, match.start(), match.end())
    if asked:
        yield from _whole_answer(field, message)


def _until_end(field: str, message: str, start: int, value_start: int) -> Found:
    end = _END.search(message, value_start)
    stop = end.start() if end else len(message)
    return Found(field, message[value_start:stop].strip(" \"'“”"), start, stop)


def _announced(message: str) -> Iterator[tuple[int, int]]:
    """Where words that announce a company begin and end: "I work at", "I'm Ana López from"."""
    for match in _WEAK.finditer(message):
        yield match.span()
    for match in _INTRODUCTION.finditer(message):
        person = read_name(message[match.end() :], loose=False)
        link = _FROM.match(message, match.end() + len(person))
        if person and link:
            yield link.span()


def _read_company(text: str) -> str:
    """The company that a text begins with: words with capitals or digits, and the small words between them."""
    end = position = 0
    for match in _COMPANY_WORD.finditer(text):
        word = match.group()
        if text[position : match.start()] not in ("", " ") or not (word in _JOINING or _may_be_company(word)):
            break
        position = match.end()
        if word not in _JOINING:
            end = position
        if word.endswith(".") and not _ABBREVIATION.fullmatch(word):
            break
    words = text[:end].rstrip(".'’").removesuffix("'s").removesuffix("’s").split(" ")
    is_place = any(word.casefold() in PLACES for word in words) and not re.fullmatch(_SUFFIX, words[-1])
    return "" if is_place or not any(is_name_word(word) or word.isupper() for word in words) else " ".join(words)


def _may_be_company(word: str) -> bool:
    return word[0].isdigit() or is_capitalised(word)


def _whole_answer(field: str, message: str) -> Iterator[Found]:
    """A message that is nothing but a value."""
    if len(message) > LONGEST_ANSWER:
        return
    lead = _LEAD_IN.match(message)
    start = lead.end() if lead else 0
    tail = _LEAD_OUT.search(message, start)
    text = message[start : tail.start() if tail else len(message)]
    if "@" in text:
        return
    if kind_of(field) is FieldKind.COMPANY:
        text = re.split(r"[,;\n]", text)[0].strip()
    if text and "?" not in message and len(text.split()) <= MOST_ANSWER_WORDS:
        yield Found(field, text, 0, len(message))
