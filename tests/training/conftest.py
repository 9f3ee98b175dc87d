"""A tiny Llama as a GGUF file, written here: two blocks, grouped-query attention, a vocabulary of bytes."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFWriter, TokenType

from engine.training.bases.base_model import load_base, training_copy
from engine.training.config import LINEAR_LAYERS

WIDTH, FEED_FORWARD, BLOCKS, HEADS, KV_HEADS = 64, 96, 2, 4, 2
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_characters() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    named = {byte: chr(byte) for byte in plain} | {byte: chr(256 + index) for index, byte in enumerate(others)}
    return [named[byte] for byte in range(256)]


def write_tiny_llama(
    path: Path, architecture: str = "llama", seed: int = 0, width: int = WIDTH, template: str | None = None
) -> None:
    """Write a model with random float32 weights, and a chat template where one is given."""
    rng = np.random.default_rng(seed)
    tokens = [*SPECIAL, *byte_characters()]
    writer = GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_block_count(BLOCKS)
    writer.add_context_length(512)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(width // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL] * len(SPECIAL) + [TokenType.NORMAL] * 256)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)
    kv_width = width // HEADS * KV_HEADS
    shapes = {
        "attn_q": (width, width),
        "attn_k": (kv_width, width),
        "attn_v": (kv_width, width),
        "attn_output": (width, width),
        "ffn_gate": (FEED_FORWARD, width),
        "ffn_up": (FEED_FORWARD, width),
        "ffn_down": (width, FEED_FORWARD),
    }
    writer.add_tensor("token_embd.weight", rng.normal(0, 1, (len(tokens), width)).astype(np.float32))
    writer.add_tensor("output.weight", rng.normal(0, 0.2, (len(tokens), width)).astype(np.float32))
    writer.add_tensor("output_norm.weight", np.ones(width, dtype=np.float32))
    for block in range(BLOCKS):
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{block}.{name}.weight", np.ones(width, dtype=np.float32))
        for name, shape in shapes.items():
            weight = rng.normal(0, 0.15, shape).astype(np.float32)
            writer.add_tensor(f"blk.{block}.{name}.weight", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads cost more than they give with models this small, here and in the processes that tests start."""
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        yield
    torch.set_num_threads(before)


@pytest.fixture
def all_threads(one_thread: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the machine has, for tests with the default model."""
    monkeypatch.delenv("OMP_NUM_THREADS")
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    write_tiny_llama(path)
    return path


@pytest.fixture(scope="session")
def training_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of dequantised copies for all tests of the session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny_copy(tiny_gguf: Path, training_cache: Path) -> Path:
    """The tiny model, dequantised for training."""
    return training_copy(tiny_gguf, training_cache)


MakeAdapter = Callable[..., Path]


@pytest.fixture
def make_peft(tiny_copy: Path, tmp_path: Path) -> MakeAdapter:
    """Makes PEFT adapters for the tiny model, with random matrices that are large enough to matter."""

    def make(name: str = "peft", modules: Sequence[str] = LINEAR_LAYERS, copy: Path = tiny_copy, **options: object) -> Path:
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(3)
        settings = LoraConfig(**({"r": 4, "lora_alpha": 12} | options), target_modules=list(modules), task_type="CAUSAL_LM")
        model = get_peft_model(load_base(copy, "float32"), settings)
        with torch.no_grad():
            for key, weight in model.named_parameters():
                if "lora_B" in key:
                    weight.normal_(0, 0.2)
        model.save_pretrained(tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def write_tiny() -> Callable[..., None]:
    """Writes tiny models; see `write_tiny_llama`."""
    return write_tiny_llama
