"""Models with two sets of position factors: one of them is trained, compared and served, whatever the size of the context."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from engine.domain import Message
from engine.errors import ContextOverflowError, ModelFileError, TrainingError
from engine.llm.base import GenerationParams
from engine.llm.llamacpp import LlamaCppModel
from engine.llm.llamacpp.context import ContextShape, DecodingContext, Row
from engine.llm.llamacpp.fitting import Wishes, fit, read_facts
from engine.llm.llamacpp.library import AbortSwitch, load_library
from engine.llm.llamacpp.loaded import LoadedModel
from engine.llm.llamacpp.long_rope import has_long_positions, long_rope
from engine.machine import inspect_hardware
from engine.training import worker
from engine.training.adapters.gate import Subject, run_gate
from engine.training.adapters.gguf_adapter import write_gguf_adapter
from engine.training.bases.base_model import load_base, training_copy
from engine.training.bases.model_shape import read_shape
from engine.training.config import TrainingConfig
from engine.training.datasets.examples import examples_from_pairs
from engine.training.run_folder import RunSpec, read_artifact, write_run

if TYPE_CHECKING:
    from conftest import TinyModel

ORIGINAL, TRAINED = 1024, 4096
"""What the tiny model's short and long factors are for."""
CELLS = 2048
TOKENS = np.random.default_rng(1).integers(5, 260, 48).tolist()
CHAT = [Message("user", "How much is a ticket?")]


@pytest.fixture
def tiny(make_tiny: Callable[[str], TinyModel]) -> TinyModel:
    return make_tiny("Phi 4 mini")


def decoded(gguf: Path, *, long_positions: bool) -> np.ndarray:
    """llama.cpp's logits for `TOKENS`, from a context with more cells than the original length."""
    model = LoadedModel(gguf, 0, long_positions=long_positions)
    context = DecodingContext(model, ContextShape(CELLS, 8, 64, 1), None, AbortSwitch())
    context.decode([Row(token, at, 0, True) for at, token in enumerate(TOKENS)])
    logits = np.stack([context.logits(at).copy() for at in range(len(TOKENS))])
    context.close()
    model.close()
    return logits


def expected(copy: Path, tokens: list[int] = TOKENS) -> np.ndarray:
    """Transformers' logits."""
    with torch.inference_mode():
        logits: np.ndarray = load_base(copy, "float32")(torch.tensor([tokens])).logits[0].numpy()
    return logits


class TestServed:
    @pytest.mark.parametrize("long_positions", [False, True])
    def test_a_large_context_has_the_factors_of_the_training_copy(
        self, tiny: TinyModel, training_cache: Path, monkeypatch: pytest.MonkeyPatch, long_positions: bool
    ) -> None:
        library = load_library()
        defaults = library.llama_context_default_params

        def in_full_precision() -> object:
            params = defaults()
            params.type_k = params.type_v = library.GGML_TYPE_F32
            return params

        monkeypatch.setattr(library, "llama_context_default_params", in_full_precision)
        served = decoded(tiny.gguf, long_positions=long_positions)
        right, wrong = (
            expected(training_copy(tiny.gguf, training_cache, long_positions=flag))
            for flag in (long_positions, not long_positions)
        )
        assert np.abs(served - right).max() < 5e-5 * right.std()
        assert np.abs(served - wrong).max() > right.std()

    @pytest.mark.parametrize("long_positions", [False, True])
    def test_the_runtime_answers_as_transformers_does(
        self, tiny: TinyModel, training_cache: Path, long_positions: bool
    ) -> None:
        model = LlamaCppModel(tiny.gguf, context_tokens=CELLS, max_sequences=4, threads=1, long_positions=long_positions)
        try:
            first = model.complete(CHAT, GenerationParams(max_tokens=1, temperature=0, logprobs=1)).logprobs[0]
            prompt = model.chat_prompt_tokens(CHAT)
        finally:
            model.close()
        copy = training_copy(tiny.gguf, training_cache, long_positions=long_positions)
        likely = torch.tensor(expected(copy, prompt)[-1]).log_softmax(0).max().item()
        assert first.logprob == pytest.approx(likely, abs=0.02)

    def test_conversations_end_where_the_factors_do(self, tiny: TinyModel) -> None:
        short, long = (
            LlamaCppModel(tiny.gguf, context_tokens=CELLS, max_sequences=4, threads=1, long_positions=flag)
            for flag in (False, True)
        )
        try:
            assert (short.context_length, long.context_length) == (ORIGINAL, CELLS)
            with pytest.raises(ContextOverflowError, match="holds 1024") as caught:
                short.complete(CHAT, GenerationParams(max_tokens=ORIGINAL))
            assert "NEXUS_CONTEXT_TOKENS to more than 1024" in (caught.value.hint or "")
            with pytest.raises(ContextOverflowError) as caught:
                long.complete(CHAT, GenerationParams(max_tokens=CELLS))
            assert "NEXUS" not in (caught.value.hint or "")
        finally:
            short.close()
            long.close()

    def test_stored_beginnings_of_one_set_are_not_those_of_the_other(self, tiny: TinyModel) -> None:
        models = [LoadedModel(tiny.gguf, 0, long_positions=flag) for flag in (False, True)]
        assert models[0].identity != models[1].identity
        for model in models:
            model.close()


class TestChoice:
    def test_short_unless_a_larger_context_is_asked_for(self, tiny: TinyModel) -> None:
        facts, machine = read_facts(tiny.gguf), inspect_hardware()
        plan = fit(facts, machine)
        assert not plan.long_positions
        assert "a conversation has 1024 tokens at most" in plan.context.reason
        assert [fit(facts, machine, Wishes(context_tokens=n)).long_positions for n in (ORIGINAL, ORIGINAL + 1)] == [False, True]
        assert [has_long_positions(tiny.gguf, n) for n in (None, ORIGINAL, ORIGINAL + 1)] == [False, False, True]

    def test_other_models_have_one_set(self, make_tiny: Callable[[str], TinyModel]) -> None:
        for family in ("Llama 3.1", "Qwen 2.5, YaRN", "Phi 4"):
            assert long_rope(make_tiny(family).gguf) is None
            assert not has_long_positions(make_tiny(family).gguf, 1 << 20)

    def test_examples_are_as_long_as_what_is_served(self, tiny: TinyModel) -> None:
        assert read_shape(tiny.gguf).trained_context == ORIGINAL
        assert read_shape(tiny.gguf, long_positions=True).trained_context == TRAINED

    def test_a_missing_file_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match=r"gone\.gguf"):
            has_long_positions(tmp_path / "gone.gguf", None)


def test_both_copies_share_their_weights(tiny: TinyModel, tmp_path: Path) -> None:
    short, long = (training_copy(tiny.gguf, tmp_path, long_positions=flag) for flag in (False, True))
    assert short != long
    assert (short / "model.safetensors").samefile(long / "model.safetensors")
    ropes = [json.loads((copy / "config.json").read_text())["rope_parameters"] for copy in (short, long)]
    assert ropes[1]["short_factor"] == ropes[1]["long_factor"] == ropes[0]["long_factor"] != ropes[0]["short_factor"]


class TestGate:
    def test_sees_what_is_served(self, tiny: TinyModel, training_cache: Path, tmp_path: Path) -> None:
        copy = training_copy(tiny.gguf, training_cache, long_positions=True)
        torch.manual_seed(3)
        model = get_peft_model(load_base(copy, "float32"), LoraConfig(r=4, target_modules=["qkv_proj"], task_type="CAUSAL_LM"))
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.2)
        model.save_pretrained(tmp_path / "peft", save_embedding_layers=False)
        write_gguf_adapter(tmp_path / "peft", tiny.gguf, tmp_path / "adapter.gguf")
        subject = Subject(copy, tmp_path / "peft", tiny.gguf, tmp_path / "adapter.gguf", long_positions=True)
        assert run_gate(subject).ok
        assert not run_gate(replace(subject, long_positions=False)).ok

    def test_a_fine_tune_for_long_conversations(self, tiny: TinyModel, training_cache: Path, tmp_path: Path) -> None:
        examples = examples_from_pairs([("How much is a ticket?", "Nine euros."), ("When?", "At ten.")])
        config = TrainingConfig(rank=2, max_steps=2, eval_samples=0, anchor_weight=0)
        spec = RunSpec("run", "tiny", tiny.gguf, training_cache, config, "peft", long_positions=True)
        write_run(tmp_path, spec, examples)
        worker.run(tmp_path, lambda event: None)
        card = read_artifact(tmp_path / "output").card
        assert card["base"]["long_positions"] is True
        assert card["parity"]["ok"] is True
        write_run(tmp_path, replace(spec, long_positions=False), examples)
        with pytest.raises(TrainingError, match="another set of position factors") as caught:
            worker.run(tmp_path, lambda event: None)
        assert "NEXUS_CONTEXT_TOKENS" in (caught.value.hint or "")
