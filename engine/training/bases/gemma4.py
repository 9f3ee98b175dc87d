"""Gemma 4's configuration: layers of two kinds, some of which use the keys and values of earlier ones."""

from __future__ import annotations

import numpy as np

from engine.domain import Json
from engine.training.bases.gguf_base import GgufBase, layer_types

_LOGIT_SOFT_CAP = 30.0
"""llama.cpp's, where a file names none."""
_LOCAL_ROPE_BASE = 10_000.0


def gemma4(base: GgufBase) -> dict[str, Json]:
    """What Gemma 4's configuration has beyond the common figures.

    Raises:
        ModelFileError: the layers of a kind differ in a way that Transformers does not know.
    """
    kinds = layer_types(base, every=6)
    shared = int(base.number("attention.shared_kv_layers", 0))
    if not 0 <= shared < base.layers:
        raise base.refusal(f"{shared} of its layers use the keys of others")
    near_heads, far_heads = _key_heads(base, kinds)
    alternative = any(
        kind == "full_attention" and f"blk.{layer}.attn_v.weight" not in base.tensors
        for layer, kind in enumerate(kinds[: base.layers - shared])
    )
    if near_heads != far_heads and not alternative:
        raise base.refusal("its layers have different numbers of heads")
    inputs = int(base.number("embedding_length_per_layer_input", 0))
    narrow, is_doubled = _feed_forward(base, shared)
    return {
        "hidden_activation": "gelu_pytorch_tanh",
        "intermediate_size": narrow,
        "use_double_wide_mlp": is_doubled,
        "num_key_value_heads": near_heads,
        "num_global_key_value_heads": far_heads,
        "attention_k_eq_v": alternative,
        "head_dim": base.whole("attention.key_length_swa"),
        "global_head_dim": base.head_width,
        "num_kv_shared_layers": shared,
        "hidden_size_per_layer_input": inputs,
        "vocab_size_per_layer_input": base.shape("per_layer_token_embd.weight")[0] if inputs else 1,
        "final_logit_softcapping": base.number("final_logit_softcapping", _LOGIT_SOFT_CAP),
        "sliding_window": base.whole("attention.sliding_window"),
        "layer_types": list(kinds),
        "rope_parameters": _rope(base),
    }


def _key_heads(base: GgufBase, kinds: list[str]) -> tuple[int, int]:
    """Heads of keys in layers that see a window, and in those that see everything."""
    listed = base.numbers("attention.head_count_kv")
    if not listed:
        heads = base.whole("attention.head_count_kv")
        return heads, heads
    found = {
        wanted: {int(heads) for heads, kind in zip(listed, kinds, strict=False) if kind == wanted} for wanted in set(kinds)
    }
    near, far = (found.get(kind, found[kinds[-1]]) for kind in ("sliding_attention", "full_attention"))
    if len(near) != 1 or len(far) != 1:
        raise base.refusal("its layers have different numbers of heads")
    return near.pop() if near is not far else min(near), far.pop()


def _feed_forward(base: GgufBase, shared: int) -> tuple[int, bool]:
    """The width of the feed-forward part, and whether layers without keys of their own have it twice as wide."""
    widths = [int(width) for width in base.numbers("feed_forward_length")] or [base.whole("feed_forward_length")] * base.layers
    own = base.layers - shared
    doubled = [widths[0]] * own + [2 * widths[0]] * shared
    if widths[: base.layers] == doubled and shared:
        return widths[0], True
    if len(set(widths)) != 1:
        raise base.refusal("its layers have different widths")
    return widths[0], False


def _rope(base: GgufBase) -> dict[str, Json]:
    """Layers that see everything rotate the first frequencies only: the file stops the others by a huge factor."""
    factors = base.factors("rope_freqs.weight", base.head_width // 2)
    turning = int(np.count_nonzero(factors == 1.0))
    if base.has("rope.scaling.factor") or not (factors[:turning] == 1.0).all() or not (factors[turning:] > 1e20).all():
        raise base.refusal("its positions are scaled by an unknown rule")
    near_width = base.whole("attention.key_length_swa")
    widths = {
        "rope.dimension_count_swa": near_width,
        "attention.value_length_swa": near_width,
        "rope.dimension_count": base.head_width,
    }
    if any(base.whole(name, width) != width for name, width in widths.items()):
        raise base.refusal("its heads are not rotated as a whole, or have values of another width")
    far: dict[str, Json] = {
        "rope_type": "proportional",
        "rope_theta": base.number("rope.freq_base", _LOCAL_ROPE_BASE),
        "partial_rotary_factor": turning / len(factors),
    }
    near: dict[str, Json] = {"rope_type": "default", "rope_theta": base.number("rope.freq_base_swa", _LOCAL_ROPE_BASE)}
    return {"full_attention": far, "sliding_attention": near}
