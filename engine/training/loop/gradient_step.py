"""One step of the optimiser, in as many passes as memory makes necessary."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from engine.training.datasets.encoding import EncodedExample
from engine.training.loop.memory import free_memory, half_of_largest, memory_ran_out
from engine.training.loop.packing import in_rows
from engine.training.loop.pieces import Backward
from engine.training.loop.ranks import ALONE, Ranks, parts
from engine.training.loop.run_state import RunState, random_state, set_random_state

if TYPE_CHECKING:
    from torch import Tensor


class NotFinite(Exception):
    """The loss or the gradient of a step is no number; its update was not made."""


class GradientStep:
    """Takes steps. Where memory runs out it does a step again, and all later ones, with fewer examples in one pass."""

    def __init__(
        self,
        loss: Callable[[Sequence[EncodedExample]], Tensor],
        state: RunState,
        max_norm: float,
        shrunk: Callable[[int], None],
        ranks: Ranks = ALONE,
    ) -> None:
        """Begin with as many examples in one pass as a row has room for.

        Args:
            loss: the sum of the cross-entropies of some examples' answer tokens.
            state: what is changed.
            max_norm: L2 norm to which gradients are scaled down.
            shrunk: told the new limit when memory has run out.
            ranks: the processes that share each step.
        """
        self._state, self._max_norm, self._shrunk = state, max_norm, shrunk
        self._backward = Backward(loss, tuple(state.weights.values()))
        self._ranks = ranks
        self.at_once: int | None = None
        """Examples in one pass at most; None: no limit but a row's."""

    def take(self, examples: Sequence[EncodedExample], rate: float) -> tuple[float, float]:
        """Apply the gradients of some examples, clipped. Returns the mean loss of an answer token and the gradients' norm.

        Raises:
            NotFinite: one of these is no number.
            MemoryError, RuntimeError: memory does not suffice for one example.
        """
        import torch

        loss = self._gradients(examples)
        norm = float(torch.nn.utils.clip_grad_norm_(self._state.weights.values(), self._max_norm))
        for name, value in (("loss", loss), ("gradient", norm)):
            if not math.isfinite(value):
                raise NotFinite(f"the {name} became {value}")
        self._state.apply_gradients(rate)
        return loss, norm

    def _gradients(self, examples: Sequence[EncodedExample]) -> float:
        """Add up the gradients of the examples, in smaller rows whenever memory runs out. Returns the mean loss."""
        before = random_state()
        answers = sum(item.answer_length for item in examples)
        shares = parts(examples, self._ranks.count)
        while True:
            rows = [in_rows(share, self.at_once) for share in shares]
            try:
                return self._ranks.add_up(partial(self._of_rows, rows[self._ranks.rank], answers), self._state.weights.values())
            except (RuntimeError, MemoryError) as exc:
                # The same everywhere, whichever process it was that ran out.
                self.at_once = half_of_largest(list(chain.from_iterable(rows))) if memory_ran_out(exc) else None
                if self.at_once is None:
                    raise
            # Only here, after the exception is gone, is nothing left that holds what was computed.
            self._state.drop_gradients()
            free_memory()
            set_random_state(before)
            self._shrunk(self.at_once)

    def _of_rows(self, rows: Sequence[Sequence[EncodedExample]], answers: int) -> float:
        """Add up the gradients of some rows of a step that has so many answer tokens. Returns their part of its mean loss."""
        return math.fsum(self._backward.add(row, answers) for row in rows)
