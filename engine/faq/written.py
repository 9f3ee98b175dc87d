"""Pairs that a document already has, taken over word for word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engine.domain import Chunk
from engine.faq.words import words

_MAX_ANSWER = 2000
_MIN_QUESTION_WORDS = 3
_QUESTION_LINE = re.compile(r"\W{0,3}\d{0,3}\W{0,3}(?:Q|Question|Frage)\s?\d{0,3}\s?[:.)]\s+(?P<text>\S.*)", re.IGNORECASE)
_ANSWER_LINE = re.compile(r"\W{0,3}(?:A|Answer|Antwort)\s?\d{0,3}\s?[:.)]\s+(?P<text>\S.*)", re.IGNORECASE)
_ROW = re.compile(
    r"(?:.*?;\s)?(?:q|question|frage):\s(?P<question>.+?);\s(?:a|answer|antwort):\s(?P<answer>.+?)(?:;\s[\w ]{1,30}:\s.*)?",
    re.IGNORECASE,
)
_ONE_LINE = re.compile(
    r"\W{0,3}(?:Q|Question|Frage)\s?\d{0,3}\s?[:.)]\s+(?P<question>\S[^?]*\?)\s+(?:A|Answer|Antwort)\s?\d{0,3}\s?[:.)]\s+(?P<answer>\S.*)",
    re.IGNORECASE,
)
"""Question and answer in one line, as when Markdown joins the two lines of a paragraph."""
_MARKER = re.compile(r"(?:[-#*•]+|\(?\d{1,3}[.)])\s+")


@dataclass(frozen=True, slots=True)
class WrittenPair:
    """A question and an answer as they stand; `start` and `end` are the offsets of both together in the chunk's text."""

    question: str
    answer: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    start: int
    end: int


def written_pairs(chunk: Chunk) -> list[WrittenPair]:
    """The pairs of a chunk: lines `Q:` and `A:`, rows with a question and an answer column, and lines or headings that ask,
    with the text below them."""
    lines = list(_lines(chunk.text))
    rows = [pair for line in lines if (pair := _row_pair(line)) is not None]
    if rows:
        return rows
    starts = [i for i, line in enumerate(lines) if _question_of(line) is not None]
    ends = [*starts, len(lines)][1:]
    return [pair for start, end in zip(starts, ends, strict=True) if (pair := _block_pair(chunk, lines[start:end])) is not None]


def _lines(text: str) -> Iterator[_Line]:
    at = 0
    for raw in text.splitlines(keepends=True):
        body = raw.strip()
        if body:
            start = at + raw.index(body)
            yield _Line(body, start, start + len(body))
        at += len(raw)


def _row_pair(line: _Line) -> WrittenPair | None:
    match = _ROW.fullmatch(line.text) or _ONE_LINE.fullmatch(line.text)
    if match is None:
        return None
    return WrittenPair(match["question"].strip(), match["answer"].strip(), line.start, line.end)


def _question_of(line: _Line) -> str | None:
    """The question that a line asks: after `Q:`, or a whole line that is one question."""
    marked = _QUESTION_LINE.fullmatch(line.text)
    if marked is not None:
        return marked["text"]
    marker = _MARKER.match(line.text)
    text = line.text[marker.end() :] if marker else line.text
    single = text.endswith("?") and not re.search(r"[.!?]\s", text)
    return text if single and len(words(text)) >= _MIN_QUESTION_WORDS else None


def _block_pair(chunk: Chunk, lines: list[_Line]) -> WrittenPair | None:
    """The pair of a question's line and the lines below it, up to the next heading."""
    question = _question_of(lines[0])
    headings = set(chunk.heading_path)
    below = []
    for line in lines[1:]:
        if line.text in headings:
            break
        below.append(line)
    if question is None or not below:
        return None
    marked = _ANSWER_LINE.fullmatch(below[0].text)
    start = below[0].start + (marked.start("text") if marked else 0)
    answer = chunk.text[start : below[-1].end]
    if len(answer) > _MAX_ANSWER or len(words(answer)) == 0:
        return None
    return WrittenPair(question, answer, lines[0].start, below[-1].end)
