"""What to do when memory runs out in a step: do it again with fewer examples at once. The gradients add up to the same."""

from __future__ import annotations

import gc
from collections.abc import Sequence

_SIGNS = ("allocate memory", "out of memory", "not enough memory")
"""In the messages of PyTorch's RuntimeErrors, which on the processor have no class of their own."""


def memory_ran_out(exc: BaseException) -> bool:
    """Whether an exception says that there was no memory left."""
    import torch

    if isinstance(exc, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(exc, RuntimeError) and any(sign in str(exc).lower() for sign in _SIGNS)


def free_memory() -> None:
    """Give back what nothing refers to any more."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def half_of_largest(rows: Sequence[Sequence[object]]) -> int | None:
    """Half of the most examples that were computed at once; None where that was a single one."""
    largest = max(len(row) for row in rows)
    return None if largest < 2 else (largest + 1) // 2
