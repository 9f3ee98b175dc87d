"""What the training loop asks of a library: a model with LoRA matrices, and its loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.training.datasets.encoding import EncodedExample

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Learner:
    """A model to train. What needs gradients in it is what is learnt."""

    model: PeftModel
    loss: Callable[[Sequence[EncodedExample]], Tensor]
    """The sum of the cross-entropies of a batch's answer tokens, in nats: a float32 scalar to take gradients of."""
