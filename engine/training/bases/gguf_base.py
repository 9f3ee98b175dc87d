"""A GGUF model as a source of figures and weights: all its parts, checked headers, tensors dequantised one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelFileError
from engine.llm.llamacpp.model_files.model_check import parts_by_name
from engine.model_registry.gguf_file import GgufArray, GgufHeader, GgufTensor, array_numbers, read_gguf

Array = NDArray[np.float32]

_MAX_LAYERS = 512
"""As llama.cpp's LLAMA_MAX_LAYERS."""


@dataclass(frozen=True, slots=True)
class GgufBase:
    """A model file, or the first of several parts of one. `open_base` makes one."""

    path: Path
    header: GgufHeader
    tensors: Mapping[str, tuple[Path, GgufTensor]]
    """Tensor name → the part that holds it, and where in it."""

    @property
    def architecture(self) -> str:
        """`general.architecture`, such as `llama`."""
        return self.header.architecture

    @property
    def layers(self) -> int:
        """The number of blocks."""
        return self.whole("block_count")

    @property
    def head_width(self) -> int:
        """The size of one attention head of queries and keys."""
        return self.whole("attention.key_length", self.whole("embedding_length") // self.whole("attention.head_count"))

    def has(self, name: str) -> bool:
        """Whether there is such a figure for the model's architecture."""
        return self._key(name) in self.header.metadata

    def whole(self, name: str, default: int | None = None) -> int:
        """A positive whole number; where the file has one for each layer, they must agree.

        Raises:
            ModelFileError: it is absent and there is no default, or no such number.
        """
        if not self.has(name) and default is not None:
            return default
        value = self.header.metadata.get(self._key(name))
        numbers = set(self.numbers(name)) if isinstance(value, GgufArray) else {value}
        number = numbers.pop() if len(numbers) == 1 else None
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise self.refusal(f"{name} is not one positive whole number")
        return number

    def number(self, name: str, default: float) -> float:
        """A finite number; `default` where there is none.

        Raises:
            ModelFileError: it is something else.
        """
        value = self.header.metadata.get(self._key(name), default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not np.isfinite(value):
            raise self.refusal(f"{name} is no number")
        return float(value)

    def numbers(self, name: str) -> tuple[int | float | bool, ...]:
        """A list of numbers, at most one for each layer; empty where there is none."""
        value = self.header.metadata.get(self._key(name))
        if not isinstance(value, GgufArray) or value.kind == "string" or value.length > _MAX_LAYERS:
            return ()
        return array_numbers(self.path, value)

    def text(self, name: str) -> str:
        """A text; empty where there is none."""
        return self.header.text(self._key(name))

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape as PyTorch counts it: outputs before inputs. GGUF counts from the fastest dimension.

        Raises:
            ModelFileError: there is no such tensor.
        """
        if name not in self.tensors:
            raise self.refusal(f"tensor {name!r} is missing")
        return tuple(reversed(self.tensors[name][1].dims))

    def array(self, name: str, rows: int | None = None) -> Array:
        """A tensor's values, or its first rows, dequantised to float32.

        Raises:
            ModelFileError: its type is not known here, or the file was cut since its header was read.
        """
        from gguf import GGMLQuantizationType
        from gguf.quants import dequantize

        shape = self.shape(name)
        part, tensor = self.tensors[name]
        try:
            stored = np.memmap(part, dtype=np.uint8, mode="r", offset=tensor.offset, shape=(tensor.size,))
            kind = GGMLQuantizationType[tensor.type_name]
            taken = stored.reshape(*shape[:-1], -1)
            if rows is not None:
                taken = taken[:rows]
            values: Array = dequantize(taken, kind).astype(np.float32, copy=False)
        except (OSError, ValueError, KeyError, NotImplementedError) as exc:
            raise self.refusal(f"tensor {name!r} of type {tensor.type_name} cannot be dequantised ({exc})") from exc
        return values

    def factors(self, name: str, count: int) -> Array:
        """A tensor of positive numbers, of which there must be so many.

        Raises:
            ModelFileError: it is something else.
        """
        values = self.array(name)
        if values.shape != (count,) or not np.isfinite(values).all() or (values <= 0).any():
            raise self.refusal(f"tensor {name!r} does not have {count} positive numbers")
        return values

    def refusal(self, what: str) -> ModelFileError:
        """The error for a base of this kind."""
        return ModelFileError(f"{self.path.name} cannot be fine-tuned: {what}.", hint="Choose another base model.")

    def _key(self, name: str) -> str:
        return f"{self.architecture}.{name}"


def open_base(path: Path) -> GgufBase:
    """Read the headers of a model, of all its parts where it is split.

    Raises:
        ModelFileError: it is no GGUF, damaged, or a part is missing.
    """
    header = read_gguf(path)
    parts = parts_by_name(path) if header.integer("split.count", 1) > 1 else (path,)
    headers = [(part, header if part == path else read_gguf(part)) for part in parts]
    tensors = {tensor.name: (part, tensor) for part, one in headers for tensor in one.tensors}
    return GgufBase(path, header, tensors)


def layer_types(base: GgufBase, every: int) -> list[str]:
    """What each layer sees, in Transformers' words: a window, all but each `every`th, unless the file says otherwise.

    Raises:
        ModelFileError: the file says it of some layers only.
    """
    name = "attention.sliding_window_pattern"
    flags = base.numbers(name)
    if not flags:
        every = base.whole(name, every)
        flags = tuple(layer % every < every - 1 for layer in range(base.layers))
    if len(flags) < base.layers:
        raise base.refusal("it does not say of each layer what it sees")
    return ["sliding_attention" if flag else "full_attention" for flag in flags[: base.layers]]
