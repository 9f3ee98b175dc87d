"""The Hugging Face folder beside a GGUF file: used where its weights prove that it is the same model, passed over otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import gguf
import numpy as np
import pytest
import torch
from gguf.quants import quantize
from safetensors.torch import load_file, save_file

from engine.training.bases.base_model import base_notices, copy_source, load_base, require_trainable, training_copy

if TYPE_CHECKING:
    from conftest import TinyModel

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def tiny(make_tiny: Callable[[str], TinyModel]) -> TinyModel:
    return make_tiny("Gemma 3")


@pytest.fixture
def models(tiny: TinyModel, tmp_path: Path) -> Path:
    """A models folder with the model quantised to 4 bits, and its original in bfloat16."""
    folder = tmp_path / "models"
    folder.mkdir()
    quantise(tiny.gguf, folder / "tiny.Q4_0.gguf", gguf.GGMLQuantizationType.Q4_0)
    write_folder(folder / "tiny", tiny.model.config.to_dict(), weights_of(tiny))
    return folder


def weights_of(tiny: TinyModel) -> Tensors:
    tensors = {name: tensor.clone() for name, tensor in tiny.model.state_dict().items() if name != "lm_head.weight"}
    # Published weights are in bfloat16; vectors must be the same in both files, so only matrices are rounded here.
    return {name: tensor.bfloat16() if tensor.ndim == 2 else tensor for name, tensor in tensors.items()}


def write_folder(folder: Path, config: Mapping[str, object], tensors: Tensors) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")


def quantise(source: Path, target: Path, kind: gguf.GGMLQuantizationType) -> None:
    """A copy with the matrices in another type."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "gemma3")
    for name, item in reader.fields.items():
        if not name.startswith(("GGUF.", "general.architecture")):
            writer.add_key_value(name, item.contents(), item.types[0], item.types[-1] if len(item.types) > 1 else None)
    for tensor in reader.tensors:
        plain = np.array(tensor.data)
        if plain.ndim == 2:
            writer.add_tensor(tensor.name, quantize(plain, kind), raw_dtype=kind)
        else:
            writer.add_tensor(tensor.name, plain)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def copied(models: Path) -> Path:
    return training_copy(models / "tiny.Q4_0.gguf", models.parent / "cache")


class TestMatching:
    def test_the_weights_before_quantisation_are_taken(self, models: Path, tiny: TinyModel) -> None:
        copy = copied(models)
        assert copy_source(copy) == {"weights": "originals", "folder": "tiny"}
        taken = load_base(copy, "float32").state_dict()
        for name, tensor in weights_of(tiny).items():
            assert torch.allclose(taken[name], tensor.float(), atol=1e-6), name

    def test_the_text_model_of_one_that_also_sees(self, models: Path, tiny: TinyModel) -> None:
        seeing = {name.replace("model.", "model.language_model.", 1): tensor for name, tensor in weights_of(tiny).items()}
        embedding = seeing["model.language_model.embed_tokens.weight"]
        padded = torch.cat([embedding, torch.zeros(7, embedding.shape[1], dtype=embedding.dtype)])
        seeing |= {"model.language_model.embed_tokens.weight": padded, "vision_tower.patch.weight": torch.ones(3, 3)}
        write_folder(models / "tiny", {"text_config": tiny.model.config.to_dict()}, seeing)
        copy = copied(models)
        assert copy_source(copy)["weights"] == "originals"
        assert torch.equal(load_base(copy, "float32").get_input_embeddings().weight, embedding.float())

    def test_a_copy_is_made_once_for_each_state_of_the_folder(self, models: Path, tiny: TinyModel) -> None:
        first = copied(models)
        assert copied(models) == first
        changed = weights_of(tiny)
        changed["model.layers.0.mlp.up_proj.weight"] *= 1.001
        write_folder(models / "tiny", tiny.model.config.to_dict(), changed)
        assert copied(models) != first


class TestOthers:
    """Each of these trains on the dequantised file instead."""

    def passed_over(self, models: Path, reason: str | None = None) -> None:
        copy = copied(models)
        source = copy_source(copy)
        assert source["weights"] == "dequantised"
        assert (reason or "") in str(source["passed_over"])
        notices = " ".join(base_notices(require_trainable(models / "tiny.Q4_0.gguf"), copy))
        assert ("The folder tiny is not this model before quantisation" in notices) == bool(reason)

    def test_a_sister_model_that_was_fine_tuned(self, models: Path, tiny: TinyModel) -> None:
        tensors = weights_of(tiny)
        tensors["model.layers.1.input_layernorm.weight"] *= 1.01
        write_folder(models / "tiny", tiny.model.config.to_dict(), tensors)
        self.passed_over(models, "model.layers.1.input_layernorm.weight has other values")

    @pytest.mark.parametrize("name", ["model.embed_tokens.weight", "model.layers.1.mlp.down_proj.weight"])
    def test_other_matrices(self, models: Path, tiny: TinyModel, name: str) -> None:
        tensors = weights_of(tiny)
        tensors[name] = tensors[name].flip(0)
        write_folder(models / "tiny", tiny.model.config.to_dict(), tensors)
        self.passed_over(models, f"{name} differs by more than quantisation explains")

    def test_another_shape(self, models: Path, tiny: TinyModel) -> None:
        tensors = weights_of(tiny)
        tensors["model.layers.0.mlp.up_proj.weight"] = tensors["model.layers.0.mlp.up_proj.weight"][:-1]
        write_folder(models / "tiny", tiny.model.config.to_dict(), tensors)
        self.passed_over(models, "model.layers.0.mlp.up_proj.weight is (95, 64) and not (96, 64)")

    def test_other_figures(self, models: Path, tiny: TinyModel) -> None:
        write_folder(models / "tiny", tiny.model.config.to_dict() | {"num_hidden_layers": 3}, weights_of(tiny))
        self.passed_over(models)

    def test_a_missing_tensor(self, models: Path, tiny: TinyModel) -> None:
        tensors = weights_of(tiny)
        del tensors["model.norm.weight"]
        write_folder(models / "tiny", tiny.model.config.to_dict(), tensors)
        self.passed_over(models)

    @pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x10\0\0\0\0\0\0\0{}"])
    def test_damaged_weights(self, models: Path, content: bytes) -> None:
        (models / "tiny" / "model.safetensors").write_bytes(content)
        self.passed_over(models)

    @pytest.mark.parametrize("config", ["", "[]", "{", "[" * 100_000, '{"text_config": 3}'])
    def test_damaged_configuration(self, models: Path, config: str) -> None:
        (models / "tiny" / "config.json").write_text(config)
        self.passed_over(models)

    def test_pickles_are_not_opened(self, models: Path, tiny: TinyModel) -> None:
        (models / "tiny" / "model.safetensors").unlink()
        (models / "tiny" / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch /tmp/opened'\ntR.")
        self.passed_over(models)

    def test_a_file_that_the_index_names_outside_the_folder(self, models: Path, tiny: TinyModel) -> None:
        folder = models / "tiny"
        weights = (folder / "model.safetensors").rename(models.parent / "elsewhere.safetensors")
        index = {"weight_map": dict.fromkeys(load_file(weights), "../../elsewhere.safetensors")}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        self.passed_over(models)
