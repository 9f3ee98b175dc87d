"""Finished sequences whose cache is kept, so that a prompt with the same beginning need not be computed again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.llm.llamacpp.tokens import Token

MOST_NOTED = 256
"""Beginnings that are counted at a time: each is as long as an instruction."""


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


class ParkingSpace:
    """Ordinary memory for the finished sequences of all contexts of a model; those parked longest ago make room."""

    def __init__(self, limit_bytes: int) -> None:
        """It is empty, and never holds more than so many bytes."""
        self.size = 0
        self._limit = limit_bytes
        self._parked: dict[tuple[ParkedSequences, tuple[Token, ...]], int] = {}

    def fits(self, size: int) -> bool:
        """Whether there would be room for a state of so many bytes if nothing else were parked."""
        return size <= self._limit

    def take_in(self, owner: ParkedSequences, tokens: tuple[Token, ...], size: int) -> bool:
        """Make room for a state and count it. Whether it fits at all; if not, all others stay."""
        if not self.fits(size):
            return False
        while self._parked and self.size + size > self._limit:
            oldest, forgotten = next(iter(self._parked))
            oldest.take(forgotten)
        self._parked[owner, tokens] = size
        self.size += size
        return True

    def let_go(self, owner: ParkedSequences, tokens: tuple[Token, ...]) -> None:
        """A state is gone."""
        self.size -= self._parked.pop((owner, tokens))


class ParkedSequences:
    """Finished sequences of a context in ordinary memory. In the cache they would slow all others down."""

    def __init__(self, space: ParkingSpace) -> None:
        """None is parked.

        Args:
            space: where; other contexts may park there, too.
        """
        self._space = space
        self._states: dict[tuple[Token, ...], bytes] = {}

    @property
    def size(self) -> int:
        """Bytes of all states."""
        return sum(map(len, self._states.values()))

    def fits(self, size: int) -> bool:
        """Whether a state of so many bytes can be parked at all."""
        return self._space.fits(size)

    def park(self, tokens: tuple[Token, ...], state: bytes) -> None:
        """Keep a state, and drop those parked longest ago that do not fit beside it."""
        if tokens in self._states:
            self.take(tokens)
        if self._space.take_in(self, tokens, len(state)):
            self._states[tokens] = state

    def best_for(self, tokens: Sequence[Token]) -> tuple[tuple[Token, ...], int]:
        """The parked sequence with the longest beginning in common, and that length; empty and 0 where there is none."""
        lengths = [(common_prefix(parked, tokens), parked) for parked in self._states]
        length, parked = max(lengths, default=(0, ()))
        return (parked, length) if length else ((), 0)

    def look_at(self, tokens: tuple[Token, ...]) -> bytes:
        """The state of a parked sequence, which stays parked."""
        return self._states[tokens]

    def take(self, tokens: tuple[Token, ...]) -> bytes:
        """The state of a parked sequence, which is parked no longer."""
        self._space.let_go(self, tokens)
        return self._states.pop(tokens)

    def clear(self) -> None:
        """Forget all."""
        for tokens in list(self._states):
            self.take(tokens)


class Beginnings:
    """How often prompts had the same beginning. Of too many, those that came least often are forgotten."""

    def __init__(self) -> None:
        self._times: Counter[tuple[Token, ...]] = Counter()

    def __len__(self) -> int:
        return len(self._times)

    def note(self, beginning: Sequence[Token]) -> None:
        """Count a beginning once more."""
        self._times[tuple(beginning)] += 1
        if len(self._times) > MOST_NOTED:
            self._times = Counter(dict(self._times.most_common(MOST_NOTED // 2)))

    def commonest(self, count: int) -> list[tuple[Token, ...]]:
        """Those that came most often, but more than once."""
        return [beginning for beginning, times in self._times.most_common(count) if times > 1]
