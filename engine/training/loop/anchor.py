"""What keeps a model from forgetting: on general text its predictions are held to those that it had before.

Facts learnt by heart change a small model as a whole: 30 of them, taught to a loss of 0.015, made the default model's
perplexity on other text almost three times as high. So the Kullback–Leibler divergence from the untrained model's predictions
on windows of general text is part of what is minimised, as in "Learning without forgetting" (Li & Hoiem 2017), with text that
comes with the program. What the model made of the windows is computed once, before the first step.

PyTorch is imported with this module: import it inside the function that needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from engine.training.loop.packing import ANCHOR_WINDOW, LOGITS_IN_A_PIECE

if TYPE_CHECKING:
    from transformers import PreTrainedModel


JUDGED = 16
"""Tokens of a window whose predictions are compared: drawn anew each time, so that in the mean all count alike. The output
layer would cost as much for 64 as for all answers of a batch of short questions."""


@dataclass(frozen=True, slots=True)
class Draw:
    """A window of the text, and which of its tokens' predictions are compared."""

    tokens: tuple[int, ...]
    judged: Tensor
    """Indices into `tokens`."""
    before: Tensor
    """The hidden states that the untrained model had there, shape (judged tokens, width)."""


class Anchor:
    """Windows of text, and what the model made of them before it was trained."""

    def __init__(self, base: PreTrainedModel, text: Sequence[int], judged: int = JUDGED) -> None:
        """Compute what the model makes of them now: no LoRA matrix may have been trained.

        Args:
            base: the model, whose LoRA matrices add nothing yet.
            text: tokens of general text; what fills no window is left out.
            judged: tokens of a window whose predictions are compared.
        """
        self._base, self._judged = base, judged
        count = len(text) // ANCHOR_WINDOW
        self._windows = torch.tensor(text[: count * ANCHOR_WINDOW], device=base.device).view(count, ANCHOR_WINDOW)
        with torch.no_grad():
            self._reference = torch.cat([self._hidden(window) for window in torch.split(self._windows, 4)])

    def draw(self) -> Draw:
        """Choose a window, and tokens of it, with PyTorch's random state."""
        index = int(torch.randint(len(self._windows), ()))
        judged = torch.randperm(ANCHOR_WINDOW)[: self._judged].sort().values.to(self._windows.device)
        return Draw(tuple(self._windows[index].tolist()), judged, self._reference[index, judged])

    def divergence(self) -> Tensor:
        """`divergence_of` a draw that is computed by itself."""
        drawn = self.draw()
        return self.divergence_of(self._hidden(torch.tensor([drawn.tokens], device=self._base.device))[0], drawn)

    def divergence_of(self, now: Tensor, drawn: Draw) -> Tensor:
        """The mean KL divergence, in nats a token, of hidden states of a drawn window, shape (window, width)."""
        head = self._base.get_output_embeddings()
        cap: float | None = getattr(self._base.config, "final_logit_softcapping", None)
        states = now[drawn.judged]
        total: Tensor = _Divergence.apply(states, drawn.before, head.weight, head.bias, cap)  # type: ignore[no-untyped-call]
        return total / len(states)

    def _hidden(self, windows: Tensor) -> Tensor:
        states: Tensor = self._base.base_model(input_ids=windows, use_cache=False).last_hidden_state
        return states


class _Divergence(torch.autograd.Function):
    """Σ KL(softmax(before·Wᵀ) ‖ softmax(now·Wᵀ)) over tokens; its gradient flows to `now` alone."""

    @staticmethod
    def forward(ctx: FunctionCtx, now: Tensor, before: Tensor, head: Tensor, bias: Tensor | None, cap: float | None) -> Tensor:
        total = torch.zeros((), device=now.device)
        gradient = torch.empty_like(now)
        for start in range(0, len(now), LOGITS_IN_A_PIECE):
            part = slice(start, start + LOGITS_IN_A_PIECE)
            expected, _ = _log_softmax(before[part], head, bias, cap)
            found, bend = _log_softmax(now[part], head, bias, cap)
            p = expected.exp()
            total += (p * (expected - found)).sum()
            slope = found.exp_().sub_(p)
            gradient[part] = (slope if bend is None else slope.mul_(bend)).to(head.dtype) @ head
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, outer: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors  # type: ignore[attr-defined]  # PyTorch's stubs leave it out
        return gradient * outer.to(gradient.dtype), None, None, None, None


def _log_softmax(hidden: Tensor, head: Tensor, bias: Tensor | None, cap: float | None) -> tuple[Tensor, Tensor | None]:
    """Log-probabilities in float32, and the slope of the soft cap where there is one."""
    logits = torch.nn.functional.linear(hidden, head, bias).float()
    if cap is None:
        return logits.log_softmax(dim=1), None
    bent = torch.tanh(logits / cap)
    return (bent * cap).log_softmax(dim=1), 1 - bent * bent
