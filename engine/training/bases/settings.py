"""Transformers' configuration of a GGUF model, from its metadata alone and by the rules that llama.cpp serves it by."""

from __future__ import annotations

from collections.abc import Callable

from engine.domain import Json
from engine.training.bases.families import family_of
from engine.training.bases.gemma4 import gemma4
from engine.training.bases.gguf_base import GgufBase, layer_types
from engine.training.bases.rotary import rope_parameters, scaling

Settings = dict[str, Json]

_GEMMA_27B_LAYERS = {"gemma2": 46, "gemma3": 62}
"""Depths of the 27B models, by which llama.cpp knows that they scale attention by the model's width (`gemma2.cpp`)."""
_GEMMA2_SOFT_CAPS = (50.0, 30.0)
"""llama.cpp's, of attention and of logits, where a file names none."""
_LOCAL_ROPE_BASE = 10_000.0
_SMOLLM3_UNROTATED = 4
"""One layer in so many has no positions (`smollm3.cpp`)."""


def configuration(base: GgufBase) -> Settings:
    """The contents of `config.json`.

    Raises:
        ModelFileError: the model cannot be fine-tuned, or a figure is missing or makes no sense.
    """
    family = family_of(base)
    if base.whole("attention.value_length", base.head_width) != base.head_width:
        raise base.refusal("its values are not as wide as its keys")
    settings: Settings = {
        "model_type": family.model_type,
        "architectures": [family.model_class],
        "dtype": "float32",
        "hidden_size": base.whole("embedding_length"),
        "num_hidden_layers": base.layers,
        "num_attention_heads": base.whole("attention.head_count"),
        "max_position_embeddings": base.whole("context_length"),
        "rms_norm_eps": base.number("attention.layer_norm_rms_epsilon", 1e-6),
        "vocab_size": base.shape("token_embd.weight")[0],
        "tie_word_embeddings": "output.weight" not in base.tensors,
        "bos_token_id": _token(base, "bos"),
        "eos_token_id": _token(base, "eos"),
        "pad_token_id": None,
    }
    particular = _PARTICULAR[base.architecture]
    return settings | (gemma4(base) if particular is None else _alike_layers(base) | particular(base))


def _alike_layers(base: GgufBase) -> Settings:
    """What models have whose layers are all alike."""
    return {
        "intermediate_size": base.whole("feed_forward_length"),
        "num_key_value_heads": base.whole("attention.head_count_kv", base.whole("attention.head_count")),
        "head_dim": base.head_width,
        "rope_parameters": rope_parameters(base),
    }


def _token(base: GgufBase, name: str) -> Json:
    number = base.header.integer(f"tokenizer.ggml.{name}_token_id", -1)
    return number if number >= 0 else None


def _llama(base: GgufBase) -> Settings:
    return {
        "hidden_act": "silu",
        "attention_bias": _has_bias(base, "attn_q"),
        "mlp_bias": _has_bias(base, "ffn_up"),
    }


def _smollm3(base: GgufBase) -> Settings:
    rotated: list[Json] = [int((layer + 1) % _SMOLLM3_UNROTATED != 0) for layer in range(base.layers)]
    return _llama(base) | {"no_rope_layers": rotated, "use_sliding_window": False}


def _mistral3(base: GgufBase) -> Settings:
    rope: Settings = rope_parameters(base)
    # Queries of far positions are scaled up, as in Llama 4.
    rope["llama_4_scaling_beta"] = base.number("attention.temperature_scale", 0.0)
    rope.setdefault("original_max_position_embeddings", base.whole("context_length"))
    return {"hidden_act": "silu", "rope_parameters": rope, "sliding_window": None}


def _qwen2(_base: GgufBase) -> Settings:
    return {"hidden_act": "silu", "use_sliding_window": False}


def _qwen3(base: GgufBase) -> Settings:
    return {"hidden_act": "silu", "use_sliding_window": False, "attention_bias": _has_bias(base, "attn_q")}


def _phi3(base: GgufBase) -> Settings:
    original = base.whole("rope.scaling.original_context_length", base.whole("context_length"))
    # llama.cpp serves these without their sliding window (`phi3.cpp`).
    return {"hidden_act": "silu", "sliding_window": None, "original_max_position_embeddings": original}


def _gemma(_base: GgufBase) -> Settings:
    return {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh"}


def _gemma2(base: GgufBase) -> Settings:
    attention, logits = _GEMMA2_SOFT_CAPS
    seen: list[Json] = [*layer_types(base, every=2)]
    return _gemma(base) | {
        "attn_logit_softcapping": base.number("attn_logit_softcapping", attention),
        "final_logit_softcapping": base.number("final_logit_softcapping", logits),
        "query_pre_attn_scalar": _attention_scalar(base),
        "sliding_window": base.whole("attention.sliding_window", 4096),
        "layer_types": seen,
    }


def _gemma3(base: GgufBase) -> Settings:
    far: Settings = {"rope_type": "default", "rope_theta": base.number("rope.freq_base", _LOCAL_ROPE_BASE), **scaling(base)}
    near: Settings = {"rope_type": "default", "rope_theta": base.number("rope.freq_base_swa", _LOCAL_ROPE_BASE)}
    cap = base.number("final_logit_softcapping", 0.0)
    window = base.number("attention.sliding_window", 0)
    seen: list[Json] = [*layer_types(base, every=6)] if window else ["full_attention"] * base.layers
    return _gemma(base) | {
        "final_logit_softcapping": cap or None,
        "query_pre_attn_scalar": _attention_scalar(base),
        "sliding_window": int(window) or base.whole("context_length"),
        "layer_types": seen,
        "rope_parameters": {"full_attention": far, "sliding_attention": near},
    }


def _attention_scalar(base: GgufBase) -> int:
    """Attention scores are divided by the square root of this."""
    if base.layers == _GEMMA_27B_LAYERS[base.architecture]:
        return base.whole("embedding_length") // base.whole("attention.head_count")
    return base.head_width


def _has_bias(base: GgufBase, part: str) -> bool:
    return f"blk.0.{part}.bias" in base.tensors


_PARTICULAR: dict[str, Callable[[GgufBase], Settings] | None] = {
    "llama": _llama,
    "mistral3": _mistral3,
    "smollm3": _smollm3,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "gemma": _gemma,
    "gemma2": _gemma2,
    "gemma3": _gemma3,
    "gemma4": None,  # has layers of two kinds
    "phi3": _phi3,
}
