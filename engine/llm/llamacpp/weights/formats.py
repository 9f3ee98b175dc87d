"""Which weight formats a processor computes quickly.

What is chosen by itself is the same model up to rounding, since adapters are trained on the dequantised original. Measured on
the default model (Q4_1) against its dequantised weights in single precision, in nats a token: as it is 0.0036 (llama.cpp
rounds activations as well), BF16 0.0002, Q8_0 0.0047, Q4_0 0.32. So Q4_0 is made only for a person who asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

AS_IS = "as-is"
"""Stands for the model file itself among the formats."""

FILE_TYPES: Mapping[str, int] = {"bf16": 32, "q8_0": 7, "q4_0": 2}
"""The formats that copies are written in, with llama.cpp's number (`llama_ftype`)."""
BYTES_A_WEIGHT: Mapping[str, float] = {"bf16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}

FAST_ON_CPU = frozenset({"BF16", "F16", "Q8_0", "Q4_0", "IQ4_NL", "Q4_K"})
"""Formats that llama.cpp has batched processor kernels for: matrix products in half precision, or blocks that it repacks."""
_COMPUTES_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
_COMPUTES_INT8 = frozenset({"avx2", "asimd", "neon"})


def fastest_format(source_type: str, cpu_flags: Sequence[str], *, on_gpu: bool) -> str | None:
    """The format that is computed faster here than the given one, without loss; None where there is none.

    Args:
        source_type: the tensor type that most of the weights have, such as `Q4_1`.
        cpu_flags: what the processor has; see `engine.machine.CPU_FLAGS`.
        on_gpu: whether a GPU computes: its kernels take every format, and smaller ones are faster.
    """
    if on_gpu or source_type in FAST_ON_CPU:
        return None
    flags = frozenset(cpu_flags)
    if flags & _COMPUTES_BF16:
        return "bf16"
    return "q8_0" if flags & _COMPUTES_INT8 else None
