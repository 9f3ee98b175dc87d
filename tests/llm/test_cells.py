"""The count of cache cells, against sets that are counted the plain way."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.llm.llamacpp.cells import CellLedger

TOTAL, SEQUENCES = 24, 4
NUMBER = st.integers(0, SEQUENCES - 1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), NUMBER, st.integers(0, 9)),
        st.tuples(st.just("copy"), NUMBER, NUMBER, st.integers(0, 12)),
        st.tuples(st.just("truncate"), NUMBER, st.integers(0, 12)),
    ),
    max_size=40,
)


class Plain:
    """Each sequence as the list of its cells, a cell being the moment it was written."""

    def __init__(self) -> None:
        self.sequences: list[list[int]] = [[] for _ in range(SEQUENCES)]
        self._next = 0

    @property
    def used(self) -> int:
        return len({cell for sequence in self.sequences for cell in sequence})

    def append(self, sequence: int, count: int) -> None:
        if count > TOTAL - self.used:
            raise ValueError
        self.sequences[sequence] += range(self._next, self._next + count)
        self._next += count

    def copy(self, source: int, target: int, length: int) -> None:
        if source == target or length > len(self.sequences[source]):
            raise ValueError
        self.sequences[target] = self.sequences[source][:length]

    def truncate(self, sequence: int, length: int) -> None:
        del self.sequences[sequence][length:]


def _refused(call: Callable[..., None], *arguments: int) -> bool:
    try:
        call(*arguments)
    except ValueError:
        return True
    return False


@given(STEPS)
def test_cells_are_counted_once_however_they_are_shared(steps: list[tuple]) -> None:
    ledger, plain = CellLedger(TOTAL, SEQUENCES), Plain()
    for name, *arguments in steps:
        assert _refused(getattr(ledger, name), *arguments) == _refused(getattr(plain, name), *arguments)
        assert ledger.used == plain.used
        assert ledger.free == TOTAL - plain.used
        for number, cells in enumerate(plain.sequences):
            others = {cell for other, kept in enumerate(plain.sequences) if other != number for cell in kept}
            assert ledger.length(number) == len(cells)
            assert ledger.owned(number) == len(set(cells) - others)
        assert ledger.used_by(range(SEQUENCES)) == plain.used


def test_a_refused_step_changes_nothing() -> None:
    ledger = CellLedger(4, 2)
    ledger.append(0, 3)
    for step in (lambda: ledger.append(1, 2), lambda: ledger.copy(0, 1, 4), lambda: ledger.copy(0, 0, 1)):
        with pytest.raises(ValueError, match=r"free|tokens|itself"):
            step()
    assert (ledger.used, ledger.length(0), ledger.length(1)) == (3, 3, 0)
