"""Whether a model's tensors are those that its own figures promise, in types that llama.cpp can compute with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

from engine.errors import ModelFileError
from engine.model_registry.gguf_cursor import HINT
from engine.model_registry.gguf_file import GgufArray, GgufHeader, GgufTensor

PLAIN = frozenset({"llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3", "smollm3", "granite", "mistral3"})
"""Architectures whose every layer is attention and a feed-forward part, so that the shapes follow from the figures."""

NOT_WEIGHTS = frozenset({"I8", "I16", "I32", "I64", "F64", "Q8_1", "Q8_K"})
"""Types with which llama.cpp multiplies no matrix; it reads past the end or ends the process."""

_LAYER = re.compile(r"blk\.(\d{1,9})\.")
_MATRIX = re.compile(
    r"(?:token_embd|output|blk\.\d+\.(?:attn_(?:q|k|v|qkv|output)|ffn_(?:up|gate|down)(?:_exps|_shexp)?))\.weight"
)
_NORM = re.compile(r".*_norm\.weight")


def check_tensors(name: str, header: GgufHeader, heads: Sequence[int], kv_heads: Sequence[int]) -> None:
    """Check a model's tensors.

    Args:
        name: the file's, for messages.
        header: its header, of which the figures and the vocabulary were checked.
        heads: attention heads of each layer.
        kv_heads: heads of keys and values of each layer.

    Raises:
        ModelFileError: a tensor is missing, or has a shape or type that cannot be.
    """
    rules = _TensorRules(name, header)
    rules.check_types()
    rules.check_vocabulary_size()
    rules.check_layers()
    if header.architecture in PLAIN:
        rules.check_attention(heads, kv_heads)
        rules.check_feed_forward()


class _TensorRules:
    """The rules for tensors. Each method raises ModelFileError where one is broken."""

    def __init__(self, name: str, header: GgufHeader) -> None:
        self._name = name
        self._header = header
        self._tensors = {tensor.name: tensor for tensor in header.tensors}
        self._width = header.integer(f"{header.architecture}.embedding_length")
        self._layers = header.integer(f"{header.architecture}.block_count")

    def check_types(self) -> None:
        """Matrices in types that can be multiplied with; norms and biases in full precision, as every converter writes them."""
        for tensor in self._header.tensors:
            if _MATRIX.fullmatch(tensor.name) and tensor.type_name in NOT_WEIGHTS:
                self._refuse(f"tensor {tensor.name!r} cannot be of type {tensor.type_name}")
            is_bias = tensor.name.endswith(".bias") and len(tensor.dims) == 1
            if (is_bias or _NORM.fullmatch(tensor.name)) and tensor.type_name != "F32":
                self._refuse(f"tensor {tensor.name[:80]!r} is of type {tensor.type_name} and not F32")

    def check_vocabulary_size(self) -> None:
        """A row of the embedding for each token."""
        tokens = self._header.metadata["tokenizer.ggml.tokens"]
        rows = tokens.length if isinstance(tokens, GgufArray) else 0
        embedding = self._tensors.get("token_embd.weight")
        if embedding is None or embedding.dims[1:] != (rows,):
            self._refuse(f"it has no embedding for each of its {rows} tokens")
        if self._header.architecture in PLAIN:
            self._require("token_embd.weight", (self._width, rows))
            if "output.weight" in self._tensors:
                self._require("output.weight", (self._width, rows))

    def check_layers(self) -> None:
        """Tensors for each layer, and for no others."""
        found = {int(match[1]) for match in map(_LAYER.match, self._tensors) if match}
        if missing := set(range(self._layers)) - found:
            self._refuse(f"layer {min(missing)} of {self._layers} is missing")
        if beyond := found - set(range(self._layers)):
            self._refuse(f"there is a layer {max(beyond)}, but {self._layers} in all")

    def check_attention(self, heads: Sequence[int], kv_heads: Sequence[int]) -> None:
        """Queries, keys and values as wide as their heads."""
        if not all(heads) or not all(kv_heads) or not heads:
            self._refuse("a layer has no attention heads")
        key_width = self._head_width("attention.key_length", heads[0])
        value_width = self._head_width("attention.value_length", heads[0])
        if key_width % 2:
            self._refuse(f"its attention heads have an odd width, {key_width}")
        if not 0 < self._header.integer(f"{self._header.architecture}.rope.dimension_count", key_width) <= key_width:
            self._refuse("its positions take more room than its attention heads have")
        for layer, (queries, keys) in enumerate(zip(heads, kv_heads, strict=False)):
            prefix = f"blk.{layer}.attn_"
            self._require(f"{prefix}norm.weight", (self._width,))
            self._require(f"{prefix}output.weight", (queries * value_width, self._width))
            if f"{prefix}qkv.weight" in self._tensors:
                self._require(f"{prefix}qkv.weight", (self._width, (queries + keys) * key_width + keys * value_width))
                continue
            self._require(f"{prefix}q.weight", (self._width, queries * key_width))
            self._require(f"{prefix}k.weight", (self._width, keys * key_width))
            self._require_values(f"{prefix}v.weight", (self._width, keys * value_width))

    def check_feed_forward(self) -> None:
        """The feed-forward part takes and gives what the layers pass on."""
        for layer in range(self._layers):
            prefix = f"blk.{layer}.ffn_"
            up = self._matrix(f"{prefix}up.weight", f"{prefix}up_exps.weight")
            down = self._matrix(f"{prefix}down.weight", f"{prefix}down_exps.weight")
            if up.dims[0] != self._width or down.dims[1] != self._width or up.dims[1] % down.dims[0]:
                self._refuse(f"the feed-forward part of layer {layer} has the wrong shape")

    def _head_width(self, key: str, heads: int) -> int:
        return self._header.integer(f"{self._header.architecture}.{key}", self._width // heads)

    def _matrix(self, name: str, of_experts: str) -> GgufTensor:
        tensor = self._tensors.get(name) or self._tensors.get(of_experts)
        if tensor is None or len(tensor.dims) < 2:
            self._refuse(f"tensor {name!r} is missing")
        return tensor

    def _require_values(self, name: str, dims: tuple[int, ...]) -> None:
        """Some layers take their keys for values too."""
        if name in self._tensors:
            self._require(name, dims)

    def _require(self, name: str, dims: tuple[int, ...]) -> None:
        tensor = self._tensors.get(name)
        if tensor is None:
            self._refuse(f"tensor {name!r} is missing")
        found = tensor.dims
        while len(found) > len(dims) and found[-1] == 1:
            found = found[:-1]
        if found != dims:
            self._refuse(f"tensor {name!r} is {_shown(tensor.dims)}, not {_shown(dims)}")

    def _refuse(self, what: str) -> NoReturn:
        raise ModelFileError(f"{self._name} cannot be used: {what}.", hint=HINT)


def _shown(dims: Sequence[int]) -> str:
    return " × ".join(map(str, dims))
