"""The families of models that can be fine-tuned, by the architecture that their GGUF files name.

Each family is a table from llama.cpp's names of the parts of a layer to Transformers', and what llama.cpp's converter does to
weights on the way (its `conversion/` folder shows each rule). The same table serves both directions: dequantised weights go to
Transformers by it, LoRA matrices come back by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from engine.errors import ModelFileError
from engine.training.bases.gguf_base import Array, GgufBase

_NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
_FOUR_NORMS = {
    "attn_norm": "input_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_HEAD_NORMS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
_ATTENTION = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
}
_FEED_FORWARD = {"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
_FUSED = {
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_up": "mlp.gate_up_proj",
    "ffn_down": "mlp.down_proj",
}
_WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_PER_LAYER_INPUTS = {
    "inp_gate": "per_layer_input_gate",
    "proj": "per_layer_projection",
    "post_norm": "post_per_layer_input_norm",
    "layer_output_scale": "layer_scalar",
}
_PER_LAYER_TABLES = {
    "per_layer_token_embd": "model.embed_tokens_per_layer",
    "per_layer_model_proj": "model.per_layer_model_projection",
    "per_layer_proj_norm": "model.per_layer_projection_norm",
}
"""Gemma 4 gives each layer an embedding of the token of its own, in its smaller models."""
_FIGURES = frozenset({"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"})
"""Tensors that are no weights: they go into the configuration."""

_LINEAR = ("_proj", "per_layer_input_gate", "per_layer_projection")
"""How the names of linear layers end."""

FUSED_INTO: Mapping[str, str] = MappingProxyType(
    {
        "q_proj": "qkv_proj",
        "k_proj": "qkv_proj",
        "v_proj": "qkv_proj",
        "gate_proj": "gate_up_proj",
        "up_proj": "gate_up_proj",
    }
)
"""Layers that some families have as part of a larger one."""

_LAYER_TENSOR = re.compile(r"blk\.(\d{1,4})\.(\w+)\.(weight|bias)")
_LAYER_MODULE = re.compile(r"(?:(?:model\.)?language_model\.(?:model\.)?|model\.)?layers\.(\d{1,4})\.([\w.]+)")
"""The text model's layers; those of models that also see stand below `language_model`."""
_HEAD_MODULE = re.compile(r"(?:language_model\.)?lm_head")


@dataclass(frozen=True, slots=True)
class Family:
    """What is particular to the models of one architecture."""

    model_type: str
    """Transformers' name for the kind of configuration."""
    model_class: str
    """Transformers' class of the model."""
    parts: Mapping[str, str]
    """llama.cpp's name of a part of a layer → Transformers'."""
    interleaved: bool = False
    """Whether files have the rows of queries and keys in the order of llama.cpp's interleaved rotary embedding."""
    norm_shift: float = 0.0
    """What files add to the weights of norms: Gemma up to 3 multiplies by one more than the weight."""
    whole: Mapping[str, str] = field(default_factory=lambda: _WHOLE)
    """llama.cpp's name of what is in no layer → Transformers'."""

    @property
    def linear_layers(self) -> tuple[str, ...]:
        """The last parts of the names of all linear layers in a block."""
        return tuple(name.rpartition(".")[2] for name in self.parts.values() if name.endswith(_LINEAR))

    @property
    def norms(self) -> int:
        """RMS norms over the hidden size in a block."""
        return sum(name.endswith("layernorm") for name in self.parts.values())

    @property
    def head_norms(self) -> bool:
        """Whether queries and keys are normalised."""
        return "attn_q_norm" in self.parts

    def tensor_to_module(self, tensor: str) -> str | None:
        """Transformers' name for a tensor; None for one that is no weight.

        Raises:
            KeyError: a tensor that this family does not have.
        """
        if tensor in _FIGURES:
            return None
        if match := _LAYER_TENSOR.fullmatch(tensor):
            name = f"model.layers.{match[1]}.{self.parts[match[2]]}"
            return name if name.endswith("layer_scalar") else f"{name}.{match[3]}"
        name, _, kind = tensor.rpartition(".")
        return f"{self.whole[name]}.{kind}"

    def module_to_tensor(self, module: str) -> str | None:
        """The tensor with the weight of a linear layer, by the layer's name in Transformers; None where there is none."""
        if _HEAD_MODULE.fullmatch(module):
            return "output.weight"
        match = _LAYER_MODULE.fullmatch(module)
        part = None if match is None else next((key for key, name in self.parts.items() if name == match[2]), None)
        return None if match is None or part is None else f"blk.{match[1]}.{part}.weight"

    def to_transformers(self, tensor: str, values: Array, base: GgufBase) -> Array:
        """A tensor's values as Transformers has them."""
        if self.norm_shift and tensor.endswith("norm.weight"):
            return values - np.float32(self.norm_shift)
        heads = self._rotated_heads(tensor, base)
        return values if heads is None else deinterleave_rope_rows(values, heads)

    def to_llama_cpp(self, tensor: str, rows: Array, base: GgufBase) -> Array:
        """The rows of a weight, or of a LoRA's B matrix for it, in the order that the file has."""
        heads = self._rotated_heads(tensor, base)
        return rows if heads is None else interleave_rope_rows(rows, heads)

    def _rotated_heads(self, tensor: str, base: GgufBase) -> int | None:
        """The number of heads whose rows are interleaved; None where none are."""
        part = tensor.split(".")[-2]
        if not self.interleaved or part not in ("attn_q", "attn_k"):
            return None
        heads = base.whole("attention.head_count")
        return heads if part == "attn_q" else base.whole("attention.head_count_kv", heads)


FAMILIES: dict[str, Family] = {
    # Mistral's models up to Mistral Small 3 carry this architecture, too, and so does SmolLM2.
    "llama": Family("llama", "LlamaForCausalLM", _NORMS | _ATTENTION | _FEED_FORWARD, interleaved=True),
    "mistral3": Family("ministral3", "Ministral3ForCausalLM", _NORMS | _ATTENTION | _FEED_FORWARD, interleaved=True),
    "smollm3": Family("smollm3", "SmolLM3ForCausalLM", _NORMS | _ATTENTION | _FEED_FORWARD, interleaved=True),
    "qwen2": Family("qwen2", "Qwen2ForCausalLM", _NORMS | _ATTENTION | _FEED_FORWARD),
    "qwen3": Family("qwen3", "Qwen3ForCausalLM", _NORMS | _HEAD_NORMS | _ATTENTION | _FEED_FORWARD),
    "gemma": Family("gemma", "GemmaForCausalLM", _NORMS | _ATTENTION | _FEED_FORWARD, norm_shift=1.0),
    "gemma2": Family("gemma2", "Gemma2ForCausalLM", _FOUR_NORMS | _ATTENTION | _FEED_FORWARD, norm_shift=1.0),
    "gemma3": Family(
        "gemma3_text", "Gemma3ForCausalLM", _FOUR_NORMS | _HEAD_NORMS | _ATTENTION | _FEED_FORWARD, norm_shift=1.0
    ),
    "gemma4": Family(
        "gemma4_text",
        "Gemma4ForCausalLM",
        _FOUR_NORMS | _HEAD_NORMS | _ATTENTION | _FEED_FORWARD | _PER_LAYER_INPUTS,
        whole=_WHOLE | _PER_LAYER_TABLES,
    ),
    "phi3": Family("phi3", "Phi3ForCausalLM", _NORMS | _FUSED),  # and Phi-4
}
"""Architecture → family."""


def family_of(base: GgufBase) -> Family:
    """The family of a model.

    Raises:
        ModelFileError: an architecture, or a mixture of experts, that cannot be fine-tuned.
    """
    family = FAMILIES.get(base.architecture)
    if family is None:
        raise ModelFileError(
            f"{base.path.name} has the architecture {base.architecture[:40]!r}, which cannot be fine-tuned.",
            hint=f"Choose a base of one of these: {', '.join(FAMILIES)}.",
        )
    if base.header.integer(f"{base.architecture}.expert_count"):
        raise base.refusal("it is a mixture of experts")
    return family


def linear_layers(architecture: str) -> tuple[str, ...]:
    """All linear layers in a block of a model, by its GGUF architecture or Transformers' `model_type`; those of a Llama where
    the name is not known."""
    return family_of_type(architecture).linear_layers


def family_of_type(architecture: str) -> Family:
    """A family by its GGUF architecture or Transformers' `model_type`; that of Llama where the name is not known."""
    known = (family for name, family in FAMILIES.items() if architecture in (name, family.model_type))
    return next(known, FAMILIES["llama"])


def target_modules(wanted: Iterable[str], architecture: str) -> tuple[str, ...]:
    """The layers of a model that the wanted ones are in: Phi has queries, keys and values as one layer.

    Args:
        wanted: names of layers; all those of a Llama stand for all linear layers of any model.
        architecture: as for `linear_layers`.

    Returns:
        Each layer once; names that the model does not have are left as they are, for PEFT to refuse.
    """
    wanted, there = tuple(wanted), linear_layers(architecture)
    found = [name if name in there else _or_fused(name, there) for name in wanted]
    if set(FAMILIES["llama"].linear_layers) <= set(wanted):
        found += there
    return tuple(dict.fromkeys(found))


def _or_fused(name: str, there: tuple[str, ...]) -> str:
    fused = FUSED_INTO.get(name, name)
    return fused if fused in there else name


def interleave_rope_rows(rows: Array, heads: int) -> Array:
    """From the halves-first order of Transformers' rotary embedding to llama.cpp's interleaved one.

    Llama-architecture GGUF files store the rows of the query and key weights head by head as (0, d/2, 1, d/2+1, …), d
    being the head's size.
    """
    shape = rows.shape
    ordered: Array = rows.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)
    return ordered


def deinterleave_rope_rows(rows: Array, heads: int) -> Array:
    """The reverse of `interleave_rope_rows`."""
    shape = rows.shape
    ordered: Array = rows.reshape(heads, shape[0] // heads // 2, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)
    return ordered
