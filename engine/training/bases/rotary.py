"""Rotary position embeddings: from llama.cpp's figures to Transformers' `rope_parameters`.

Transformers' own GGUF reader knows only the base frequency, and so trains Llama 3.1, Gemma 3 (4B and larger), Phi-4-mini and
whatever else has scaled positions as another model than the one that is served.
"""

from __future__ import annotations

import math

import numpy as np

from engine.domain import Json
from engine.training.bases.gguf_base import Array, GgufBase

_DEFAULT_BASE = 10_000.0
"""llama.cpp's, where a file names none."""
_LLAMA3_ORIGINAL_CONTEXT = 8192
"""What all models with Llama 3.1's scaling were trained on before it; files hold only the result."""
_LLAMA3_LOW, _LLAMA3_HIGH = 1.0, 4.0


def rope_parameters(base: GgufBase) -> dict[str, Json]:
    """The `rope_parameters` of a model whose layers all rotate in one way.

    Raises:
        ModelFileError: positions are scaled by a rule that is not known here.
    """
    rope: dict[str, Json] = {"rope_type": "default", "rope_theta": base.number("rope.freq_base", _DEFAULT_BASE)}
    rotated = base.whole("rope.dimension_count", base.head_width)
    if rotated != base.head_width:
        rope["partial_rotary_factor"] = rotated / base.head_width
    if "rope_freqs.weight" in base.tensors:
        return rope | _by_frequency(base, base.factors("rope_freqs.weight", rotated // 2), rotated)
    if "rope_factors_short.weight" in base.tensors:
        return rope | _long_rope(base, rotated // 2)
    return rope | scaling(base)


def scaling(base: GgufBase) -> dict[str, Json]:
    """How a model's positions are stretched, apart from tensors: not at all, linearly, or by YaRN.

    Raises:
        ModelFileError: by another rule.
    """
    factor = base.number("rope.scaling.factor", base.number("rope.scale_linear", 0.0))
    kind = base.text("rope.scaling.type") or "linear"
    if factor in (0.0, 1.0) or kind == "none":
        return {}
    if kind == "linear":
        return {"rope_type": "linear", "factor": factor}
    if kind == "yarn":
        return _yarn(base, factor)
    raise base.refusal(f"its positions are scaled by {kind[:40]!r}")


def _yarn(base: GgufBase, factor: float) -> dict[str, Json]:
    """YaRN (Peng et al. 2023). The attention's factor is that of llama.cpp (`llama-context.cpp`), not left to defaults."""
    attention = _magnitude(factor, 1.0) * base.number("rope.scaling.attn_factor", 1.0)
    if multiplier := base.number("rope.scaling.yarn_log_multiplier", 0.0):
        attention /= _magnitude(factor, multiplier)
    return {
        "rope_type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": _original_context(base),
        "attention_factor": attention,
        "beta_fast": base.number("rope.scaling.yarn_beta_fast", 32.0),
        "beta_slow": base.number("rope.scaling.yarn_beta_slow", 1.0),
    }


def _magnitude(factor: float, multiplier: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * multiplier * math.log(factor) + 1.0


def _long_rope(base: GgufBase, count: int) -> dict[str, Json]:
    """LongRoPE (Ding et al. 2024): a factor for each frequency, others for short texts than for long ones."""
    return {
        "rope_type": "longrope",
        "short_factor": _floats(base.factors("rope_factors_short.weight", count)),
        "long_factor": _floats(base.factors("rope_factors_long.weight", count)),
        "attention_factor": base.number("rope.scaling.attn_factor", 1.0),
        "original_max_position_embeddings": _original_context(base),
        "factor": base.whole("context_length") / _original_context(base),
    }


def _by_frequency(base: GgufBase, factors: Array, rotated: int) -> dict[str, Json]:
    """A factor for each frequency: Llama 3.1's rule where that gives them, else the factors themselves."""
    highest = float(factors.max())
    if np.allclose(factors, 1.0):
        return {}
    theta = base.number("rope.freq_base", _DEFAULT_BASE)
    if np.allclose(factors, llama3_factors(theta, rotated, highest), rtol=1e-3):
        return {
            "rope_type": "llama3",
            "factor": highest,
            "low_freq_factor": _LLAMA3_LOW,
            "high_freq_factor": _LLAMA3_HIGH,
            "original_max_position_embeddings": _LLAMA3_ORIGINAL_CONTEXT,
        }
    return {
        "rope_type": "longrope",
        "short_factor": _floats(factors),
        "long_factor": _floats(factors),
        "attention_factor": 1.0,
        "original_max_position_embeddings": base.whole("context_length"),
        "factor": 1.0,
    }


def llama3_factors(theta: float, rotated: int, factor: float) -> Array:
    """What Llama 3.1 divides each of `rotated` / 2 frequencies by: long waves by `factor`, short ones by 1."""
    waves = 2 * np.pi * theta ** (np.arange(0, rotated, 2) / rotated)
    smooth = (_LLAMA3_ORIGINAL_CONTEXT / waves - _LLAMA3_LOW) / (_LLAMA3_HIGH - _LLAMA3_LOW)
    smooth = np.clip(smooth, 0.0, 1.0)
    factors: Array = (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)
    return factors


def _original_context(base: GgufBase) -> int:
    return base.whole("rope.scaling.original_context_length", base.whole("context_length"))


def _floats(values: Array) -> list[Json]:
    return [float(value) for value in values]
