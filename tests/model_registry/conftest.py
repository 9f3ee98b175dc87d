"""GGUF files made for a test, byte by byte."""

import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

Tensor = tuple[str, tuple[int, ...], int]
"""Name, dimensions, type number."""

_BLOCKS = {0: (1, 4), 1: (1, 2), 3: (32, 20), 8: (32, 34)}


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def field(key: str, value: object) -> bytes:
    if isinstance(value, bool):
        return text(key) + struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return text(key) + struct.pack("<II", 4, value)
    if isinstance(value, list):
        return text(key) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(item) for item in value)
    return text(key) + struct.pack("<I", 8) + text(str(value))


def gguf_bytes(
    metadata: Mapping[str, object], tensors: Sequence[Tensor] = (("token_embd.weight", (32, 4), 3),), *, version: int = 3
) -> bytes:
    """A GGUF file with zeros as its weights."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    head += b"".join(field(key, value) for key, value in metadata.items())
    offset = 0
    for name, dims, kind in tensors:
        head += text(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", d) for d in dims)
        head += struct.pack("<IQ", kind, offset)
        count = 1
        for d in dims:
            count *= d
        block, size = _BLOCKS[kind]
        offset += -(-(count // block * size) // 32) * 32
    return head + bytes(-len(head) % 32) + bytes(offset)


LLAMA = {
    "general.architecture": "llama",
    "general.type": "model",
    "general.name": "Tiny",
    "general.license": "mit",
    "general.file_type": 3,
    "llama.context_length": 2048,
    "tokenizer.chat_template": "{{ messages }}",
    "tokenizer.ggml.tokens": ["a", "b", "c"],
}


@pytest.fixture(scope="session")
def make_gguf() -> Callable[..., bytes]:
    """Builds the bytes of a GGUF file from metadata and tensors."""
    return gguf_bytes


@pytest.fixture(scope="session")
def sound_gguf() -> bytes:
    """A small, sound chat model."""
    return gguf_bytes(LLAMA, [("token_embd.weight", (32, 4), 3), ("output_norm.weight", (32,), 0)])


@pytest.fixture
def write_gguf(tmp_path: Path) -> Callable[..., Path]:
    """Writes a small chat model; keyword arguments override metadata (None leaves a key out)."""

    def write(name: str = "tiny.gguf", folder: Path | None = None, **overrides: object) -> Path:
        changes = {key.replace("__", "."): value for key, value in overrides.items()}
        metadata = {key: value for key, value in {**LLAMA, **changes}.items() if value is not None}
        path = (folder or tmp_path) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gguf_bytes(metadata))
        return path

    return write
