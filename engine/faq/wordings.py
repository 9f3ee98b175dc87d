"""What tells questions apart that are near by embedding: the words, names and numbers of many questions, compared at once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.faq.words import STOP_WORDS, names, numbers, stem, words

Scalar = TypeVar("Scalar", bound=np.generic)
Rows = NDArray[np.intp]
_Ids = NDArray[np.int64]

_SLOTS = 2
"""Questions of one pattern differ in so many words at most: "price for plan Basic", "price for plan Pro"."""
_NO_WORD = -1
_LEAST_ROOM = 16
_SIGN = re.compile(r"(?<!\S)[-−](?=\d)")
_MEANING = frozenset("#%&@/")
"""Punctuation, by Unicode's categories, that makes another word: "C#" and "C"."""


def normal_question(question: str) -> str:
    """A question without what does not change its meaning: letter case, width, white space and punctuation.

    Symbols, combining marks and the sign of a number stay. A text of nothing but punctuation is left alone.
    """
    text = _SIGN.sub("\N{MINUS SIGN}", unicodedata.normalize("NFKC", question).casefold())
    return " ".join("".join(map(_bare, text)).split()) or question


def _bare(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf":  # soft hyphens, zero-width spaces
        return ""
    return " " if category[0] in "PZC" and character not in _MEANING else character


def _names(question: str) -> set[str]:
    return {stem(name) for name in names(question)}


@dataclass(frozen=True, slots=True)
class Wording:
    """What tells a question from others, as numbers that stand for texts.

    `kind` stands for the question's numbers and names. `stems` are the question's words in order, `content` the same with
    `_NO_WORD` in place of words that say nothing.
    """

    kind: int
    stems: _Ids
    content: _Ids


class Wordings:
    """The wordings of many questions, by row, all compared at once.

    Embeddings hardly see the one word that matters, so what differs is looked at: another number or name is another question,
    and so is another word in the same pattern. The answers do not count: the Spring market and the Christmas market may be
    at one place, and people ask for each.

    One pair at a time, a few thousand questions of one pattern ("What does plan … cost?") took minutes.
    """

    def __init__(self) -> None:
        self._ids: dict[Hashable, int] = {}
        self._count = 0
        self._shapes = np.empty(_LEAST_ROOM, dtype=np.int64)
        self._places = np.empty(_LEAST_ROOM, dtype=np.intp)
        self._kinds = np.empty(_LEAST_ROOM, dtype=np.int64)
        self._grids: dict[int, _Grid] = {}

    def read(self, question: str) -> Wording:
        """The wording of a question."""
        asked = words(question)
        stems = [stem(word) for word in asked]
        kind = (frozenset(numbers(question)), frozenset(_names(question)))
        content = [
            _NO_WORD if word.lower() in STOP_WORDS else self._id(found) for word, found in zip(asked, stems, strict=True)
        ]
        return Wording(
            kind=self._id(kind),
            stems=np.array([self._id(found) for found in stems], dtype=np.int64),
            content=np.array(content, dtype=np.int64),
        )

    def append(self, wording: Wording) -> None:
        """Keep a wording, as the next row."""
        row = self._count
        shape = self._shape(wording)
        grid = self._grids.setdefault(shape, _Grid(len(wording.stems)))
        self._kinds, self._shapes = with_room(self._kinds, row), with_room(self._shapes, row)
        self._places = with_room(self._places, row)
        self._kinds[row], self._shapes[row], self._places[row] = wording.kind, shape, grid.append(wording)
        self._count += 1

    def same(self, wording: Wording, near: Rows) -> Rows:
        """Those of the rows `near`, which are near by embedding, that do ask the same, in their order."""
        same = self._kinds[near] == wording.kind
        shape = self._shape(wording)
        comparable = same & (self._shapes[near] == shape)  # those of another length have no pattern in common
        if comparable.any():
            same[comparable] = ~self._grids[shape].one_pattern(wording, self._places[near[comparable]])
        found: Rows = near[same]
        return found

    def _shape(self, wording: Wording) -> int:
        return self._id((wording.kind, len(wording.stems)))

    def _id(self, text: Hashable) -> int:
        return self._ids.setdefault(text, len(self._ids))


class _Grid:
    """Questions of as many words each, one below the other."""

    def __init__(self, length: int) -> None:
        self._count = 0
        self._stems = np.empty((_LEAST_ROOM, length), dtype=np.int64)
        self._content = np.empty((_LEAST_ROOM, length), dtype=np.int64)

    def append(self, wording: Wording) -> int:
        """Keep a wording. Returns its place."""
        place = self._count
        self._stems, self._content = with_room(self._stems, place), with_room(self._content, place)
        self._stems[place], self._content[place] = wording.stems, wording.content
        self._count += 1
        return place

    def one_pattern(self, wording: Wording, places: Rows) -> NDArray[np.bool_]:
        """For each of the places whether its question is the wording but for one or two content words at the same places."""
        differing = self._stems[places] != wording.stems
        count = differing.sum(axis=1)
        few = np.flatnonzero((count > 0) & (count <= _SLOTS))
        found = np.zeros(len(places), dtype=np.bool_)
        for column in np.flatnonzero(differing[few].any(axis=0)):
            here = few[differing[few, column]]
            theirs, content = self._stems[places[here], column], self._content[places[here]]
            ours = wording.stems[column]
            # A word tells where the content words of one question have it and those of the other have not.
            we_tell = (wording.content == ours).any() != (content == ours).any(axis=1)
            they_tell = (content == theirs[:, None]).any(axis=1) != np.isin(theirs, wording.content)
            found[here] |= we_tell & they_tell
        return found


def with_room(rows: NDArray[Scalar], count: int) -> NDArray[Scalar]:
    """An array that has a row after the first `count`, twice as long where it had none."""
    return rows if count < len(rows) else np.concatenate([rows, np.zeros_like(rows)])
