"""What served adapters are compared with, where the base does not fit into memory: the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from engine.errors import ModelFileError
from engine.training.adapters import reference_model
from engine.training.adapters.gate import Subject, run_gate
from engine.training.adapters.gguf_adapter import write_gguf_adapter
from engine.training.adapters.parity import Logits
from engine.training.adapters.reference_model import predictions, streamed_model, whole_model
from engine.training.bases import copying
from engine.training.bases.base_model import load_base, training_copy
from engine.training.datasets.encoding import EncodedExample

if TYPE_CHECKING:
    from conftest import TinyModel

RANDOM = np.random.default_rng(2)
EXAMPLES = [EncodedExample(tuple(RANDOM.integers(5, 260, length).tolist()), 3) for length in (48, 20, 30)]
"""The first is longer than the windows of the models that have one."""


@pytest.fixture
def copy(tiny: TinyModel, training_cache: Path) -> Path:
    return training_copy(tiny.gguf, training_cache)


@pytest.fixture
def peft(tiny: TinyModel, copy: Path, tmp_path: Path) -> Path:
    """An adapter for all linear layers, the output layer among them where it has weights of its own."""
    base = load_base(copy, "float32")
    layers = [*tiny.linear_layers, *([] if base.config.tie_word_embeddings else ["lm_head"])]
    return random_adapter(base, layers, tmp_path / "peft")


def random_adapter(base: torch.nn.Module, layers: list[str], folder: Path) -> Path:
    torch.manual_seed(3)
    model = get_peft_model(base, LoraConfig(r=4, lora_alpha=12, target_modules=layers, task_type="CAUSAL_LM"))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder


def all_of(model: PeftModel, examples: list[EncodedExample] = EXAMPLES, *, adapted: bool = True) -> Logits:
    return np.concatenate(list(predictions(model, examples, adapted=adapted)))


def in_memory(model: PeftModel) -> int:
    """The bytes of a model's weights that are in memory."""
    return sum(
        weight.nbytes for name, weight in model.named_parameters() if weight.device.type != "meta" and "lora" not in name
    )


class TestEveryFamily:
    def test_weights_on_the_disk_give_the_same(self, copy: Path, peft: Path) -> None:
        whole, streamed = whole_model(copy, peft), streamed_model(copy, peft)
        assert in_memory(streamed) == 0 < in_memory(whole)
        expected, plain = all_of(whole), all_of(whole, adapted=False)
        assert np.array_equal(np.concatenate([all_of(streamed, [item]) for item in EXAMPLES]), expected)
        limit = 1e-5 * expected.std()  # several in one row are added up in another order
        assert np.abs(all_of(streamed) - expected).max() < limit
        assert np.abs(all_of(streamed, adapted=False) - plain).max() < limit
        assert np.abs(plain - expected).max() > 0.5 * expected.std()
        assert in_memory(streamed) == 0


class TestShortMemory:
    @pytest.fixture
    def tiny(self, make_tiny: Callable[[str], TinyModel]) -> TinyModel:
        return make_tiny("Gemma 3")

    def test_the_gate_does_with_what_there_is(
        self, tiny: TinyModel, copy: Path, peft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_gguf_adapter(peft, tiny.gguf, tmp_path / "adapter.gguf")
        subject = Subject(copy, peft, tiny.gguf, tmp_path / "adapter.gguf")
        plenty = run_gate(subject)
        monkeypatch.setattr(reference_model, "memory_available", lambda: 10_000)
        assert in_memory(reference_model.reference_model(copy, peft)) == 0
        short = run_gate(subject)
        assert plenty.ok
        assert short.ok
        assert (short.tokens, short.decided) == (plenty.tokens, plenty.decided)
        assert short.mean_kl == pytest.approx(plenty.mean_kl, abs=1e-6)

    def test_groups_keep_within_their_bounds(self, copy: Path, peft: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        streamed = streamed_model(copy, peft)
        expected = all_of(streamed)
        for name, value in (("MOST_TOKENS", 1), ("MOST_LOGITS", 1)):
            with monkeypatch.context() as patch:
                patch.setattr(reference_model, name, value)
                assert np.allclose(all_of(streamed), expected, atol=1e-5)

    def test_copies_in_16_bits_and_in_several_files(
        self, tiny: TinyModel, peft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(copying, "SHARD_BYTES", 50_000)
        copy = training_copy(tiny.gguf, tmp_path / "parts")
        files = sorted(copy.glob("*.safetensors"))
        assert len(files) > 2
        for file in files:
            save_file({name: tensor.bfloat16() for name, tensor in load_file(file).items()}, file, metadata={"format": "pt"})
        assert np.allclose(all_of(streamed_model(copy, peft)), all_of(whole_model(copy, peft)), atol=1e-5)

    def test_a_copy_without_all_weights_is_refused(self, tiny: TinyModel, peft: Path, tmp_path: Path) -> None:
        copy = training_copy(tiny.gguf, tmp_path)
        tensors = load_file(copy / "model.safetensors")
        del tensors["model.layers.1.mlp.up_proj.weight"]
        save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ModelFileError, match=r"layers\.1\.mlp\.up_proj") as caught:
            streamed_model(copy, peft)
        assert "Delete" in (caught.value.hint or "")
