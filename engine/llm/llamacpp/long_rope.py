"""LongRoPE (Ding et al. 2024): models with two sets of factors for their positions, such as Phi 3 and 4 with 128k tokens.

The short factors are for texts within the length that the model was first trained for, the long ones for longer texts. Keys
that were computed with one set are nonsense to the other, so a cache has to keep to one. llama.cpp takes the long ones as soon
as its context has more cells than the original length (`llama_model::get_rope_factors`), although our contexts are shared by
many short conversations; Transformers takes them where a text is longer.

So it is chosen here for each model, whatever the number of its cells: short, with conversations of the original length at most,
unless the person asks for a larger context. Trained, compared and served is with the same set.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from engine.llm.llamacpp.library import load_library
from engine.llm.llamacpp.model_files.model_check import parts_by_name
from engine.model_registry.file_hashes import Stamp, file_stamp
from engine.model_registry.gguf_file import GgufHeader, read_gguf

LONG_FACTORS, SHORT_FACTORS = "rope_factors_long.weight", "rope_factors_short.weight"
"""The tensors that have them."""

_ORIGINAL = "rope.scaling.original_context_length"
_ALWAYS_SHORT, _ALWAYS_LONG = (1 << 31) - 1, 1
"""Original lengths that no context exceeds, and that all do."""


@dataclass(frozen=True, slots=True)
class LongRope:
    """What a model says of its positions. `original`: tokens that the short factors are for; `trained`: the long ones."""

    architecture: str
    original: int
    trained: int

    def is_long(self, context_tokens: int | None) -> bool:
        """Whether the long factors are taken where the person has set the context to so many tokens; None: has not set it."""
        return context_tokens is not None and context_tokens > self.original

    @property
    def remark(self) -> str:
        """What a person should know where nothing was set."""
        return f"; a conversation has {self.original} tokens at most: for longer ones, up to {self.trained}, set more than that"

    def longest(self, *, long_positions: bool) -> int:
        """Most tokens of a conversation."""
        return self.trained if long_positions else self.original


def long_rope(path: Path, header: GgufHeader | None = None) -> LongRope | None:
    """What a model file says of its two sets of factors; None where it has not two.

    Args:
        path: a GGUF file; of a model in parts, the first.
        header: its header, where it was read already.

    Raises:
        ModelFileError: the file cannot be read.
    """
    header = header or read_gguf(path)
    key, trained = header.architecture, header.integer(f"{header.architecture}.context_length")
    original = header.integer(f"{key}.{_ORIGINAL}")
    if not 0 < original < trained:
        return None
    files = (part for part in parts_by_name(path) if part != path and part.is_file())
    found = {tensor.name for tensor in header.tensors}
    for part in files:
        found |= {tensor.name for tensor in read_gguf(part).tensors}
    return LongRope(key, original, trained) if {LONG_FACTORS, SHORT_FACTORS} <= found else None


def has_long_positions(path: Path, context_tokens: int | None) -> bool:
    """Whether a model is served with its long factors where the context is set to so many tokens. Raises as `long_rope`."""
    rope = _remembered(path, file_stamp(path))
    return rope is not None and rope.is_long(context_tokens)


@lru_cache(maxsize=64)
def _remembered(path: Path, _stamp: Stamp) -> LongRope | None:
    """As `long_rope`: lists of adapters ask again and again."""
    return long_rope(path)


def choosing(rope: LongRope, *, long_positions: bool) -> ctypes.Array[ctypes.Structure]:
    """What llama.cpp is told of the file's original length, so that it takes one set. It must live for as long as the load."""
    library = load_library()
    overrides: ctypes.Array[ctypes.Structure] = (library.llama_model_kv_override * 2)()  # the second, empty, is the end
    overrides[0].tag = library.LLAMA_KV_OVERRIDE_TYPE_INT
    overrides[0].key = f"{rope.architecture}.{_ORIGINAL}".encode()
    overrides[0].value.val_i64 = _ALWAYS_LONG if long_positions else _ALWAYS_SHORT
    return overrides
