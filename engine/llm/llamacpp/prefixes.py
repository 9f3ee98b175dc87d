"""Finished sequences whose cache is kept, so that a prompt with the same beginning need not be computed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.llm.llamacpp.tokens import Token


def common_prefix(first: Sequence[Token], second: Sequence[Token]) -> int:
    """The number of tokens with which both begin."""
    length = min(len(first), len(second))
    differs = np.asarray(first[:length]) != np.asarray(second[:length])
    return int(differs.argmax()) if differs.any() else length


@dataclass(frozen=True, slots=True, eq=False)
class KeptSequence:
    """A sequence number whose cells hold exactly these tokens."""

    slot: int
    tokens: tuple[Token, ...]


class KeptSequences:
    """Kept sequences, the least recently used first."""

    def __init__(self) -> None:
        self._kept: list[KeptSequence] = []

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[KeptSequence]:
        return iter(self._kept)

    def add(self, kept: KeptSequence) -> None:
        """Keep a sequence, as the most recently used."""
        self._kept.append(kept)

    def remove(self, kept: KeptSequence) -> None:
        """Keep it no longer; its cells are the caller's."""
        self._kept.remove(kept)

    def oldest(self, spare: KeptSequence | None = None) -> KeptSequence | None:
        """The least recently used sequence, other than `spare`."""
        return next((kept for kept in self._kept if kept is not spare), None)

    def best_for(self, tokens: Sequence[Token]) -> tuple[KeptSequence | None, int]:
        """The kept sequence with the longest beginning in common, and that length."""
        lengths = [(common_prefix(kept.tokens, tokens), index) for index, kept in enumerate(self._kept)]
        length, index = max(lengths, default=(0, 0))
        return (self._kept[index], length) if length else (None, 0)

    def touch(self, kept: KeptSequence) -> None:
        """Note that it was used."""
        self._kept.remove(kept)
        self._kept.append(kept)
