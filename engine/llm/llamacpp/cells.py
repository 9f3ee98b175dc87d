"""Which cells of a key-value cache are in use, counted as llama.cpp counts them."""

from __future__ import annotations

from collections.abc import Iterable


class CellLedger:
    """The cells of a unified cache: one for each token, shared by the sequences that were copied from one another.

    llama.cpp refuses a batch for which it finds no cell, and everything in the context has to end then. So it is known
    beforehand what fits.
    """

    def __init__(self, total: int, sequences: int) -> None:
        """All cells are free.

        Args:
            total: cells there are.
            sequences: sequence numbers there are.
        """
        self.total = total
        self._free = list(range(total - 1, -1, -1))
        self._sharers = [0] * total
        self._cells: list[list[int]] = [[] for _ in range(sequences)]

    @property
    def used(self) -> int:
        """Cells that hold a token of at least one sequence."""
        return self.total - len(self._free)

    @property
    def free(self) -> int:
        """Cells that hold none."""
        return len(self._free)

    def length(self, sequence: int) -> int:
        """Tokens of a sequence."""
        return len(self._cells[sequence])

    def owned(self, sequence: int, start: int = 0) -> int:
        """Cells that would become free if this sequence ended before its token `start`."""
        return sum(self._sharers[cell] == 1 for cell in self._cells[sequence][start:])

    def used_by(self, sequences: Iterable[int]) -> int:
        """Cells of these sequences together; a shared one counts once."""
        return len({cell for sequence in sequences for cell in self._cells[sequence]})

    def append(self, sequence: int, count: int = 1) -> None:
        """A sequence grows.

        Raises:
            ValueError: there are not as many free cells.
        """
        if count > len(self._free):
            raise ValueError(f"{count} cells are asked for and {len(self._free)} are free")
        taken = [self._free.pop() for _ in range(count)]
        self._cells[sequence] += taken
        for cell in taken:
            self._sharers[cell] = 1

    def copy(self, source: int, target: int, length: int) -> None:
        """`target` becomes the first `length` tokens of `source`, in the same cells.

        Raises:
            ValueError: the source is shorter than that.
        """
        if not 0 <= length <= len(self._cells[source]):
            raise ValueError(f"sequence {source} has {len(self._cells[source])} tokens, not {length}")
        if source == target:
            raise ValueError("a sequence cannot be copied to itself")
        self.truncate(target, 0)
        shared = self._cells[source][:length]
        self._cells[target] = shared
        for cell in shared:
            self._sharers[cell] += 1

    def truncate(self, sequence: int, length: int) -> None:
        """A sequence keeps its first `length` tokens; nothing happens where it has no more."""
        self._release(self._cells[sequence][length:])
        del self._cells[sequence][length:]

    def _release(self, cells: Iterable[int]) -> None:
        for cell in cells:
            self._sharers[cell] -= 1
            if not self._sharers[cell]:
                self._free.append(cell)
