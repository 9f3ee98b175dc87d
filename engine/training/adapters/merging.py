"""A base and an adapter as one model: W + alpha / rank · B·A for each adapted matrix, everything else as it was.

The file is written tensor by tensor, so that no more than one matrix is in memory, with the base's metadata byte for byte.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from engine.errors import AdapterError, ModelFileError
from engine.llm.llamacpp.model_files.adapter_check import check_adapter_file
from engine.model_registry.gguf_file import GgufTensor
from engine.training.bases.gguf_base import Array, GgufBase, open_base

Report = Callable[[float], None]
"""Told which share of the weights is written (0…1)."""

_F16 = 1
"""ggml's number of half precision. Its rounding, 0.05 % of a weight, is less than a twentieth of what 8 bits cost."""
_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class _Update:
    """What is added to a matrix of the base."""

    a: Array
    b: Array
    scale: float
    embedding: bool

    def values(self) -> Array:
        """The sum's second term, in the matrix's own shape."""
        # A matrix that is looked up has its A and B the other way round (llama.cpp, `src/llama-adapter.cpp`).
        product: Array = self.a @ self.b.T if self.embedding else self.b @ self.a
        return self.scale * product


def merge(base_gguf: Path, adapter_gguf: Path, out: Path, report: Report = lambda _: None) -> None:
    """Write the merged model to `out`; adapted matrices in half precision, the others as they are.

    Raises:
        AdapterError: the adapter does not fit the base, or holds more than LoRA matrices.
        ModelFileError: the base is in several parts, or cannot be dequantised.
        OSError: the disk refused.
    """
    check_adapter_file(adapter_gguf, base_gguf)
    base, adapter = open_base(base_gguf), open_base(adapter_gguf)
    if len({part for part, _ in base.tensors.values()}) > 1:
        raise ModelFileError(f"{base_gguf.name} is in several parts.", hint="Only models in one file can be merged.")
    updates = {name: _update(adapter, name) for name in _adapted(adapter)}
    with base_gguf.open("rb") as source, out.open("xb") as target:
        _write_header(source, target, base, updates)
        _write_tensors(source, target, base, updates, report)


def merged_size(base_gguf: Path) -> int:
    """The most bytes that a merged model in half precision has."""
    return base_gguf.stat().st_size + 2 * sum(tensor.elements for _, tensor in open_base(base_gguf).tensors.values())


def _adapted(adapter: GgufBase) -> list[str]:
    """The names of the matrices that an adapter changes."""
    others = [name for name in adapter.tensors if not name.endswith((".lora_a", ".lora_b"))]
    if others:
        raise AdapterError(f"An adapter with {others[0]!r} cannot be merged.", hint="Export it as an adapter instead.")
    return [name.removesuffix(".lora_a") for name in adapter.tensors if name.endswith(".lora_a")]


def _update(adapter: GgufBase, name: str) -> _Update:
    a, b = adapter.array(f"{name}.lora_a"), adapter.array(f"{name}.lora_b")
    alpha = adapter.header.metadata["adapter.lora.alpha"]
    assert isinstance(alpha, float)  # noqa: S101  # its check has seen it
    rank = b.shape[-1]
    # llama.cpp takes an alpha of 0 for "not said" and scales by 1.
    return _Update(a, b, alpha / rank if alpha else 1.0, name.endswith("token_embd.weight"))


def _write_header(source: IO[bytes], target: IO[bytes], base: GgufBase, updates: Mapping[str, _Update]) -> None:
    """The base's metadata as they are, then the tensors with their new types and places."""
    target.write(source.read(base.header.keys_end))
    at = 0
    for tensor in base.header.tensors:
        kind, size = _form(tensor, updates)
        name = tensor.name.encode()
        target.write(struct.pack("<Q", len(name)) + name + struct.pack("<I", len(tensor.dims)))
        target.write(struct.pack(f"<{len(tensor.dims)}Q", *tensor.dims) + struct.pack("<IQ", kind, at))
        at += _padded(size, _alignment(base))
    _pad(target, _alignment(base))


def _form(tensor: GgufTensor, updates: Mapping[str, _Update]) -> tuple[int, int]:
    """The type that a tensor gets (ggml's number) and its size in bytes."""
    if tensor.name in updates:
        return _F16, 2 * tensor.elements
    from gguf import GGMLQuantizationType

    return int(GGMLQuantizationType[tensor.type_name]), tensor.size


def _write_tensors(
    source: IO[bytes], target: IO[bytes], base: GgufBase, updates: Mapping[str, _Update], report: Report
) -> None:
    total = sum(tensor.elements for tensor in base.header.tensors)
    done = 0
    for tensor in base.header.tensors:
        update = updates.get(tensor.name)
        blocks = _stored(source, tensor) if update is None else [_merged(base, tensor.name, update)]
        for block in blocks:
            target.write(block)
        _pad(target, _alignment(base))
        done += tensor.elements
        report(done / total)


def _merged(base: GgufBase, name: str, update: _Update) -> bytes:
    """A matrix with its update, in half precision."""
    values = (base.array(name) + update.values()).astype(np.float16)
    if not np.isfinite(values).all():
        raise AdapterError(f"The adapter makes {name!r} too large to be merged.", hint="Export it as an adapter instead.")
    return values.tobytes()


def _stored(source: IO[bytes], tensor: GgufTensor) -> Iterator[bytes]:
    """A tensor's bytes as the base has them."""
    source.seek(tensor.offset)
    left = tensor.size
    while left and (block := source.read(min(left, _BLOCK))):
        left -= len(block)
        yield block
    if left:
        raise ModelFileError("The base was cut short while it was read.", hint="Get the file again.")


def _alignment(base: GgufBase) -> int:
    return base.header.integer("general.alignment", 32)


def _padded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def _pad(target: IO[bytes], alignment: int) -> None:
    at = target.tell()
    target.write(bytes(_padded(at, alignment) - at))
