"""Reads the header of a GGUF file that nobody has vouched for.

Every count, length and offset is checked against a limit and against the size of the file before it is used, so that a hostile
or damaged file costs neither memory nor time. Tensor data is never read.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine.errors import ModelFileError
from engine.model_registry.ggml_types import TENSOR_TYPES

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_KEYS = 8192
MAX_TENSORS = 65_536
MAX_NAME = 1024
"""Longest key or tensor name, in bytes."""
MAX_STRING = 4 << 20
"""Longest string value, in bytes. Chat templates have some ten thousand."""
MAX_ALL_TEXT = 32 << 20
"""Bytes of all texts together."""
MAX_ARRAY_ITEMS = 4 << 20
"""Items of all arrays together. The largest vocabularies have a quarter of a million."""
MAX_DIMENSIONS = 4
MAX_ELEMENTS = 1 << 50
MAX_ALIGNMENT = 1 << 16

_STRING, _ARRAY = 8, 9
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_SCALAR_SIZES = {kind: struct.calcsize(code) for kind, code in _SCALARS.items()}

HINT = "The file is damaged or not a model. Download or export it again."


@dataclass(frozen=True, slots=True)
class GgufArray:
    """An array among the metadata: how long it is. Its items are not kept."""

    length: int


GgufValue = str | int | float | bool | GgufArray


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """Where a tensor is and what it looks like. `offset` and `size` are bytes, `offset` from the start of the file."""

    name: str
    dims: tuple[int, ...]
    type_name: str
    offset: int
    size: int

    @property
    def elements(self) -> int:
        """The number of values."""
        return math.prod(self.dims)


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says about itself."""

    version: int
    metadata: Mapping[str, GgufValue]
    tensors: tuple[GgufTensor, ...]

    def text(self, key: str, default: str = "") -> str:
        """A text among the metadata; `default` where there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else default

    def integer(self, key: str, default: int = 0) -> int:
        """A whole number among the metadata; `default` where there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    @property
    def architecture(self) -> str:
        """`general.architecture`, such as `llama`."""
        return self.text("general.architecture")

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(tensor.elements for tensor in self.tensors)

    def commonest_type(self) -> str:
        """The tensor type that holds the most weights; empty where there are no tensors."""
        counts: Counter[str] = Counter()
        for tensor in self.tensors:
            counts[tensor.type_name] += tensor.elements
        return counts.most_common(1)[0][0] if counts else ""


def read_gguf(path: Path) -> GgufHeader:
    """Read and check a file's header.

    Raises:
        ModelFileError: it is not a GGUF file that this program can use, or it is damaged or cannot be opened.
    """
    try:
        with path.open("rb", buffering=1 << 20) as file:
            size = file.seek(0, 2)
            file.seek(0)
            return _Reader(file, size, path.name).header()
    except OSError as exc:
        raise ModelFileError(f"{path.name} cannot be read: {exc.strerror}", hint="Check the path and its permissions.") from exc


class _Reader:
    """A cursor over the header. Every method raises ModelFileError on what is out of bounds."""

    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        self._file = file
        self._size = size
        self._name = name
        self._at = 0
        self._items_left = MAX_ARRAY_ITEMS
        self._text_left = MAX_ALL_TEXT

    def header(self) -> GgufHeader:
        version = self._start()
        tensor_count, key_count = self._count(MAX_TENSORS, "tensors"), self._count(MAX_KEYS, "metadata entries")
        metadata: dict[str, GgufValue] = {}
        for _ in range(key_count):
            key = self._string(MAX_NAME)
            if key in metadata:
                raise self._error(f"the key {key[:80]!r} occurs twice")
            metadata[key] = self._value(self._u32())
        infos = [self._tensor_info() for _ in range(tensor_count)]
        tensors = self._place(infos, _alignment(metadata, self))
        return GgufHeader(version, metadata, tensors)

    def _start(self) -> int:
        if self._size < 24 or self._bytes(4) != MAGIC:
            raise ModelFileError(f"{self._name} is not a GGUF file.", hint="Models must be in GGUF format (.gguf).")
        version = self._u32()
        if version not in VERSIONS:
            swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
            what = "is a big-endian GGUF file" if swapped in VERSIONS else f"has GGUF version {version}"
            raise ModelFileError(
                f"{self._name} {what}, which cannot be used.", hint="Convert the model again with a current llama.cpp."
            )
        return version

    def _value(self, kind: int) -> GgufValue:
        if kind == _STRING:
            return self._string(MAX_STRING)
        if kind == _ARRAY:
            return self._array()
        code = _SCALARS.get(kind)
        if code is None:
            raise self._error(f"unknown value type {kind}")
        value: int | float | bool = struct.unpack(code, self._bytes(_SCALAR_SIZES[kind]))[0]
        return value

    def _array(self) -> GgufArray:
        kind, length = self._u32(), self._count(self._items_left, "array items")
        self._items_left -= length
        if kind == _STRING:
            for _ in range(length):
                self._skip(self._u64())
        elif kind in _SCALAR_SIZES:
            self._skip(length * _SCALAR_SIZES[kind])
        else:
            raise self._error(f"an array of values of type {kind}")
        return GgufArray(length)

    def _tensor_info(self) -> tuple[str, tuple[int, ...], int, int]:
        name, rank = self._string(MAX_NAME), self._u32()
        if rank > MAX_DIMENSIONS:
            raise self._error(f"tensor {name[:80]!r} has {rank} dimensions")
        dims = tuple(self._u64() for _ in range(rank))
        if any(d == 0 or d > MAX_ELEMENTS for d in dims) or math.prod(dims) > MAX_ELEMENTS:
            raise self._error(f"tensor {name[:80]!r} has an impossible shape")
        return name, dims, self._u32(), self._u64()

    def _place(self, infos: list[tuple[str, tuple[int, ...], int, int]], alignment: int) -> tuple[GgufTensor, ...]:
        """The tensors with their places in the file, which must lie inside it and not overlap."""
        data = -(-self._at // alignment) * alignment
        tensors = []
        for name, dims, kind, offset in infos:
            form = TENSOR_TYPES.get(kind)
            if form is None:
                raise self._error(f"tensor {name[:80]!r} has the unknown type {kind}")
            if (dims[0] if dims else 1) % form.block or offset % alignment:
                raise self._error(f"tensor {name[:80]!r} is not aligned")
            size = math.prod(dims) // form.block * form.size
            if data + offset + size > self._size:
                raise ModelFileError(f"{self._name} is cut short: tensor {name[:80]!r} lies outside the file.", hint=HINT)
            tensors.append(GgufTensor(name, dims, form.name, data + offset, size))
        self._check_overlap(tensors)
        return tuple(tensors)

    def _check_overlap(self, tensors: list[GgufTensor]) -> None:
        end = 0
        names: set[str] = set()
        for tensor in sorted(tensors, key=lambda t: t.offset):
            if tensor.offset < end or tensor.name in names:
                raise self._error(f"tensor {tensor.name[:80]!r} overlaps or repeats another")
            end = tensor.offset + tensor.size
            names.add(tensor.name)

    def _count(self, limit: int, what: str) -> int:
        count = self._u64()
        # Each item takes a byte at least, so that a count beyond the file's end is a lie.
        if count > limit or count > self._size - self._at:
            raise self._error(f"{count} {what}")
        return count

    def _string(self, limit: int) -> str:
        length = self._u64()
        self._text_left -= length
        if length > limit or self._text_left < 0:
            raise self._error(f"a text of {length} bytes")
        return self._bytes(length).decode("utf-8", "replace")

    def _u32(self) -> int:
        return int.from_bytes(self._bytes(4), "little")

    def _u64(self) -> int:
        return int.from_bytes(self._bytes(8), "little")

    def _bytes(self, length: int) -> bytes:
        if length > self._size - self._at:
            raise self._error("it ends in the middle of its header")
        data = self._file.read(length)
        if len(data) != length:
            raise self._error("it ends in the middle of its header")
        self._at += length
        return data

    def _skip(self, length: int) -> None:
        if length > self._size - self._at:
            raise self._error("it ends in the middle of its header")
        self._at += length
        self._file.seek(self._at)

    def _error(self, what: str) -> ModelFileError:
        return ModelFileError(f"{self._name} is not a sound GGUF file: {what}.", hint=HINT)

    def bad_alignment(self) -> ModelFileError:
        return self._error("its alignment is not a power of two")


def _alignment(metadata: Mapping[str, GgufValue], reader: _Reader) -> int:
    value = metadata.get("general.alignment", 32)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MAX_ALIGNMENT or value & (value - 1):
        raise reader.bad_alignment()
    return value
