"""Which examples are kept from training, to measure with: whole groups of what belongs together, chosen by a hash.

Two wordings of one question, or two questions about one passage, must not stand on both sides of the split: the figures would
show what the model remembers, not what it has understood. `engine.evaluation.split` chooses pairs by the same rule.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from engine.knowledge.figures import numbers
from engine.knowledge.terms import content_stems, words

LEAST_EXAMPLES = 10
"""With fewer examples none is held out: each is needed to learn from."""

MOST_ANSWERED_ALIKE = 50
"""An answer that more questions have is a label such as "yes", and says nothing about whether they ask the same."""
_WHOLE_ANSWER = 5
"""An answer of so many words is a statement; who gives it twice was asked the same."""
_ALIKE = 0.5
"""Share of content words (Jaccard) from which two questions with the same short answer are taken for one."""

_ASKING = frozenset({"much", "many"})
"""Words of questions that say nothing of their subject, beside those of `engine.knowledge.terms`."""


class Row(NamedTuple):
    """What tells which group an example belongs to.

    `source` names the passage or conversation that it comes from; empty: not known. An empty `answer` is compared with nothing.
    """

    source: str
    question: str
    answer: str


def groups_of(rows: Sequence[Row]) -> list[str]:
    """The name of each row's group. Rows are in one group where they have a source in common, ask the same or answer the same.

    That goes on in a chain: if one row asks what a second asks, and that one comes from the passage of a third, all three are
    together. Names do not depend on the order of the rows.
    """
    sets = _Sets(len(rows))
    first: dict[Hashable, int] = {}
    for index, row in enumerate(rows):
        for key in _keys(row):
            sets.join(first.setdefault(key, index), index)
    for left, right in _answered_alike(rows):
        sets.join(left, right)
    roots = [sets.root(index) for index in range(len(rows))]
    names: dict[int, str] = {}
    for root, row in zip(roots, rows, strict=True):
        own = hashlib.sha256("\0".join(row).encode("utf-8", "surrogatepass")).hexdigest()
        names[root] = min(names.get(root, own), own)
    return [names[root] for root in roots]


def held_out_groups(groups: Sequence[str], fraction: float, seed: int = 0) -> frozenset[str]:
    """The groups that are held out: about `fraction` of the examples, whose groups are given one by one.

    Always the same ones for the same groups, in whatever order. Groups that would overshoot are left to training; where each
    would, the smallest is taken. Never all groups, and none of fewer than `LEAST_EXAMPLES` examples.
    """
    sizes = Counter(groups)
    if fraction <= 0 or len(groups) < LEAST_EXAMPLES or len(sizes) < 2:
        return frozenset()
    wanted = max(1, round(fraction * len(groups)))
    return frozenset(_fitting(sizes, wanted, seed))


def _fitting(sizes: Mapping[str, int], wanted: int, seed: int) -> list[str]:
    """Groups with no more than `wanted` examples in all, in the order of their hashes; the smallest group where none fits."""
    order = sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}:{group}".encode()).digest())
    chosen: list[str] = []
    left = wanted
    for group in order:
        if sizes[group] <= left and len(chosen) + 1 < len(sizes):
            chosen.append(group)
            left -= sizes[group]
    return chosen or [min(order, key=sizes.__getitem__)]


def _keys(row: Row) -> Iterator[Hashable]:
    """What a row has in common with each other row of its group."""
    if row.source:
        yield "source", row.source
    stems = _subject(row.question)
    plain = " ".join(words(row.question)) or row.question.strip()
    yield "asks", (frozenset(stems), frozenset(numbers(row.question))) if stems else plain


def _answered_alike(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Rows with the same answer that ask the same as far as one can tell."""
    answered: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        answer = " ".join(words(row.answer))
        if answer:
            answered[answer].append(index)
    for answer, same in answered.items():
        if 2 <= len(same) <= MOST_ANSWERED_ALIKE:
            is_statement = len(answer.split()) >= _WHOLE_ANSWER
            stems = {index: _subject(rows[index].question) for index in same}
            pairs = combinations(same, 2)
            yield from (pair for pair in pairs if is_statement or _alike(stems[pair[0]], stems[pair[1]]))


def _subject(question: str) -> set[str]:
    """The stems of the words that say what a question is about."""
    return content_stems(question) - _ASKING


def _alike(left: set[str], right: set[str]) -> bool:
    return bool(left) and len(left & right) >= _ALIKE * len(left | right)


class _Sets:
    """Disjoint sets of the numbers below a limit (union and find, with path halving)."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, index: int) -> int:
        """The number that stands for an index's set."""
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]
            index = self._parent[index]
        return index

    def join(self, left: int, right: int) -> None:
        """Make the sets of two numbers one."""
        self._parent[self.root(right)] = self.root(left)


def source_of(chunk_id: str | None, document_id: str | None, page: int | None) -> str:
    """The name of a pair's passage: its chunk, else its page; empty where neither is known."""
    if chunk_id:
        return chunk_id
    return f"{document_id}, page {page}" if document_id and page is not None else ""
