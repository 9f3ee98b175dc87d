"""LoRA layers that compute the same in fewer passes over memory, and keep less of it for the backward pass.

PyTorch is imported with this module: import it inside the function that needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

if TYPE_CHECKING:
    from peft import PeftModel
    from peft.tuners.lora import Linear as LoraLinear


def fuse(model: PeftModel) -> int:
    """Let the LoRA layers of a model compute with `_Lora`, where that gives the same result. Returns how many do."""
    from peft.tuners.lora import Linear as LoraLinear

    layers = [module for module in model.modules() if isinstance(module, LoraLinear) and _is_plain(module)]
    for layer in layers:
        layer.forward = _Forward(layer)
    return len(layers)


def _is_plain(layer: LoraLinear) -> bool:
    """Whether a layer is x·Wᵀ + s·(x·Aᵀ)·Bᵀ and no more: one adapter, no dropout, no variant, nothing quantised."""
    names = layer.active_adapters
    if len(names) != 1 or layer.merged or layer.lora_variant or type(layer.get_base_layer()) is not nn.Linear:
        return False
    a, b, dropout = layer.lora_A[names[0]], layer.lora_B[names[0]], layer.lora_dropout[names[0]]
    return a.bias is None and b.bias is None and isinstance(dropout, nn.Identity)


class _Forward:
    """The forward pass of one LoRA layer."""

    def __init__(self, layer: LoraLinear) -> None:
        (name,) = layer.active_adapters
        base = layer.get_base_layer()
        self._weight, self._bias = base.weight, base.bias
        self._a, self._b = layer.lora_A[name].weight, layer.lora_B[name].weight
        self._scale = float(layer.scaling[name])

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = _Lora.apply(x, self._weight, self._bias, self._a, self._b, self._scale)  # type: ignore[no-untyped-call]
        return y


class _Lora(torch.autograd.Function):
    """y = x·Wᵀ + b + s·(x·Aᵀ)·Bᵀ (Hu et al. 2021, eq. 3) with frozen W and b; A and B in float32, the rest in the type of x."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        a, b = a.to(x.dtype), b.to(x.dtype)
        low = flat @ a.T
        y = nn.functional.linear(flat, weight, bias).addmm_(low, b.T, alpha=scale)
        ctx.save_for_backward(flat, weight, a, b, low)
        ctx.scale = scale  # type: ignore[attr-defined]  # how PyTorch keeps what is no tensor
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        flat, weight, a, b, low = ctx.saved_tensors  # type: ignore[attr-defined]
        scale: float = ctx.scale  # type: ignore[attr-defined]
        g = gradient.reshape(-1, gradient.shape[-1])
        g_low = (g @ b).mul_(scale)
        g_a = (g_low.T @ flat).float()
        g_b = (g.T @ low).float().mul_(scale)
        g_x = None
        if ctx.needs_input_grad[0]:  # type: ignore[attr-defined]  # the first block's input is a frozen embedding
            g_x = (g @ weight).addmm_(g_low, a).view(*gradient.shape[:-1], -1)
        return g_x, None, None, g_a, g_b, None
