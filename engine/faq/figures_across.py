"""Figures of a text in one language, looked for in a text of another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from engine.faq.number_words import ALSO_OTHER_WORDS, JOINED, JOINING, NUMBER_VALUES, ONES
from engine.knowledge.figures import unsupported
from engine.knowledge.unit_words import MULTIPLIERS, NUMBER_WORDS

READABLE = frozenset({*NUMBER_VALUES, "en", "zh", "ja"})
"""Languages whose numbers are also read where they are spelled in words."""

_MARKS = "\u0900-\u0963\u0971-\u097f\u064b-\u0652\u05b0-\u05c7"
_WORD = re.compile(rf"(?:[^\W\d_]|[{_MARKS}])+(?:['’](?:[^\W\d_]|[{_MARKS}])+)*")
_BETWEEN = re.compile(r"[\s\u00ad-]{1,3}")
_AFTER_DIGITS = re.compile(r"\d[\s\u00a0\u202f-]{0,2}$")
_ENGLISH = re.compile(rf"\b(?:{'|'.join((*NUMBER_WORDS, *MULTIPLIERS))})\b", re.IGNORECASE)
_ONE_WORD = frozenset({"de", "nl", "sv", "da", "no", "it", "fi", "hu"})
"""Languages that write composed numbers in one word."""
_UNIT_FIRST = frozenset({"de", "nl", "da", "ar"})
_LONGEST = 60
_SCALES = (10**3, 10**5, 10**6, 10**7, 10**9)
_NAMES = {100: "hundred", 10**3: "thousand", 10**6: "million", 10**9: "billion"}

_HAN_DIGITS = {"〇": 0, "零": 0, "一": 1, "二": 2, "两": 2, "兩": 2, **{c: n for n, c in enumerate("三四五六七八九", start=3)}}
_HAN_PLACES = {"十": 10, "百": 100, "千": 1000}
_HAN_MYRIADS = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_HAN = re.compile(
    r"(?:(?<!\d)(?<!\d[,.])(?P<digits>\d[\d,.]{0,19}))?\s?"
    f"(?P<han>[{''.join((*_HAN_DIGITS, *_HAN_PLACES, *_HAN_MYRIADS))}]{{1,40}})"
)
"""Longer ones are no numbers that anybody reads, and would take time and memory."""
_HAN_WORDS = frozenset({"一", "十分", "万一", "千万", "百", "千", "万", "十", "零"})
"""Not numbers, or not always."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a spelled number: `joined` where "and" or the like stands before it, `weak` where it may be another word."""

    value: int
    joined: bool = False
    weak: bool = False


def strange_figures(text: str, language: str, proof: str, proof_language: str) -> list[str]:
    """The figures of a text that its proof, in another language, does not hold.

    "drei" is "3" and "4,90" is "4.90". Units and months count where they are known in both languages.

    Args:
        text: what is said.
        language: its ISO 639-1 code.
        proof: what is to hold the figures.
        proof_language: that of the proof; empty where it cannot be told, then its words are read in all languages.
    """
    said = in_digits(text, language)
    known = "\n".join(dict.fromkeys(in_digits(proof, code, doubtful=True) for code in _readings(proof_language)))
    return unsupported(said, known, across=True)


def _readings(language: str) -> Sequence[str]:
    """In which languages a proof is read: its own; all where that is not known; English, as it is, where none can be read."""
    if not language:
        return sorted(READABLE)
    return [language if language in READABLE else "en"]


def in_digits(text: str, language: str, *, doubtful: bool = False) -> str:
    """A text with the numbers that it spells in its language as digits, which `engine.knowledge.figures` reads.

    Args:
        text: any text.
        language: its ISO 639-1 code. English is left as it is, since its words are read anyway.
        doubtful: whether words that are numbers at times and other words at others are taken for numbers.
    """
    if language in ("en", ""):
        return text
    if language in ("zh", "ja"):
        return _HAN.sub(_han, text)
    own = NUMBER_VALUES.get(language, {})
    # "ten" is Polish for "this".
    text = _ENGLISH.sub(lambda match: match.group() if match.group().lower() in own else "·", text)
    if not own:
        return text
    pieces, at = [], 0
    for start, end, parts in _runs(text, language):
        pieces += [text[at:start], _written(parts, text, start, end, language, doubtful=doubtful)]
        at = end
    return "".join((*pieces, text[at:]))


def _runs(text: str, language: str) -> Iterator[tuple[int, int, list[_Part]]]:
    """The stretches of a text that are number words, with nothing but white space, hyphens and "and" between."""
    joining = frozenset(JOINING.get(language, "").split())
    start = end = reach = 0
    run: list[_Part] = []
    joined = False
    for match in _WORD.finditer(text):
        begin, word = _own_word(match, language)
        goes_on = bool(run) and _BETWEEN.fullmatch(text[reach:begin]) is not None
        reach = match.end()
        parts = _parts(word, language)
        if goes_on and not joined and not parts and word in joining:
            joined = True
            continue
        if run and not (goes_on and parts):
            yield start, end, run
            run, joined = [], False
        if parts:
            start, end = start if run else begin, reach
            run += [_Part(part.value, part.joined or (joined and not at), part.weak) for at, part in enumerate(parts)]
        joined = False
    if run:
        yield start, end, run


def _own_word(match: re.Match[str], language: str) -> tuple[int, str]:
    """A word in lower case and where it begins: what stands before an apostrophe is an article, unless the word has it."""
    word = match.group().lower()
    if word in NUMBER_VALUES[language] or not ("'" in word or "’" in word):
        return match.start(), word
    at = max(word.rfind("'"), word.rfind("’")) + 1
    return match.start() + at, word[at:]


@cache
def _vocabulary(language: str) -> dict[str, int]:
    return dict.fromkeys(ONES.get(language, "").split(), 1) | NUMBER_VALUES[language]


def _parts(word: str, language: str) -> list[_Part]:
    """The numbers that a word is, or is made of; none for any other word."""
    known = _vocabulary(language)
    if word in known:
        weak = known[word] == 1 or word in ALSO_OTHER_WORDS.get(language, frozenset())
        return [_Part(known[word], word in JOINED.get(language, frozenset()), weak)]
    if language == "ar" and word.startswith("و") and word[1:] in known:
        return [_Part(known[word[1:]], joined=True)]
    if language not in _ONE_WORD or len(word) > _LONGEST:
        return []
    found = _split(word, language)
    return list(found) if found and len(_numbers(found, language)) == 1 else []


def _split(word: str, language: str) -> tuple[_Part, ...]:
    """The number words that a word is composed of, the longest first; none where it is not."""
    known, joining = _vocabulary(language), JOINING.get(language, "").split()
    dead: set[int] = set()

    def rest(at: int) -> tuple[_Part, ...] | None:
        if at == len(word):
            return ()
        if at in dead:
            return None
        for end in range(len(word), at + 1, -1):
            for skip in ("", *joining) if at else ("",):
                if word.startswith(skip, at) and word[at + len(skip) : end] in known:
                    further = rest(end)
                    if further is not None:
                        return (_Part(known[word[at + len(skip) : end]], bool(skip)), *further)
        dead.add(at)
        return None

    return rest(0) or ()


def _written(parts: Sequence[_Part], text: str, start: int, end: int, language: str, *, doubtful: bool) -> str:
    """A run of number words in digits; as it stands where it may be other words."""
    if len(parts) == 1:
        value = parts[0].value
        if value in _NAMES and _AFTER_DIGITS.search(text[:start]):
            return _NAMES[value]
        if not doubtful and (parts[0].weak or value >= 10**6):
            return "·"
    if all(part.value == 1 for part in parts):
        return text[start:end]
    return " ; ".join(str(value) for value in _numbers(parts, language) if value != 1)


def _numbers(parts: Sequence[_Part], language: str) -> list[int]:
    """The numbers that some number words say one after another: "vier hundert fünf" is one, "fünf sechs" are two."""
    found: list[int] = []
    total, current, scale, empty = 0, 0, 10**12, True
    for part in parts:
        value = part.value
        if value in _SCALES and value < scale and (empty or current):
            total, current, scale, empty = total + max(current, 1) * value, 0, value, False
            continue
        more = None if empty else _continued(current, part, language)
        if empty or (current == 0 and value < scale):
            current += value
        elif more is not None:
            current = more
        else:
            found.append(total + current)
            total, current, scale = 0, value, 10**12
        empty = False
    return [*found, total + current]


def _continued(current: int, part: _Part, language: str) -> int | None:
    """What a number below a thousand is with one more word; None where the word begins another number."""
    value, low = part.value, current % 100
    if value == 100:
        return current - low + low * 100 if 0 < current < 10 else None
    if low == 0 and value < 100:
        return current + value
    if low >= 20 and low % 10 == 0 and value < 10:
        return current + value
    return _continued_its_way(current, low, part, language)


def _continued_its_way(current: int, low: int, part: _Part, language: str) -> int | None:
    """What only some languages have."""
    value = part.value
    if language == "fr":
        if (low, value) == (4, 20):
            return current + 76  # quatre-vingts
        if (low in (60, 80) and 10 <= value < 20) or (low == 10 and 7 <= value < 10):
            return current + value
    if language == "hu" and low == 10 and value < 10:
        return current + value
    if language in _UNIT_FIRST and low < 10 and part.joined and value in range(20, 100, 10):
        return current + value
    if value == 10 and low < 10:
        if language in ("ar", "he") or (language == "id" and part.joined):
            return current + value
        if language in ("vi", "id"):
            return current - low + low * 10
    return None


def _han(match: re.Match[str]) -> str:
    """Chinese numerals in digits, also after digits: "3万" is 30000."""
    digits, han = match["digits"] or "", match["han"]
    if digits:
        if han[0] not in _HAN_MYRIADS:
            return match.group()
        whole = digits.replace(",", "")
        factor = _HAN_MYRIADS[han[0]]
        scaled = int(whole) * factor if whole.isdecimal() else int(Decimal(whole) * factor) if whole.count(".") == 1 else None
        return match.group() if scaled is None else f"{scaled}{han[1:]}"
    return han if han in _HAN_WORDS else f" {_han_value(han)} "


def _han_value(han: str) -> int:
    if not any(sign in _HAN_PLACES or sign in _HAN_MYRIADS for sign in han):
        return int("".join(str(_HAN_DIGITS[sign]) for sign in han))  # 二〇二四
    total = part = digit = 0
    for sign in han:
        if sign in _HAN_DIGITS:
            digit = _HAN_DIGITS[sign]
        elif sign in _HAN_PLACES:
            part, digit = part + max(digit, 1) * _HAN_PLACES[sign], 0
        else:
            total, part, digit = total + max(part + digit, 1) * _HAN_MYRIADS[sign], 0, 0
    return total + part + digit
