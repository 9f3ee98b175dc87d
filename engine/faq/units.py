"""Choosing the sentences and rows of a chunk that state a fact, each with as much of the text before it as it needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from engine.domain import Chunk
from engine.faq.types import Unit, UnitKind
from engine.faq.words import names, numbers, word_set, words
from engine.ingest import split_sentences

FACT_THRESHOLD = 0.25
"""A sentence below this is left out. Set so that a sentence about a name passes and "We value our customers." does not."""

_MIN_WORDS = 5
_MAX_CHARACTERS = 600
_MIN_FOREIGN = 12
_DOTS = re.compile(r"\.{4,}|(?:\. ){4,}|©")
_MAX_BEFORE = 2
"""Sentences that a quote may begin earlier, for a sentence that leans on them."""
_SHORT = r"(?i:\b(?:max|min|avg|approx|incl|excl|tel|no|nr|qty|vol|temp)\.)"
_LABEL = re.compile(
    rf"(?P<label>(?=[^\W\d_][^:])(?:{_SHORT}|[^:;.!?|(])(?:{_SHORT}(?=:|\s[a-z])|[^:;.!?|(]){{0,48}}(?:\([^()]{{1,20}}\))?)"
    r":\s+(?P<value>\S.*)",
    re.DOTALL,
)
_MAX_HEAD = 50
_ABBREVIATION, _SENTENCE_MARK = re.compile(_SHORT), re.compile(r"[.!?|](?!\d)")
_PROSE_LABELS = word_set("note notes warning caution important tip hint attention example remember danger q a question answer")
_BOILERPLATE = re.compile(
    r"all rights reserved|copyright|©|\bpage \d+ of \d+|table of contents|^\W*(?:click here|read more)"
    r"|\bsee (?:section|page|chapter|figure)|\.{4,}|(?:\. ){4,}|^\s*(?:figure|fig\.|table|chapter|section) \d",
    re.IGNORECASE,
)
# A sentence that begins so, or says so, is about something that another sentence names.
_LEANS_ON_OTHERS = re.compile(
    r"^[A-Z]\w+ (?:it|they|he|she|this|these)\b"
    r"|^(?:[A-Z]\w+, )?(?:it|they|he|she|this|these|those|that|such|his|her|their|its|both|also|another|others|in this|in that"
    r"|for this|as a result|therefore|thus|hence|consequently|moreover|furthermore|in addition|additionally|likewise|similarly"
    r"|otherwise|instead|however|then|here|there,|and|but|or|so)\b|^most of them\b"
    r"|\b(?:the (?:former|latter|above|following|text|passage)|aforementioned|as follows)\b",
    re.IGNORECASE,
)
_RULE = re.compile(
    r"\b(?:must|may|can|cannot|might|could|will|would|shall|should|need to|has to|have to"
    r"|required|allowed|forbidden|prohibited|not|never|only|if)\b",
    re.IGNORECASE,
)
_DEFINITION = re.compile(r"\b(?:is|are|was|were|means|consists? of|includes?|contains?|covers?)\b", re.IGNORECASE)
_MEASURE = re.compile(
    r"[$€£¥%°]|\d\s?(?:eur|usd|gbp|kg|g|mg|km|m|cm|mm|l|ml|w|kw|v|a|hz|mb|gb|bar|°c|percent)\b"
    r"|\b(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?|o'clock|noon|midnight|daily|weekly|monthly|yearly|annually"
    r"|monday|tuesday|wednesday|thursday|friday|saturday|sunday|january|february|march|april|june|july|august|september|october"
    r"|november|december)\b",
    re.IGNORECASE,
)
# An ending or a word that verbs have, or an order: "Press and hold the …".
_VERB_LIKE = re.compile(
    r"^[A-Z][a-z]+ (?:and [a-z]+ )?(?:the|a|an|your|all|any|on|off|to|at|for)\b"
    r"|\b(?:we|you|they|I|members|customers|visitors|users) (?:also |only |always |never )?[a-z]{3,}\b"
    r"|\b(?:wrote|took|made|gave|began|ran|grew|knew|found|told|held|sent|lost|built|led|won|left|met|paid|sold|spent|kept|became"
    r"|came|went|saw|said|set)\b"
    r"|\b(?:\w+(?:ed|es)|[a-z]+s|is|are|was|were|can|must|may|will|has|have|do|does|should|shall)\b"
)


def find_units(chunk: Chunk, taken: list[tuple[int, int]] | None = None, *, english: bool = True) -> list[Unit]:
    """The fact-bearing units of a chunk, in reading order.

    Headings, questions, fragments, boilerplate, lines of a table of contents, and sentences that lean on others ("This also
    …") which the same paragraph does not have, are left out.

    Args:
        chunk: the passage.
        taken: spans of the chunk's text that are spoken for, such as pairs that the document has word for word.
        english: whether the chunk is English. Of other languages every whole sentence is a unit, and no row is.
    """
    headings = {_normal(heading) for heading in chunk.heading_path}
    found = []
    pieces = list(_pieces(chunk.text))
    for at, (start, end) in enumerate(pieces):
        text = chunk.text[start:end]
        if _normal(text) in headings or any(low < end and start < high for low, high in taken or []):
            continue
        kind = UnitKind.ROW if is_row(text) else UnitKind.SENTENCE
        if not english:
            if kind is UnitKind.SENTENCE and _is_foreign_sentence(text):
                found.append(Unit(text, start, end, kind, max(FACT_THRESHOLD, fact_score(text, kind)), text, start))
            continue
        quote_start = start if kind is UnitKind.ROW else _quote_start(chunk.text, pieces, at)
        if quote_start is not None and (kind is UnitKind.ROW or _is_sentence(text)):
            fact = fact_score(text, kind)
            if fact >= FACT_THRESHOLD:
                found.append(Unit(text, start, end, kind, fact, chunk.text[quote_start:end], quote_start))
    return found


def _quote_start(text: str, pieces: Sequence[tuple[int, int]], at: int) -> int | None:
    """Where the quote of a sentence begins: at itself or the nearest before it that leans on no other; None where none is."""
    start, end = pieces[at]
    for before in range(_MAX_BEFORE + 1):
        if at < before:
            return None
        low, high = pieces[at - before]
        if "\n" in text[high:start] or end - low > _MAX_CHARACTERS:
            return None  # another paragraph
        if not _LEANS_ON_OTHERS.search(text[low:high]):
            return low
    return None


def sentences_of(chunk: Chunk) -> list[str]:
    """Every sentence and row of a chunk but its headings: what a question could be answered by."""
    headings = {_normal(heading) for heading in chunk.heading_path}
    pieces = [chunk.text[start:end] for start, end in _pieces(chunk.text)]
    return [piece for piece in pieces if _normal(piece) not in headings]


def is_row(text: str) -> bool:
    """Whether a line is `label: value`, once or several times with semicolons between, as table rows are written."""
    head, headed, others = text.partition("; ")
    if headed and ": " not in head:
        return _is_headed_row(head, others.split("; "))
    match = _LABEL.fullmatch(text)
    if match is None or len(match["label"].split()) > 6 or match["label"].strip().lower() in _PROSE_LABELS:
        return False
    return "; " in text or len(match["value"].split()) <= 14


def _is_headed_row(head: str, cells: Sequence[str]) -> bool:
    """Whether a line is `value; label: value; label: value`, as rows are written whose first column has no name."""
    found = [_LABEL.fullmatch(cell) for cell in cells]
    short = all(match and len(match["label"].split()) <= 4 and len(match["value"].split()) <= 14 for match in found)
    whole = not _SENTENCE_MARK.search(_ABBREVIATION.sub("", head)) and 0 < len(head.split()) <= 6 and len(head) <= _MAX_HEAD
    return short and whole and len(cells) > 1


def fact_score(text: str, kind: UnitKind) -> float:
    """How much of a fact a unit states, in 0…1: a sum of what speaks for it, weighted by hand and capped at 1."""
    if kind is UnitKind.ROW:
        return 0.9 if numbers(text) else 0.7
    score = 0.1
    score += 0.3 if numbers(text) else 0.0
    score += 0.2 if _MEASURE.search(text) else 0.0
    score += 0.25 if _RULE.search(text) else 0.0
    score += 0.2 if _DEFINITION.search(text) else 0.0
    score += 0.15 if names(text) else 0.0
    return min(1.0, score)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Lines that are rows, whole; of the other lines, the sentences. In page texts a line is a block."""
    at = 0
    for line in text.splitlines(keepends=True):
        body = line.strip()
        start = at + line.index(body)
        at += len(line)
        spans = split_sentences(body)
        if spans and is_row(body[spans[0][0] :]):
            yield start + spans[0][0], start + len(body)
        else:
            yield from ((start + low, start + high) for low, high in spans)


def _is_sentence(text: str) -> bool:
    """Whether a text is a whole sentence that states something."""
    if len(text) > _MAX_CHARACTERS or len(words(text)) < _MIN_WORDS or text.rstrip("\"'”’)").endswith(("?", ":", "…")):
        return False
    if "|" in text or _BOILERPLATE.search(text):
        return False
    return bool(_VERB_LIKE.search(text)) and _mostly_letters(text)


def _is_foreign_sentence(text: str) -> bool:
    """The same for a language whose words are not known here. Chinese and Japanese have no spaces between words."""
    if not _MIN_FOREIGN <= len(text) <= _MAX_CHARACTERS or "|" in text or _DOTS.search(text) or not _mostly_letters(text):
        return False
    return text.rstrip("\"'”’»」)").endswith((".", "!", "。", "！", "।"))


def _mostly_letters(text: str) -> bool:
    return sum(character.isalpha() or character.isspace() for character in text) >= 0.6 * len(text)


def _normal(text: str) -> str:
    return " ".join(text.split()).strip(" .:#").lower()
