"""PEFT adapter → GGUF adapter → llama.cpp: the same predictions as in Transformers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from safetensors.torch import load_file, save_file

from engine.errors import AdapterError, ModelError, ModelFileError
from engine.training.adapters.gguf_adapter import write_gguf_adapter
from engine.training.adapters.parity import Logits, ServedPredictor, check_parity, trained_predictor
from engine.training.bases.base_model import load_base, require_trainable
from engine.training.bases.families import FAMILIES, deinterleave_rope_rows, interleave_rope_rows
from engine.training.config import LINEAR_LAYERS
from engine.training.datasets.encoding import EncodedExample

EXAMPLE = EncodedExample(tuple(np.random.default_rng(1).integers(3, 259, 40).tolist()), prompt_length=8)
BOUND = 0.03
"""Largest difference of a logit: llama.cpp keeps keys and values as float16. The logits' spread is about 1.6."""


def make_adapter(copy: Path, folder: Path, modules: tuple[str, ...] = LINEAR_LAYERS, **options: object) -> Path:
    """A PEFT adapter with random matrices, large enough to matter."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(3)
    settings = LoraConfig(r=4, lora_alpha=12, target_modules=list(modules), task_type="CAUSAL_LM", **options)
    model = get_peft_model(load_base(copy, "float32"), settings)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.2)
    model.save_pretrained(folder)
    return folder


def served(gguf: Path, adapter: Path | None) -> Logits:
    predictor = ServedPredictor(gguf, adapter, longest=64, threads=1)
    try:
        return predictor(EXAMPLE)
    finally:
        predictor.close()


class TestPredictions:
    @pytest.mark.parametrize("modules", [*[(name,) for name in LINEAR_LAYERS], LINEAR_LAYERS], ids="+".join)
    def test_llama_cpp_agrees_with_transformers(
        self, modules: tuple[str, ...], tiny_gguf: Path, tiny_copy: Path, tmp_path: Path
    ) -> None:
        peft = make_adapter(tiny_copy, tmp_path / "peft", modules)
        out = tmp_path / "adapter.gguf"

        write_gguf_adapter(peft, tiny_gguf, out)

        trained = trained_predictor(tiny_copy, peft)(EXAMPLE)
        assert np.abs(trained - served(tiny_gguf, out)).max() < BOUND
        assert np.abs(trained - served(tiny_gguf, None)).max() > 5 * BOUND, (
            "the adapter makes no difference: nothing was tested"
        )

    def test_rank_stabilised_scale(self, tiny_gguf: Path, tiny_copy: Path, tmp_path: Path) -> None:
        peft = make_adapter(tiny_copy, tmp_path / "peft", use_rslora=True)
        write_gguf_adapter(peft, tiny_gguf, tmp_path / "adapter.gguf")
        trained = trained_predictor(tiny_copy, peft)(EXAMPLE)
        assert np.abs(trained - served(tiny_gguf, tmp_path / "adapter.gguf")).max() < BOUND

    def test_parity_tells_a_wrong_conversion_from_a_right_one(
        self, tiny_gguf: Path, tiny_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        peft = make_adapter(tiny_copy, tmp_path / "peft")
        write_gguf_adapter(peft, tiny_gguf, tmp_path / "right.gguf")
        # The rows of q and k stay in Transformers' order.
        monkeypatch.setitem(FAMILIES, "llama", replace(FAMILIES["llama"], interleaved=False))
        write_gguf_adapter(peft, tiny_gguf, tmp_path / "wrong.gguf")
        trained = trained_predictor(tiny_copy, peft)

        right = check_parity([trained(EXAMPLE)], [served(tiny_gguf, tmp_path / "right.gguf")])
        wrong = check_parity([trained(EXAMPLE)], [served(tiny_gguf, tmp_path / "wrong.gguf")])

        assert right.ok
        assert right.mean_kl < 1e-3
        assert not wrong.ok


class TestFile:
    def test_metadata_names_and_base_shapes(self, tiny_gguf: Path, tiny_copy: Path, tmp_path: Path) -> None:
        peft = make_adapter(tiny_copy, tmp_path / "peft", ("q_proj", "down_proj"))
        write_gguf_adapter(peft, tiny_gguf, tmp_path / "adapter.gguf")
        reader = GGUFReader(tmp_path / "adapter.gguf")
        values = {key: field.contents() for key, field in reader.fields.items()}
        assert values["general.type"] == "adapter"
        assert values["general.architecture"] == "llama"
        assert values["adapter.type"] == "lora"
        assert values["adapter.lora.alpha"] == 12.0
        shapes = {tensor.name: tuple(tensor.shape) for tensor in reader.tensors}
        assert shapes["blk.1.ffn_down.weight.lora_a"] == (96, 4)
        assert shapes["blk.1.ffn_down.weight.lora_b"] == (4, 64)
        assert len(shapes) == 2 * 2 * 2

    def test_figures_of_the_base(self, tiny_gguf: Path) -> None:
        base = require_trainable(tiny_gguf)
        assert (base.architecture, base.layers, base.head_width) == ("llama", 2, 16)
        assert base.shape("blk.0.attn_k.weight") == (32, 64)

    def test_rope_rows_of_each_head_alternate_between_its_halves(self) -> None:
        rows = np.arange(8, dtype=np.float32).reshape(8, 1)
        assert interleave_rope_rows(rows, heads=2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
        assert deinterleave_rope_rows(interleave_rope_rows(rows, heads=2), heads=2).ravel().tolist() == list(range(8))


class TestRefusals:
    @pytest.fixture
    def peft(self, tiny_copy: Path, tmp_path: Path) -> Path:
        return make_adapter(tiny_copy, tmp_path / "peft", ("q_proj",))

    def refuse(self, peft: Path, base: Path, message: str, error: type[ModelError] = AdapterError) -> None:
        out = peft.parent / "adapter.gguf"
        with pytest.raises(error, match=message):
            write_gguf_adapter(peft, base, out)
        assert list(out.parent.glob("adapter.gguf*")) == []

    def test_matrix_of_another_shape(self, peft: Path, tiny_gguf: Path) -> None:
        file = peft / "adapter_model.safetensors"
        tensors = {name: (t[:-2] if "lora_B" in name else t) for name, t in load_file(file).items()}
        save_file({name: t.contiguous() for name, t in tensors.items()}, file)
        self.refuse(peft, tiny_gguf, "but the base's matrix is")

    def test_module_that_the_base_lacks(self, peft: Path, tiny_gguf: Path) -> None:
        file = peft / "adapter_model.safetensors"
        save_file({name.replace("layers.1", "layers.7"): t for name, t in load_file(file).items()}, file)
        self.refuse(peft, tiny_gguf, "no matrix for")

    def test_one_matrix_of_a_pair_missing(self, peft: Path, tiny_gguf: Path) -> None:
        file = peft / "adapter_model.safetensors"
        save_file({name: t for name, t in load_file(file).items() if "0.self_attn.q_proj.lora_A" not in name}, file)
        self.refuse(peft, tiny_gguf, "only one of the two matrices")

    def test_something_else_than_lora_matrices(self, peft: Path, tiny_gguf: Path) -> None:
        file = peft / "adapter_model.safetensors"
        save_file(load_file(file) | {"base_model.model.lm_head.weight": torch.zeros(2, 2)}, file)
        self.refuse(peft, tiny_gguf, "not a LoRA matrix")

    @pytest.mark.parametrize(
        "change",
        [
            {"use_dora": True},
            {"modules_to_save": ["lm_head"]},
            {"alpha_pattern": {"q": 3}},
            {"use_rslora": True, "rank_pattern": {"q": 3}},
        ],
    )
    def test_settings_that_gguf_cannot_express(self, peft: Path, tiny_gguf: Path, change: dict[str, object]) -> None:
        file = peft / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | change))
        self.refuse(peft, tiny_gguf, f"`{next(iter(change))}`")

    @pytest.mark.parametrize("start", ["pissa", "pissa_niter_16", "olora", "loftq"])
    def test_training_that_changed_the_base(self, peft: Path, tiny_gguf: Path, start: str) -> None:
        file = peft / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"init_lora_weights": start}))
        self.refuse(peft, tiny_gguf, "changes the base's weights")

    def test_values_that_are_no_numbers(self, peft: Path, tiny_gguf: Path) -> None:
        file = peft / "adapter_model.safetensors"
        save_file({name: t.fill_(float("nan")) if "lora_B" in name else t for name, t in load_file(file).items()}, file)
        self.refuse(peft, tiny_gguf, "no numbers")

    @pytest.mark.parametrize("content", [b"", b"not safetensors at all", b"\xff" * 64])
    def test_damaged_adapter_file(self, peft: Path, tiny_gguf: Path, content: bytes) -> None:
        (peft / "adapter_model.safetensors").write_bytes(content)
        self.refuse(peft, tiny_gguf, "holds no readable adapter")

    def test_base_of_an_unknown_architecture(self, peft: Path, tmp_path: Path) -> None:
        from gguf import GGUFWriter

        writer = GGUFWriter(tmp_path / "odd.gguf", "rwkv7")
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        self.refuse(peft, tmp_path / "odd.gguf", "rwkv7", ModelFileError)

    def test_base_that_is_no_gguf(self, peft: Path, tmp_path: Path) -> None:
        (tmp_path / "base.gguf").write_bytes(b"GGUF but no more")
        self.refuse(peft, tmp_path / "base.gguf", r"base\.gguf", ModelFileError)
