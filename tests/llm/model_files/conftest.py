"""Small models and adapters made byte by byte, sound or not."""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

Value = object
Field = tuple[str, Value]
"""The name of a type, and a value or a list of values."""
Weights = tuple[tuple[int, ...], int, bytes]
"""Dimensions, type number, data."""

CODES = {
    "uint8": (0, "B"), "int8": (1, "b"), "uint16": (2, "H"), "int16": (3, "h"), "uint32": (4, "I"), "int32": (5, "i"),
    "float32": (6, "f"), "bool": (7, "?"), "uint64": (10, "Q"), "int64": (11, "q"), "float64": (12, "d"),
}  # fmt: skip
WIDTH, HEADS, KV_HEADS, INNER, LAYERS = 32, 4, 2, 64, 2
HEAD = WIDTH // HEADS


@dataclass
class GgufParts:
    """A GGUF file before it is written."""

    metadata: dict[str, Field]
    tensors: dict[str, Weights] = field(default_factory=dict)

    def data(self) -> bytes:
        head = b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.metadata))
        head += b"".join(_field(key, kind, value) for key, (kind, value) in self.metadata.items())
        body = b""
        for name, (dims, kind, raw) in self.tensors.items():
            head += _text(name) + struct.pack(f"<I{len(dims)}Q", len(dims), *dims) + struct.pack("<IQ", kind, len(body))
            body += raw + bytes(-len(raw) % 32)
        return head + bytes(-len(head) % 32) + body

    def write(self, path: Path) -> Path:
        path.write_bytes(self.data())
        return path


def _text(value: object) -> bytes:
    data = value if isinstance(value, bytes) else str(value).encode()
    return struct.pack("<Q", len(data)) + data


def _scalar(kind: str, value: object) -> bytes:
    return _text(value) if kind == "string" else struct.pack(f"<{CODES[kind][1]}", value)


def _field(key: str, kind: str, value: object) -> bytes:
    number = 8 if kind == "string" else CODES[kind][0]
    if isinstance(value, list):
        return _text(key) + struct.pack("<IIQ", 9, number, len(value)) + b"".join(_scalar(kind, item) for item in value)
    return _text(key) + struct.pack("<I", number) + _scalar(kind, value)


def weights(*dims: int, seed: int = 1) -> Weights:
    values = np.random.default_rng(seed).normal(0, 0.2, math.prod(dims))
    return dims, 0, values.astype("<f4").tobytes()


def _tokens() -> tuple[list[str], list[int]]:
    """A SentencePiece vocabulary: a token for each byte, letters, two words, two marks."""
    letters = ["\u2581", *map(chr, range(97, 123)), "th", "the"]
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters, "<|start|>", "<|end|>"]
    return names, [2, 3, 3, *[6] * 256, *[1] * len(letters), 3, 3]


@pytest.fixture
def tiny() -> GgufParts:
    """A sound Llama of two layers that says nothing of sense."""
    names, kinds = _tokens()
    count = len(names)
    tensors = {"token_embd.weight": weights(WIDTH, count), "output_norm.weight": weights(WIDTH)}
    for layer in range(LAYERS):
        shapes = {"attn_norm": (WIDTH,), "attn_q": (WIDTH, WIDTH), "attn_output": (WIDTH, WIDTH), "ffn_norm": (WIDTH,)}
        shapes |= {"attn_k": (WIDTH, KV_HEADS * HEAD), "attn_v": (WIDTH, KV_HEADS * HEAD)}
        shapes |= {"ffn_gate": (WIDTH, INNER), "ffn_up": (WIDTH, INNER), "ffn_down": (INNER, WIDTH)}
        tensors |= {f"blk.{layer}.{name}.weight": weights(*dims, seed=layer) for name, dims in shapes.items()}
    return GgufParts(
        {
            "general.architecture": ("string", "llama"),
            "general.type": ("string", "model"),
            "llama.block_count": ("uint32", LAYERS),
            "llama.context_length": ("uint32", 512),
            "llama.embedding_length": ("uint32", WIDTH),
            "llama.feed_forward_length": ("uint32", INNER),
            "llama.attention.head_count": ("uint32", HEADS),
            "llama.attention.head_count_kv": ("uint32", KV_HEADS),
            "llama.attention.layer_norm_rms_epsilon": ("float32", 1e-5),
            "llama.rope.dimension_count": ("uint32", HEAD),
            "llama.rope.freq_base": ("float32", 10000.0),
            "tokenizer.ggml.model": ("string", "llama"),
            "tokenizer.ggml.tokens": ("string", names),
            "tokenizer.ggml.token_type": ("int32", kinds),
            "tokenizer.ggml.scores": ("float32", [-float(number) for number in range(count)]),
            "tokenizer.ggml.bos_token_id": ("uint32", 1),
            "tokenizer.ggml.eos_token_id": ("uint32", count - 1),
            "tokenizer.chat_template": ("string", "{% for m in messages %}<|start|>{{ m['content'] }}<|end|>{% endfor %}"),
        },
        tensors,
    )


@pytest.fixture
def tiny_adapter() -> GgufParts:
    """A sound adapter for `tiny`."""
    return GgufParts(
        {
            "general.architecture": ("string", "llama"),
            "general.type": ("string", "adapter"),
            "adapter.type": ("string", "lora"),
            "adapter.lora.alpha": ("float32", 8.0),
        },
        {
            "blk.0.attn_q.weight.lora_a": weights(WIDTH, 4, seed=3),
            "blk.0.attn_q.weight.lora_b": weights(4, WIDTH, seed=4),
        },
    )


@pytest.fixture
def stub() -> Callable[[str], tuple[str, ...]]:
    """The command of a trial that runs some lines of Python instead."""
    import sys

    return lambda program: (sys.executable, "-c", program)
