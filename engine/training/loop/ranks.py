"""The processes of one training, and what they tell each other: this one alone (`Ranks`), or several that share each step.

With several, each has the whole model and takes a part of each step's examples; the gradients of all parts are added up, so
that every process makes the same update ("data parallel"). The first process leads: it alone looks, reports, writes and
decides, and orders each step. The others follow its orders and nothing else, so that all do the same at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from engine.errors import TrainingError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_END = -1
"""Ordered instead of a step: there are no more."""
_HEAD = 4
"""Numbers before the gradients in a message: so many that the first gradient begins at 16 bytes."""


class Sized(Protocol):
    """Something to learn from."""

    @property
    def tokens(self) -> Sequence[int]:
        """Its tokens."""
        ...


Item = TypeVar("Item", bound=Sized)


@dataclass(frozen=True, slots=True)
class Order:
    """To take a step, counted from 0, with so many examples in one pass at most."""

    step: int
    at_once: int | None = None


def parts(examples: Sequence[Item], count: int) -> list[list[Item]]:
    """The examples in so many parts of about as many tokens: the longest first, each into the emptiest part (Graham 1969)."""
    if count == 1:
        return [list(examples)]
    shares: list[list[Item]] = [[] for _ in range(count)]
    filled = [0] * count
    for item in sorted(examples, key=lambda each: -len(each.tokens)):
        at = filled.index(min(filled))
        shares[at].append(item)
        filled[at] += len(item.tokens)
    return shares


class Ranks:
    """One process alone. Nothing here costs anything; no process group is made."""

    rank = 0
    """Which one this is; the first one leads."""
    count = 1
    """How many there are."""

    @property
    def leads(self) -> bool:
        """Whether this one decides, reports and writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Go on when all are here."""

    def send(self, order: Order) -> None:
        """Order a step of the others."""

    @contextmanager
    def leading(self) -> Iterator[None]:
        """While the first process orders steps; at the end the others are let go."""
        yield

    def agree(self, fingerprint: str) -> None:
        """Make sure that all learn the same.

        Raises:
            TrainingError: this one learns something else than the first.
        """

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Give all processes the first one's values, in place."""

    def add_up(self, work: Callable[[], float], weights: Iterable[torch.nn.Parameter]) -> float:
        """Do this process's work, which adds to the gradients of some weights, and add up the gradients of all processes.

        Args:
            work: gives this process's part of the loss.
            weights: those whose gradients count.

        Returns:
            The sum of all parts of the loss.

        Raises:
            MemoryError, RuntimeError: memory ran out, here or in another process.
        """
        return work()


class Together(Ranks):
    """Several processes in PyTorch's default process group. See `engine.training.group.join`."""

    def __init__(self, rank: int, count: int, device: torch.device) -> None:
        """Args: `device` is where this process computes, and where what is told has to be for it."""
        self.rank, self.count, self._device = rank, count, device

    def wait(self) -> None:  # noqa: D102  # as in Ranks
        import torch

        self.spread([torch.zeros((), device=self._device)])  # not `barrier`, which may wait on another device

    def send(self, order: Order) -> None:  # noqa: D102
        self._told(order.step, order.at_once or 0)

    def receive(self) -> Order | None:
        """The first process's next order; None: there are no more."""
        step, at_once = self._told(0, 0)
        return None if step == _END else Order(step, at_once or None)

    @contextmanager
    def leading(self) -> Iterator[None]:  # noqa: D102
        try:
            yield
        finally:
            with suppress(RuntimeError):  # who has ended already needs no telling
                self._told(_END, 0)

    def agree(self, fingerprint: str) -> None:  # noqa: D102
        mine = int(fingerprint, 16)
        high, low = self._told(mine >> 32, mine & 0xFFFFFFFF)
        if (high << 32 | low) != mine:
            raise TrainingError(
                "The processes of this training have different data or settings.",
                hint="Give all machines the same run folder.",
            )

    def spread(self, tensors: Iterable[Tensor]) -> None:  # noqa: D102
        import torch

        for tensor in tensors:
            torch.distributed.broadcast(tensor, src=0)

    def add_up(self, work: Callable[[], float], weights: Iterable[torch.nn.Parameter]) -> float:  # noqa: D102
        import torch

        loss, short = _tried(work)
        chosen = list(weights)
        # One message for everything: whether memory ran out, the loss, and the gradients, whatever they are then worth.
        message = torch.zeros(_HEAD + sum(weight.numel() for weight in chosen), device=self._device)
        message[0], message[1] = float(short), loss
        places = _places(message, chosen)
        for weight, place in zip(chosen, places, strict=True):
            if weight.grad is not None and not short:
                place.copy_(weight.grad)
        torch.distributed.all_reduce(message)
        if float(message[0]):
            raise MemoryError("memory ran out in a process of the training")
        for weight, place in zip(chosen, places, strict=True):
            weight.grad = place
        return float(message[1])

    def _told(self, *numbers: int) -> list[int]:
        """The first process's numbers, whoever asks."""
        import torch

        message = torch.tensor(numbers, dtype=torch.int64, device=self._device)
        self.spread([message])
        return [int(number) for number in message.tolist()]


def _tried(work: Callable[[], float]) -> tuple[float, bool]:
    """What work gives, and whether memory ran out instead. The exception is gone then, and with it what it holds."""
    from engine.training.loop.memory import memory_ran_out

    try:
        return work(), False
    except (RuntimeError, MemoryError) as exc:
        if not memory_ran_out(exc):
            raise
    return 0.0, True


def _places(message: Tensor, weights: Sequence[torch.nn.Parameter]) -> list[Tensor]:
    """Where each weight's gradient stands in a message, in the weight's shape."""
    places, at = [], _HEAD
    for weight in weights:
        places.append(message[at : at + weight.numel()].view_as(weight))
        at += weight.numel()
    return places


ALONE = Ranks()
"""A training in this process only."""
