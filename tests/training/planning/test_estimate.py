"""The formula for what a training takes, beside what autograd and a real training take."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model

from engine.training.bases.model_shape import Linear, ModelShape
from engine.training.config import LINEAR_LAYERS, TrainingConfig
from engine.training.datasets.encoding import EncodedExample
from engine.training.loop.packing import pack, packed_shape
from engine.training.planning.estimate import kept_for_a_token
from engine.training.planning.workload import Workload
from engine.training.strategies import lora_model
from engine.training.strategies.fused_layers import fuse

WIDTH, FEED_FORWARD, HEADS, KV_HEADS, HEAD_WIDTH, LAYERS = 192, 448, 12, 4, 20, 2
FUSED = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
ATTENTION_ONLY = ("q_proj", "v_proj")
SHORT = [EncodedExample(tuple(range(1, 33)), 20)] * 4
LONG = [EncodedExample(tuple(range(1, 41)), 30)]


def shape_of(family: str) -> ModelShape:
    """The sizes of the models that `adapted` makes."""
    query, key = HEADS * HEAD_WIDTH, KV_HEADS * HEAD_WIDTH
    block = [
        *([("qkv_proj", query + 2 * key, WIDTH)] if family == "phi3" else []),
        *([] if family == "phi3" else [("q_proj", query, WIDTH), ("k_proj", key, WIDTH), ("v_proj", key, WIDTH)]),
        ("o_proj", WIDTH, query),
        *([("gate_up_proj", 2 * FEED_FORWARD, WIDTH)] if family == "phi3" else []),
        *([] if family == "phi3" else [("gate_proj", FEED_FORWARD, WIDTH), ("up_proj", FEED_FORWARD, WIDTH)]),
        ("down_proj", WIDTH, FEED_FORWARD),
    ]
    return ModelShape(
        architecture=family,
        layers=LAYERS,
        hidden=WIDTH,
        feed_forward=FEED_FORWARD,
        heads=HEADS,
        kv_heads=KV_HEADS,
        head_width=HEAD_WIDTH,
        vocabulary=60,
        parameters=0,
        trained_context=512,
        norms=4 if family.startswith("gemma") else 2,
        head_norms=family in ("qwen3", "gemma3"),
        holds_scores=family == "gemma2",
        linears=tuple(Linear(*part) for part in block) * LAYERS,
    )


def adapted(family: str, dtype: str, targets: Sequence[str], dropout: float) -> PeftModel:
    """A small model of a family with LoRA matrices, as `lora_model` makes it."""
    import transformers as t

    sizes = {"vocab_size": 60, "hidden_size": WIDTH, "intermediate_size": FEED_FORWARD, "num_hidden_layers": LAYERS}
    heads = {"num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD_WIDTH}
    config, model = {
        "llama": (t.LlamaConfig, t.LlamaForCausalLM),
        "qwen3": (t.Qwen3Config, t.Qwen3ForCausalLM),
        "gemma2": (t.Gemma2Config, t.Gemma2ForCausalLM),
        "gemma3": (t.Gemma3TextConfig, t.Gemma3ForCausalLM),
        "phi3": (t.Phi3Config, t.Phi3ForCausalLM),
    }[family]
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    how = {"attn_implementation": "eager"} if family == "gemma2" else {}
    base = model(config(**sizes, **heads, **special, **how)).to(getattr(torch, dtype))
    lora = LoraConfig(r=4, lora_alpha=8, lora_dropout=dropout, target_modules=list(targets))
    tuned: PeftModel = get_peft_model(base, lora)
    fuse(tuned)
    return tuned.train()


def kept_by_autograd(model: PeftModel, batch: Sequence[EncodedExample]) -> int:
    """Bytes of all tensors that wait for the backward pass, weights left out, each memory counted once."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        lora_model.answer_loss(model, batch)
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in weights)


class TestActivations:
    @pytest.mark.parametrize(
        ("family", "dtype", "targets", "dropout", "batch"),
        [
            ("llama", "float32", LINEAR_LAYERS, 0.0, SHORT),
            ("llama", "float32", LINEAR_LAYERS, 0.0, LONG),
            ("llama", "float32", LINEAR_LAYERS, 0.1, SHORT),
            ("llama", "bfloat16", LINEAR_LAYERS, 0.0, SHORT),
            ("llama", "bfloat16", ATTENTION_ONLY, 0.0, SHORT),
            ("qwen3", "float32", LINEAR_LAYERS, 0.0, SHORT),
            ("gemma2", "float32", LINEAR_LAYERS, 0.0, SHORT),
            ("gemma3", "bfloat16", LINEAR_LAYERS, 0.0, SHORT),
            ("phi3", "float32", FUSED, 0.0, SHORT),
        ],
    )
    def test_the_formula_is_within_a_tenth_of_what_autograd_keeps(
        self, family: str, dtype: str, targets: tuple[str, ...], dropout: float, batch: list[EncodedExample]
    ) -> None:
        config = TrainingConfig(rank=4, dtype=dtype, target_modules=targets, dropout=dropout, batch_size=len(batch))
        heaviest = Workload(tuple(batch), len(batch)).heaviest(config)
        predicted = heaviest.tokens * LAYERS * kept_for_a_token(shape_of(family), config, heaviest)
        kept = kept_by_autograd(adapted(family, dtype, targets, dropout), batch)
        assert predicted == pytest.approx(kept, rel=0.1)


examples = st.builds(
    lambda beginning, prompt, answer: EncodedExample((*range(beginning), *[9] * prompt, *[7] * answer), beginning + prompt),
    st.integers(0, 40),
    st.integers(1, 300),
    st.integers(1, 300),
)


class TestWorkload:
    @given(st.lists(examples, min_size=1, max_size=6))
    def test_the_size_of_a_packed_batch_is_known_without_packing_it(self, batch: list[EncodedExample]) -> None:
        assert packed_shape(batch) == tuple(pack(batch).tokens.shape)

    @given(st.lists(examples, min_size=1, max_size=12), st.integers(1, 5), st.integers(16, 400))
    def test_cutting_never_adds_work(self, items: list[EncodedExample], batch_size: int, limit: int) -> None:
        config = TrainingConfig(batch_size=batch_size)
        whole = Workload(tuple(items), len(items))
        cut = whole.cut(limit)
        assert cut.longest <= limit
        assert cut.tokens(config) <= whole.tokens(config) or batch_size > 1
        assert cut.steps(config) <= whole.steps(config)
        assert whole.heaviest(config).tokens >= whole.longest

    def test_a_sample_stands_for_all(self) -> None:
        config = TrainingConfig(batch_size=2, epochs=3)
        items = tuple(EncodedExample(tuple(range(length)), 5) for length in range(10, 40))
        all_of_them, ten_times = Workload(items, 30), Workload(items, 300)
        assert ten_times.steps(config) == 10 * all_of_them.steps(config)
        assert ten_times.tokens(config) == pytest.approx(10 * all_of_them.tokens(config), rel=0.01)

    def test_nothing_that_fits_is_no_work(self) -> None:
        nothing = Workload((EncodedExample((1, 2, 3), 2),), 1).cut(1)
        assert (nothing.examples, nothing.steps(TrainingConfig()), nothing.tokens(TrainingConfig())) == (0, 0, 0)
