"""A customer's name in their message."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.agents.fields import LONGEST_ANSWER, MOST_NAME_WORDS
from engine.agents.found import Found
from engine.agents.words import NAME_WORD, PLACES, is_capitalised, is_name_word, is_particle, name_words

LOOK_BACK = 120
"""Characters before a name that are looked at."""

_Q = "['’]"
_TITLE = r"(?:(?:Mr|Mrs|Ms|Miss|Dr)\b\.? )?"

_STRONG = re.compile(
    rf"(?:\bmy (?:full |real |first |last )?names?(?:{_Q}s| is|:| =)?(?: is)?:?,?|\b(?:the|under) name is|"
    rf"\bi(?:{_Q}m| am) (?:called|named|known as)|\b(?:you can|please|just) call me|"
    rf"\b(?:in|under|on|for|go by|use) (?:the |my )?name(?: of| is)?[:,]?|"
    rf"(?:^|[.,!?\n] ?)(?:full )?name(?:{_Q}s| is| ?[:=-])|\b(?:first|last) name(?: is|:)?)\s+[\"“']?",
    re.I,
)
"""Words after which a name follows, in capitals or not."""

_ABROAD = re.compile(
    rf"\b(?:mein name ist|ich hei(?:ß|ss)e|je m{_Q}appelle|mon nom est|me llamo|mi nombre es|mi chiamo|(?:eu )?me chamo)\s+",
    re.I,
)
"""The same in other languages."""

_WEAK = re.compile(
    rf"(?:\bi(?:{_Q}m| am)|\bthis is|(?:^|[.!?,\n] ?)(?:it{_Q}?s|it is|it should be|hi it{_Q}s)(?: just| for| under)?|"
    rf"\bcall me|\bi go by|\bhere is|\bunder)\s+(?:just |i think )?{_TITLE}",
    re.I,
)
"""Words after which a name may follow: only words with capitals are taken for one."""

_FOR = re.compile(rf"\b(?:for|by)\s+(?:i think )?{_TITLE}", re.I)
_BOOKING = re.compile(r"\b(?:booking|reservation|table|appointment|booked|reserved|order)\b[^.?!\n]*$", re.I)
"""A name after "for" is the customer's where they speak of what they booked."""

_NOT_MINE = re.compile(
    rf"\b(?:not|if|isn{_Q}t|wasn{_Q}t|pretend|imagine|suppose|say|write|writes?|print|reply|store|save|assume|like)(?: that)?"
    r"[ :\"'“‘]*$|(?:^|[.!?,] ?)is $",
    re.I,
)
"""Words before a cue that make it no introduction: "pretend my name is …"."""

_POSSESSIVE = re.compile(rf"{_Q}s\b")

_AFTER = re.compile(
    rf"\s{{1,3}}(?:is (?:my|the) (?:full |first |last )?name|here|speaking|on the (?:line|phone)|party)\b(?!{_Q})", re.I
)
"""Words that follow a name."""

_SIGNATURE = re.compile(
    r"(?:\b(?:(?:best|kind|warm|many)\s+)?(?:regards|wishes|greetings)|\bcheers|\bsincerely|\bthanks|\bthank you|\byours|"
    r"\bbest|(?:^|\n)[ \t]{0,4}[-–—]{1,2})\s{0,3}[,!.]?\s{0,3}(?P<name>[^\n,.!?@]{2,60}?)[.\s]{0,9}(?:$|\n)",
    re.I,
)
_SEGMENT = re.compile(r"[^,;\n|]+")
_LEAD_IN = re.compile(
    rf"(?:(?:yes|yeah|sure|ok|okay|of course|certainly|hi|hello|well|no problem|it{_Q}s|it is|that is|that{_Q}s|i{_Q}m|i am|"
    rf"this is|(?:my |the )?(?:full |first |last )?name(?:{_Q}s| is)?|just|call me|you can call me|mr|mrs|ms|miss|dr)\b"
    r"[\s,.!:-]*)*",
    re.I,
)
_SHAKY = re.compile(rf"\b(?:it{_Q}s|it is|that{_Q}s|that is|i{_Q}m|i am|this is)\W*$", re.I)
"""Words that begin other answers as well: "it's silly"."""

_LEAD_OUT = re.compile(r"(?:[\s,.!-]{0,9}\b(?:please|thanks|thank you|here|is (?:my|the) name)\b){0,3}[\s.!,]{0,9}$", re.I)


def find_names(field: str, message: str, *, asked: bool) -> Iterator[Found]:
    """Names that a customer gives as their own, the surest first.

    Args:
        field: the field that they are for.
        message: what the customer wrote.
        asked: whether the agent has just asked for a name; a message that is nothing but a name is one then.
    """
    yield from _after_cues(_STRONG, field, message, loose=True)
    yield from _after_cues(_ABROAD, field, message, loose=True)
    yield from _before_cues(field, message)
    yield from _after_cues(_WEAK, field, message, loose=False)
    yield from _after_booking(field, message)
    if asked:
        yield from _whole_answer(field, message)
    yield from _signature(field, message)
    yield from _card(field, message)


def read_name(text: str, *, loose: bool) -> str:
    """The name that a text begins with; empty where there is none.

    Args:
        text: what follows the words that announce a name.
        loose: take words in lower case, too, where the name begins with one.
    """
    taken: list[str] = []
    end = 0
    loose = loose and bool(text) and (text[0].islower() or text.split(" ")[0].isupper())
    for match in NAME_WORD.finditer(text):
        word = match.group()
        joined = text[end : match.start()] in ("", " ") if taken else match.start() == 0
        if not joined or not _continues(word, loose=loose, first=not taken) or len(taken) == MOST_NAME_WORDS:
            break
        taken.append(word)
        end = match.end()
        if word.endswith(".") and len(word) > 3:
            break
    return _cut(" ".join(taken), text, loose)


def _continues(word: str, *, loose: bool, first: bool) -> bool:
    if is_particle(word):
        return True
    return is_name_word(word) and (loose or is_capitalised(word)) and not (first and len(word) == 1)


def _cut(name: str, text: str, loose: bool) -> str:
    """Without a full stop or particles at the end; in lower case only as much as is surely a name."""
    words = name.split(" ") if name else []
    while words and is_particle(words[-1]) and words[-1].islower() and len(words) > 1:
        words.pop()
    if loose and len(words) > 3:
        return ""
    name = " ".join(words)
    is_initial = len(words) > 1 and len(words[-1]) == 2
    name = name if is_initial and len(text) > len(name) else name.rstrip(".")
    for ending in ("'s", "’s"):
        name = name.removesuffix(ending)
    return "" if name.islower() and is_particle(name) else name


def _after_cues(cues: re.Pattern[str], field: str, message: str, *, loose: bool) -> Iterator[Found]:
    for match in cues.finditer(message):
        if _NOT_MINE.search(_before(message, match.start())) or (not loose and message.isupper()):
            continue
        name = read_name(message[match.end() :], loose=loose)
        is_anothers = _POSSESSIVE.match(message, match.end() + len(name)) is not None
        if name and not is_anothers and name.casefold() not in PLACES:
            yield Found(field, name, match.start(), match.end() + len(name))


def _after_booking(field: str, message: str) -> Iterator[Found]:
    """ "A table for Ana López": a full name, for a single word may be anything."""
    for match in _FOR.finditer(message):
        name = read_name(message[match.end() :], loose=False)
        if " " in name and _BOOKING.search(_before(message, match.start())):
            yield Found(field, name, match.start(), match.end() + len(name))


def _before_cues(field: str, message: str) -> Iterator[Found]:
    """ "Ana López here", "Ana López is my name"."""
    for match in _AFTER.finditer(message):
        head = _before(message, match.start())
        for start in (word.start() for word in re.finditer(r"(?:^|(?<=[\s,.!]))\S", head)):
            name = read_name(head[start:], loose=False)
            if name and start + len(name) == len(head) and _begins_clause(head[:start]):
                yield Found(field, name, match.start() - len(name), match.end())
                break


def _before(message: str, position: int) -> str:
    """What stands shortly before a position. Looking further back would cost much and tell little."""
    return message[max(0, position - LOOK_BACK) : position]


def _begins_clause(before: str) -> bool:
    return re.search(r"(?:^|[,.!\n])\s*(?:(?:hi|hello|hey|the|yes|for the)\s+)?$", before, re.I) is not None


def _whole_answer(field: str, message: str) -> Iterator[Found]:
    """The first part of a message, where it is a name and nothing else."""
    if len(message) > LONGEST_ANSWER:
        return
    for segment in _SEGMENT.finditer(message):
        start = segment.start() + _length(_LEAD_IN.match(segment.group().lstrip())) + _indent(segment.group())
        tail = _LEAD_OUT.search(message, start, segment.end())
        text = message[start : tail.start() if tail else segment.end()]
        guessed = _SHAKY.search(message[:start]) is not None
        if text and _is_whole_name(text, capitals=guessed):
            yield Found(field, text, segment.start(), segment.end())
            return


def _card(field: str, message: str) -> Iterator[Found]:
    """ "Ana López, ana@lopez.es": a part that is a full name, beside an e-mail address or a telephone number."""
    if "@" not in message and not re.search(r"[0-9]{3}", message):
        return
    for segment in _SEGMENT.finditer(message):
        text = segment.group().strip(" .-")
        if " " in text and _is_whole_name(text, capitals=True):
            yield Found(field, text, segment.start(), segment.end())


def _signature(field: str, message: str) -> Iterator[Found]:
    match = _SIGNATURE.search(message)
    if match is not None and _is_whole_name(match["name"], capitals=True) and len(match["name"].split()) <= 3:
        yield Found(field, match["name"], match.start(), match.end())


def _is_whole_name(text: str, *, capitals: bool) -> bool:
    words = name_words(text)
    return (
        bool(words)
        and " ".join(words) == text
        and len(words) <= MOST_NAME_WORDS
        and all(is_name_word(word) for word in words)
        and (not capitals or all(is_capitalised(word) or is_particle(word) for word in words))
        and not all(word.casefold() in PLACES for word in words)
    )


def _length(match: re.Match[str] | None) -> int:
    return len(match.group()) if match else 0


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())
