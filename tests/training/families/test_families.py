"""Every family: GGUF → training copy → PEFT adapter → GGUF adapter → llama.cpp, with the logits of Transformers at each step.

Weights, keys and values are in float32 here, so that what differs is the conversion and not the rounding. One thing cannot be
switched off in llama.cpp: it looks up Gemma's GELU in a table in half precision, so Transformers gets the same table.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel
from transformers.activations import GELUTanh

from engine.errors import AdapterError
from engine.llm.llamacpp.library import load_library
from engine.training.adapters.gguf_adapter import write_gguf_adapter
from engine.training.adapters.parity import Logits, ServedPredictor
from engine.training.bases.base_model import load_base, training_copy
from engine.training.bases.families import linear_layers, target_modules
from engine.training.bases.model_shape import read_shape, shape_of
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExample
from engine.training.strategies.lora_model import lora_model
from engine.training.trainer import TrainingPaths

if TYPE_CHECKING:
    from conftest import TinyModel

EXAMPLE = EncodedExample(tuple(np.random.default_rng(1).integers(5, 260, 48).tolist()), prompt_length=1)
"""Longer than the windows of the models that have one."""
BOUND = 5e-5
"""Largest difference of a logit that is allowed, in standard deviations of the logits. Measured: 8e-6 at most."""
TABLE_BOUND = 1e-3
"""The same with a table in half precision, where a last digit can decide between two entries. Measured: 5e-4 at most."""


@pytest.fixture(autouse=True)
def exact_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let llama.cpp keep keys and values in float32: what differs then is the conversion, not the rounding."""
    library = load_library()
    defaults = library.llama_context_default_params

    def in_full_precision() -> object:
        params = defaults()
        params.type_k = params.type_v = library.GGML_TYPE_F32
        return params

    monkeypatch.setattr(library, "llama_context_default_params", in_full_precision)


class TabulatedGelu(torch.nn.Module):
    """GELU as ggml computes it on a processor: looked up in half precision (`ggml_vec_gelu_f32`)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        looked_up = torch.nn.functional.gelu(x.half().float(), approximate="tanh").half().float()
        return torch.where(x.abs() < 10, looked_up, x.relu())


@contextmanager
def ggml_gelu(model: torch.nn.Module) -> Iterator[None]:
    """Let a model compute its GELU as ggml does, for the block."""
    there = [module for module in model.modules() if isinstance(getattr(module, "act_fn", None), GELUTanh)]
    before = [module.act_fn for module in there]
    for module in there:
        module.act_fn = TabulatedGelu()
    yield
    for module, activation in zip(there, before, strict=True):
        module.act_fn = activation


def logits_of(model: PreTrainedModel | PeftModel) -> Logits:
    with torch.inference_mode():
        logits: Logits = model(torch.tensor([EXAMPLE.tokens[:-1]])).logits[0].numpy()
    return logits


def bound(tiny: TinyModel) -> float:
    return TABLE_BOUND if tiny.model.config.model_type.startswith("gemma") else BOUND


def served(gguf: Path, adapter: Path | None = None) -> Logits:
    predictor = ServedPredictor(gguf, adapter, longest=64, threads=1)
    try:
        return predictor(EXAMPLE)
    finally:
        predictor.close()


def with_adapter(base: PreTrainedModel, modules: list[str], folder: Path) -> PeftModel:
    """A random adapter for some layers, large enough to matter, saved by PEFT."""
    torch.manual_seed(3)
    model = get_peft_model(base, LoraConfig(r=4, lora_alpha=12, target_modules=modules, task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.2)
    model.save_pretrained(folder, save_embedding_layers=False)
    return model.eval()


def keep_only(modules: list[str], model: PeftModel, source: Path, target: Path) -> None:
    """Switch off an adapter's other layers, in the model and in a copy of its folder."""
    for name, layer in model.named_modules():
        if isinstance(layer, LoraLayer):
            layer.scaling["default"] = 3.0 if name.rpartition(".")[2] in modules else 0.0
    target.mkdir(exist_ok=True)
    tensors = load_file(source / "adapter_model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if name.split(".")[-3] in modules}
    save_file(kept, target / "adapter_model.safetensors")
    shutil.copy(source / "adapter_config.json", target)


class TestEveryFamily:
    def test_copy_and_served_model_are_the_model(self, tiny: TinyModel, training_cache: Path) -> None:
        expected = logits_of(tiny.model)
        copy = load_base(training_copy(tiny.gguf, training_cache), "float32")
        assert np.abs(logits_of(copy) - expected).max() < bound(tiny) * expected.std()
        with ggml_gelu(tiny.model):
            expected = logits_of(tiny.model)
        assert np.abs(served(tiny.gguf) - expected).max() < bound(tiny) * expected.std()

    def test_adapters_for_each_layer_and_for_all(self, tiny: TinyModel, training_cache: Path, tmp_path: Path) -> None:
        base = load_base(training_copy(tiny.gguf, training_cache), "float32")
        plain = logits_of(base)
        layers = [*tiny.linear_layers, *([] if base.config.tie_word_embeddings else ["lm_head"])]
        adapted = with_adapter(base, layers, tmp_path / "all")
        for modules in [*([name] for name in layers), layers]:
            peft, out = tmp_path / "peft", tmp_path / "adapter.gguf"
            keep_only(modules, adapted, tmp_path / "all", peft)
            write_gguf_adapter(peft, tiny.gguf, out)
            with ggml_gelu(adapted):
                expected = logits_of(adapted)
            limit = bound(tiny) * expected.std()
            assert np.abs(served(tiny.gguf, out) - expected).max() < limit, modules
            assert np.abs(plain - expected).max() > 10 * limit, f"{modules} make no difference: nothing was tested"

    def test_linear_layers_are_those_that_the_model_has(self, tiny: TinyModel) -> None:
        known = linear_layers(tiny.model.config.model_type)
        inputs = getattr(tiny.model.config, "hidden_size_per_layer_input", 0)
        absent = [] if inputs else [name for name in known if name.startswith("per_layer")]
        assert sorted(tiny.linear_layers) == sorted(set(known) - set(absent))

    def test_its_sizes_are_known_before_a_training(self, tiny: TinyModel) -> None:
        shape = read_shape(tiny.gguf)
        there = [
            (name.rpartition(".")[2], module.out_features, module.in_features)
            for name, module in tiny.model.named_modules()
            if isinstance(module, torch.nn.Linear) and name.endswith("_proj") and ".layers." in name
        ]
        assert sorted((linear.name, linear.outputs, linear.inputs) for linear in shape.linears) == sorted(there)
        keys = {linear.outputs for linear in shape.linears if linear.name == "k_proj"}
        assert shape.key_width >= max(keys, default=0)
        found = replace(shape_of(tiny.model), architecture=shape.architecture)
        figures = [field.name for field in fields(shape) if field.name not in ("linears", "trained_context", "parameters")]
        assert [getattr(found, name) for name in figures] == [getattr(shape, name) for name in figures]
        assert sorted(map(str, found.linears)) == sorted(map(str, shape.linears))

    def test_the_default_settings_adapt_all_of_them(self, tiny: TinyModel, training_cache: Path, tmp_path: Path) -> None:
        paths = TrainingPaths(training_copy(tiny.gguf, training_cache), tmp_path)
        model = lora_model(paths, TrainingConfig(rank=2))
        adapted = {name.split(".")[-4] for name, _ in model.named_parameters() if "lora_A" in name}
        assert adapted == set(tiny.linear_layers)


class TestNames:
    @pytest.mark.parametrize("prefix", ["model.language_model.", "language_model.model."])
    def test_adapters_of_models_that_also_see(
        self, make_tiny: Callable[[str], TinyModel], training_cache: Path, tmp_path: Path, prefix: str
    ) -> None:
        tiny = make_tiny("Gemma 3")
        folder = tmp_path / "peft"
        with_adapter(load_base(training_copy(tiny.gguf, training_cache), "float32"), ["q_proj", "down_proj"], folder)
        write_gguf_adapter(folder, tiny.gguf, tmp_path / "plain.gguf")
        file = folder / "adapter_model.safetensors"
        save_file({name.replace(".model.layers", f".{prefix}layers"): t for name, t in load_file(file).items()}, file)
        write_gguf_adapter(folder, tiny.gguf, tmp_path / "wrapped.gguf")
        assert (tmp_path / "wrapped.gguf").read_bytes() == (tmp_path / "plain.gguf").read_bytes()

    def test_the_part_that_sees_is_refused(
        self, make_tiny: Callable[[str], TinyModel], training_cache: Path, tmp_path: Path
    ) -> None:
        tiny = make_tiny("Gemma 3")
        folder = tmp_path / "peft"
        with_adapter(load_base(training_copy(tiny.gguf, training_cache), "float32"), ["q_proj"], folder)
        file = folder / "adapter_model.safetensors"
        see = "vision_tower.vision_model.encoder.layers"
        save_file({name.replace("model.layers", see): t for name, t in load_file(file).items()}, file)
        with pytest.raises(AdapterError, match="vision_tower"):
            write_gguf_adapter(folder, tiny.gguf, tmp_path / "adapter.gguf")

    def test_parts_of_fused_layers_stand_for_the_whole(self) -> None:
        assert target_modules(("q_proj", "v_proj", "down_proj"), "phi3") == ("qkv_proj", "down_proj")
        assert target_modules(("q_proj", "v_proj"), "gemma3_text") == ("q_proj", "v_proj")
        assert target_modules(("nothing",), "phi3") == ("nothing",)


class TestPeftFolder:
    def test_rank_patterns_keep_their_scale(
        self, make_tiny: Callable[[str], TinyModel], training_cache: Path, tmp_path: Path
    ) -> None:
        tiny = make_tiny("Phi 4")
        base = load_base(training_copy(tiny.gguf, training_cache), "float32")
        torch.manual_seed(3)
        settings = LoraConfig(r=4, lora_alpha=12, target_modules=["qkv_proj", "down_proj"], rank_pattern={"down_proj": 2})
        model = get_peft_model(base, settings).eval()
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.2)
        model.save_pretrained(tmp_path)
        assert json.loads((tmp_path / "adapter_config.json").read_text())["rank_pattern"] == {"down_proj": 2}
        write_gguf_adapter(tmp_path, tiny.gguf, tmp_path / "adapter.gguf")
        expected = logits_of(model)
        assert np.abs(served(tiny.gguf, tmp_path / "adapter.gguf") - expected).max() < BOUND * expected.std()
