"""The sizes of a base model that decide what training it costs, read from its GGUF header alone, or from the loaded model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.llm.llamacpp.long_rope import long_rope
from engine.training.bases.families import family_of, family_of_type, target_modules
from engine.training.bases.gguf_base import GgufBase, open_base

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer of a block, by the last part of its name in Transformers."""

    name: str
    outputs: int
    inputs: int


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Sizes of a decoder-only transformer: counts of numbers, not bytes."""

    architecture: str
    layers: int
    hidden: int
    feed_forward: int
    heads: int
    kv_heads: int
    """The most of any layer: Gemma 4 has layers of two kinds."""
    head_width: int
    vocabulary: int
    parameters: int
    """All weights; an output layer that shares the embedding's is counted once."""
    trained_context: int
    """Tokens that the base was trained for, by the position factors that it is served with."""
    norms: int
    """RMS norms over the hidden size in a block: two, or four with Gemma 2 and 3."""
    head_norms: bool
    """Whether queries and keys are normalised, as with Qwen 3 and Gemma 3."""
    holds_scores: bool
    """Whether attention is computed step by step, scores and all: Gemma 2, whose scores have a soft cap."""
    linears: tuple[Linear, ...]
    """The linear layers of all blocks."""

    @property
    def query_width(self) -> int:
        """Numbers in the queries of a token."""
        return self.heads * self.head_width

    @property
    def key_width(self) -> int:
        """Numbers in the keys of a token."""
        return self.kv_heads * self.head_width

    @property
    def linear_parameters(self) -> int:
        """Weights of the linear layers of all blocks: what can be held in 4 bits."""
        return sum(linear.outputs * linear.inputs for linear in self.linears)

    def adapted(self, modules: Iterable[str]) -> tuple[Linear, ...]:
        """The linear layers of all blocks that get LoRA matrices where the settings name these."""
        named = target_modules(modules, self.architecture)
        return tuple(linear for linear in self.linears if linear.name in named)

    def lora_parameters(self, rank: int, modules: Iterable[str]) -> int:
        """Numbers in the LoRA matrices: rank · (inputs + outputs) for each adapted layer (Hu et al. 2021, §4.1)."""
        return sum(rank * (linear.inputs + linear.outputs) for linear in self.adapted(modules))


def read_shape(path: Path, *, long_positions: bool = False) -> ModelShape:
    """Read a model's sizes.

    Args:
        path: a GGUF file.
        long_positions: whether a LongRoPE model is served with its long factors (`engine.llm.llamacpp.long_rope`).

    Raises:
        ModelFileError: it is no GGUF, does not say what is needed, or cannot be fine-tuned.
    """
    base = open_base(path)
    if "token_embd.weight" not in base.tensors:
        raise base.refusal("it has no embedding")
    family = family_of(base)
    linears = tuple(_linears(base))
    hidden = base.whole("embedding_length")
    rope, kv_heads = long_rope(path, base.header), "attention.head_count_kv"
    return ModelShape(
        architecture=base.architecture,
        layers=base.layers,
        hidden=hidden,
        feed_forward=max((linear.inputs for linear in linears if linear.name == "down_proj"), default=4 * hidden),
        heads=base.whole("attention.head_count"),
        kv_heads=int(max(base.numbers(kv_heads), default=0)) or base.whole(kv_heads, base.whole("attention.head_count")),
        head_width=base.head_width,
        vocabulary=base.shape("token_embd.weight")[0],
        parameters=sum(tensor.elements for _, tensor in base.tensors.values()),
        trained_context=base.whole("context_length") if rope is None else rope.longest(long_positions=long_positions),
        norms=family.norms,
        head_norms=family.head_norms,
        holds_scores=base.number("attn_logit_softcapping", 0.0) > 0,
        linears=linears,
    )


def shape_of(model: PreTrainedModel) -> ModelShape:
    """The sizes of a loaded model of one of the families, with LoRA matrices or without; as `read_shape` has them."""
    from torch import nn

    config = model.config.get_text_config()
    # One for each layer where they differ, as with Gemma 4.
    each = [config.per_layer_config[layer] for layer in range(config.num_hidden_layers)]
    family = family_of_type(config.model_type)
    modules = ((name.removesuffix(".base_layer"), module) for name, module in model.base_model.named_modules())
    linears = tuple(
        Linear(name.rpartition(".")[2], module.out_features, module.in_features)
        for name, module in modules
        if name.endswith("_proj") and type(module) is nn.Linear
    )
    heads = config.num_attention_heads
    return ModelShape(
        architecture=config.model_type,
        layers=len(each),
        hidden=config.hidden_size,
        feed_forward=max((linear.inputs for linear in linears if linear.name == "down_proj"), default=4 * config.hidden_size),
        heads=heads,
        kv_heads=max(one.num_key_value_heads for one in each),
        head_width=max(getattr(one, "head_dim", None) or config.hidden_size // heads for one in each),
        vocabulary=config.vocab_size,
        parameters=sum(weight.numel() for name, weight in model.named_parameters() if "lora_" not in name),
        trained_context=config.max_position_embeddings,
        norms=family.norms,
        head_norms=family.head_norms,
        holds_scores=getattr(config, "attn_logit_softcapping", None) is not None,
        linears=linears,
    )


def _linears(base: GgufBase) -> Iterable[Linear]:
    family = family_of(base)
    for name in base.tensors:
        part, _, kind = name.rpartition(".")
        module = family.parts.get(part.rpartition(".")[2], "").rpartition(".")[2]
        if kind == "weight" and module.endswith("_proj"):
            outputs, inputs = base.shape(name)
            yield Linear(module, outputs, inputs)
