"""What keeps a model from forgetting: on general text its predictions are held to those that it had before.

Facts learnt by heart change a small model as a whole: 30 of them, taught to a loss of 0.015, made the default model's
perplexity on other text almost three times as high. So the Kullback–Leibler divergence from the untrained model's predictions
on windows of general text is part of what is minimised, as in "Learning without forgetting" (Li & Hoiem 2017), with text that
comes with the program. What the model made of the windows is computed once, before the first step.

PyTorch is imported with this module: import it inside the function that needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from engine.training.loop.packing import ANCHOR_WINDOW, LOGITS_AT_ONCE

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Anchor:
    """Windows of text, and what the model made of them before it was trained."""

    def __init__(self, base: PreTrainedModel, text: Sequence[int]) -> None:
        """Compute what the model makes of them now: no LoRA matrix may have been trained.

        Args:
            base: the model, whose LoRA matrices add nothing yet.
            text: tokens of general text; what fills no window is left out.
        """
        self._base = base
        count = len(text) // ANCHOR_WINDOW
        self._windows = torch.tensor(text[: count * ANCHOR_WINDOW], device=base.device).view(count, ANCHOR_WINDOW)
        with torch.no_grad():
            self._reference = torch.cat([self._hidden(window) for window in torch.split(self._windows, 4)])

    def divergence(self) -> Tensor:
        """The mean KL divergence, in nats a token, on one window, drawn with PyTorch's random state."""
        index = int(torch.randint(len(self._windows), ()))
        head = self._base.get_output_embeddings()
        cap: float | None = getattr(self._base.config, "final_logit_softcapping", None)
        now, before = self._hidden(self._windows[index : index + 1])[0], self._reference[index]
        total: Tensor = _Divergence.apply(now, before, head.weight, head.bias, cap)  # type: ignore[no-untyped-call]
        return total / ANCHOR_WINDOW

    def _hidden(self, windows: Tensor) -> Tensor:
        states: Tensor = self._base.base_model(input_ids=windows, use_cache=False).last_hidden_state
        return states


class _Divergence(torch.autograd.Function):
    """Σ KL(softmax(before·Wᵀ) ‖ softmax(now·Wᵀ)) over tokens; its gradient flows to `now` alone."""

    @staticmethod
    def forward(ctx: FunctionCtx, now: Tensor, before: Tensor, head: Tensor, bias: Tensor | None, cap: float | None) -> Tensor:
        total = torch.zeros((), device=now.device)
        gradient = torch.empty_like(now)
        for start in range(0, len(now), LOGITS_AT_ONCE):
            part = slice(start, start + LOGITS_AT_ONCE)
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
