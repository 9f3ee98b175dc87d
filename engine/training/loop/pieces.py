"""A row's loss as a sum of pieces, and their gradients computed at the same time, each on some of the cores.

Two cores that share every small operation wait for each other at each of its thousands of ends, the more so where another
program shares the cores; with a piece of its own each waits once a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from engine.training.datasets.encoding import EncodedExample

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_PIECES = 2


class Pieces(Protocol):
    """Gives the pieces of a row's loss: more than one only if it is asked for pieces that are computed apart."""

    def __call__(self, batch: Sequence[EncodedExample], *, apart: bool) -> list[Callable[[], Tensor]]:
        """Scalars with gradients, whose sum is the loss."""
        ...


@dataclass(frozen=True, slots=True)
class PiecewiseLoss:
    """The sum of the cross-entropies of a batch's answer tokens, whole or in pieces."""

    pieces: Pieces

    def __call__(self, batch: Sequence[EncodedExample]) -> Tensor:
        """All of it."""
        (whole,) = self.pieces(batch, apart=False)
        return whole()


class Backward:
    """Computes losses and adds up their gradients, in pieces at the same time where there are cores and pieces."""

    def __init__(self, loss: Callable[[Sequence[EncodedExample]], Tensor], weights: Sequence[torch.nn.Parameter]) -> None:
        """Args: `weights` get the gradients of `loss`."""
        self._loss, self._weights = loss, weights
        self._pool: ThreadPoolExecutor | None = None

    def add(self, batch: Sequence[EncodedExample], divisor: float) -> float:
        """Add the gradients of a batch's loss over `divisor`. Returns that quotient.

        Raises:
            MemoryError, RuntimeError: memory does not suffice.
        """
        import torch

        if not isinstance(self._loss, PiecewiseLoss):
            return self._backward(lambda: self._loss(batch), divisor)
        pieces = self._loss.pieces(batch, apart=torch.get_num_threads() >= _PIECES)
        return self._backward(pieces[0], divisor) if len(pieces) == 1 else self._at_once(pieces, divisor)

    @staticmethod
    def _backward(piece: Callable[[], Tensor], divisor: float) -> float:
        import torch

        loss = piece() / divisor
        torch.autograd.backward(loss)
        return float(loss.detach())

    def _at_once(self, pieces: Sequence[Callable[[], Tensor]], divisor: float) -> float:
        """Gradients are added up in the order of the pieces, whichever is ready first: rounding is the same each time."""
        pool = self._pool or self._started()
        futures = [pool.submit(self._gradients, piece, divisor) for piece in pieces]
        wait(futures)
        found = [future.result() for future in futures]
        for _, gradients in found:
            for weight, gradient in zip(self._weights, gradients, strict=True):
                if gradient is not None:
                    weight.grad = gradient if weight.grad is None else weight.grad.add_(gradient)
        return sum(value for value, _ in found)

    def _gradients(self, piece: Callable[[], Tensor], divisor: float) -> tuple[float, tuple[Tensor | None, ...]]:
        import torch

        loss = piece() / divisor
        return float(loss.detach()), torch.autograd.grad(loss, self._weights, allow_unused=True)

    def _started(self) -> ThreadPoolExecutor:
        import torch

        threads = max(1, torch.get_num_threads() // _PIECES)
        # PyTorch's number of threads for one operation belongs to the thread that asks for the operation.
        self._pool = ThreadPoolExecutor(_PIECES, "piece", initializer=torch.set_num_threads, initargs=(threads,))
        return self._pool
