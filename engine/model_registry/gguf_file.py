"""Reads the header of a GGUF file that nobody has vouched for.

Every count, length and offset is checked against a limit and against the size of the file before it is used, so that a hostile
or damaged file costs neither memory nor time. Tensor data is never read.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ModelFileError
from engine.model_registry.ggml_types import TENSOR_TYPES
from engine.model_registry.gguf_cursor import HINT, Cursor, opened

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_KEYS = 8192
MAX_TENSORS = 65_536
MAX_NAME = 1024
"""Longest key or tensor name, in bytes."""
MAX_STRING = 4 << 20
"""Longest string value, in bytes. Chat templates have some ten thousand."""
MAX_ARRAY_ITEMS = 4 << 20
"""Items of all arrays together. The largest vocabularies have a quarter of a million."""
MAX_DIMENSIONS = 4
MAX_ELEMENTS = 1 << 50
MAX_ALIGNMENT = 1 << 16

STRING, ARRAY = 8, 9
SCALARS = {
    0: ("uint8", "B"),
    1: ("int8", "b"),
    2: ("uint16", "H"),
    3: ("int16", "h"),
    4: ("uint32", "I"),
    5: ("int32", "i"),
    6: ("float32", "f"),
    7: ("bool", "?"),
    10: ("uint64", "Q"),
    11: ("int64", "q"),
    12: ("float64", "d"),
}
"""The types of numbers: their names, and their letters in `struct`."""
_MOST_LANGUAGES = 500
_CODE = 2
_CODES = dict(SCALARS.values())


@dataclass(frozen=True, slots=True)
class GgufArray:
    """An array among the metadata: how long it is, what it is of, and where its first item is in the file.

    Its items are not kept; see `array_strings` and `array_numbers`.
    """

    length: int
    kind: str
    offset: int


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
    """What a GGUF file says about itself. `kinds` has the type of each value of `metadata`, such as `uint32`."""

    version: int
    metadata: Mapping[str, GgufValue]
    kinds: Mapping[str, str]
    tensors: tuple[GgufTensor, ...]
    keys_end: int = 0
    """Where the metadata end and the descriptions of the tensors begin, in bytes from the start of the file."""

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
    with opened(path) as cursor:
        return _HeaderReader(cursor).header()


def array_strings(path: Path, array: GgufArray) -> Iterator[bytes]:
    """The items of an array of strings.

    Raises:
        ModelFileError: the file has changed since its header was read, or cannot be opened.
    """
    with opened(path) as cursor:
        cursor.skip(array.offset)
        for _ in range(array.length):
            yield cursor.take(cursor.u64())


def array_numbers(path: Path, array: GgufArray) -> tuple[int | float | bool, ...]:
    """The items of an array of numbers. Raises as `array_strings` does."""
    with opened(path) as cursor:
        cursor.skip(array.offset)
        return cursor.numbers(_CODES[array.kind], array.length)


def languages(path: Path) -> tuple[str, ...]:
    """The languages that a model was trained for, as `general.languages` says: ISO 639-1 codes. Empty where it says nothing, or
    something that is no such code, as `multilingual` is: then nobody knows.

    Raises:
        ModelFileError: it is no GGUF, or a value in it is out of bounds.
    """
    found = read_gguf(path).metadata.get("general.languages")
    if not isinstance(found, GgufArray) or found.kind != "string" or found.length > _MOST_LANGUAGES:
        return ()
    codes = [code.decode("utf-8", "replace").lower().replace("_", "-").partition("-")[0] for code in array_strings(path, found)]
    return tuple(codes) if all(len(code) == _CODE and code.isalpha() for code in codes) else ()


class _HeaderReader:
    """Reads a header from its first byte to its last. Every method raises ModelFileError on what is out of bounds."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._items_left = MAX_ARRAY_ITEMS

    def header(self) -> GgufHeader:
        cursor = self._cursor
        version = self._start()
        tensor_count, key_count = cursor.count(MAX_TENSORS, "tensors"), cursor.count(MAX_KEYS, "metadata entries")
        metadata: dict[str, GgufValue] = {}
        kinds: dict[str, str] = {}
        for _ in range(key_count):
            key = cursor.string(MAX_NAME)
            if key in metadata:
                raise cursor.error(f"the key {key[:80]!r} occurs twice")
            kinds[key], metadata[key] = self._value()
        keys_end = cursor.at
        infos = [self._tensor_info() for _ in range(tensor_count)]
        return GgufHeader(version, metadata, kinds, self._place(infos, self._alignment(metadata)), keys_end)

    def _start(self) -> int:
        cursor = self._cursor
        if cursor.size < 24 or cursor.take(4) != MAGIC:
            raise ModelFileError(f"{cursor.name} is not a GGUF file.", hint="Models must be in GGUF format (.gguf).")
        version = cursor.u32()
        if version not in VERSIONS:
            swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
            what = "is a big-endian GGUF file" if swapped in VERSIONS else f"has GGUF version {version}"
            raise ModelFileError(
                f"{cursor.name} {what}, which cannot be used.", hint="Convert the model again with a current llama.cpp."
            )
        return version

    def _value(self) -> tuple[str, GgufValue]:
        """The next value, after the name of its type."""
        kind = self._cursor.u32()
        if kind == STRING:
            return "string", self._cursor.string(MAX_STRING)
        if kind == ARRAY:
            return "array", self._array()
        if kind not in SCALARS:
            raise self._cursor.error(f"unknown value type {kind}")
        name, code = SCALARS[kind]
        return name, self._cursor.number(code)

    def _array(self) -> GgufArray:
        cursor = self._cursor
        kind, length = cursor.u32(), cursor.count(self._items_left, "array items")
        self._items_left -= length
        offset = cursor.at
        if kind == STRING:
            cursor.skip_strings(length)
            return GgufArray(length, "string", offset)
        if kind not in SCALARS:
            raise cursor.error(f"an array of values of type {kind}")
        name, code = SCALARS[kind]
        cursor.skip(length * struct.calcsize(f"<{code}"))
        return GgufArray(length, name, offset)

    def _tensor_info(self) -> tuple[str, tuple[int, ...], int, int]:
        cursor = self._cursor
        name, rank = cursor.string(MAX_NAME), cursor.u32()
        if rank > MAX_DIMENSIONS:
            raise cursor.error(f"tensor {name[:80]!r} has {rank} dimensions")
        dims = tuple(cursor.u64() for _ in range(rank))
        if any(d == 0 or d > MAX_ELEMENTS for d in dims) or math.prod(dims) > MAX_ELEMENTS:
            raise cursor.error(f"tensor {name[:80]!r} has an impossible shape")
        return name, dims, cursor.u32(), cursor.u64()

    def _place(self, infos: list[tuple[str, tuple[int, ...], int, int]], alignment: int) -> tuple[GgufTensor, ...]:
        """The tensors with their places in the file, which must lie inside it and not overlap."""
        cursor = self._cursor
        data = -(-cursor.at // alignment) * alignment
        tensors = []
        for name, dims, kind, offset in infos:
            form = TENSOR_TYPES.get(kind)
            if form is None:
                raise cursor.error(f"tensor {name[:80]!r} has the unknown type {kind}")
            if (dims[0] if dims else 1) % form.block or offset % alignment:
                raise cursor.error(f"tensor {name[:80]!r} is not aligned")
            size = math.prod(dims) // form.block * form.size
            if data + offset + size > cursor.size:
                raise ModelFileError(f"{cursor.name} is cut short: tensor {name[:80]!r} lies outside the file.", hint=HINT)
            tensors.append(GgufTensor(name, dims, form.name, data + offset, size))
        self._check_overlap(tensors)
        return tuple(tensors)

    def _check_overlap(self, tensors: list[GgufTensor]) -> None:
        end = 0
        names: set[str] = set()
        for tensor in sorted(tensors, key=lambda t: t.offset):
            if tensor.offset < end or tensor.name in names:
                raise self._cursor.error(f"tensor {tensor.name[:80]!r} overlaps or repeats another")
            end = tensor.offset + tensor.size
            names.add(tensor.name)

    def _alignment(self, metadata: Mapping[str, GgufValue]) -> int:
        value = metadata.get("general.alignment", 32)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MAX_ALIGNMENT or value & (value - 1):
            raise self._cursor.error("its alignment is not a power of two")
        return value
