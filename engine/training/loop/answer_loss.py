"""Cross-entropy of answer tokens without ever holding all their logits.

With a vocabulary of 49,000 the logits of 1,000 tokens are 200 MB, and PyTorch's cross-entropy makes three arrays of that size.
Here a chunk's logits become its loss and the gradient of its hidden states at once: the output layer is frozen, so its
own gradient is not wanted. The idea is that of the Liger kernel (Hsu et al. 2024, §3.2), on PyTorch's own operations.

PyTorch is imported with this module: import it inside the function that needs it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from engine.training.loop.packing import LOGITS_IN_A_PIECE


def summed_loss(hidden: Tensor, head: Tensor, bias: Tensor | None, targets: Tensor, cap: float | None) -> Tensor:
    """The sum of the cross-entropies of some predictions, in nats; its gradient flows to `hidden` alone.

    Args:
        hidden: last hidden states, shape (tokens, width).
        head: the frozen weights of the output layer, shape (vocabulary, width).
        bias: of the output layer, shape (vocabulary,).
        targets: token numbers, shape (tokens,).
        cap: soft cap of the logits (Gemma 2), c·tanh(x/c).
    """
    total: Tensor = _SummedLoss.apply(hidden, head, bias, targets, cap)  # type: ignore[no-untyped-call]  # as PyTorch has it
    return total


class _SummedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, hidden: Tensor, head: Tensor, bias: Tensor | None, targets: Tensor, cap: float | None
    ) -> Tensor:
        wanted = ctx.needs_input_grad[0]  # type: ignore[attr-defined]  # PyTorch's stubs leave it out
        gradient = torch.empty_like(hidden) if wanted else None
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        for start in range(0, len(targets), LOGITS_IN_A_PIECE):
            part = slice(start, start + LOGITS_IN_A_PIECE)
            loss, slope = _chunk(torch.nn.functional.linear(hidden[part], head, bias).float(), targets[part], cap)
            total += loss
            if gradient is not None:
                gradient[part] = slope.to(head.dtype) @ head
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, outer: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient * outer.to(gradient.dtype), None, None, None, None


def _chunk(logits: Tensor, targets: Tensor, cap: float | None) -> tuple[Tensor, Tensor]:
    """Summed loss of some float32 logits, which are used up, and its gradient with respect to them."""
    if cap is None:
        return _chunk_in_place(logits, targets)
    bent = torch.tanh_(logits.div_(cap))
    loss, slope = _chunk_in_place(bent * cap, targets)
    return loss, slope.mul_(1 - bent * bent)


def _chunk_in_place(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy, and its gradient, softmax minus one at the target, where the scores were."""
    peak = scores.amax(dim=1, keepdim=True)
    chosen = scores.gather(1, targets[:, None])
    slope = torch.exp_(scores.sub_(peak))
    sums = slope.sum(dim=1, keepdim=True)
    loss = (sums.log() + peak - chosen).sum()
    slope.div_(sums).scatter_add_(1, targets[:, None], torch.full_like(chosen, -1.0))
    return loss, slope
