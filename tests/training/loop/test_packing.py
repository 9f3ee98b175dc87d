"""Rows that several examples share, and the layers and the loss that compute in fewer passes: the same as the plain way."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import Gemma2Config, Gemma2ForCausalLM, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from engine.training.bases.model_shape import shape_of
from engine.training.config import LINEAR_LAYERS, TrainingConfig
from engine.training.datasets.encoding import EncodedExample
from engine.training.loop.packing import in_pieces, in_rows, pack
from engine.training.loop.row_attention import use_row_attention
from engine.training.planning.estimate import activations
from engine.training.planning.workload import Pass
from engine.training.strategies import lora_model
from engine.training.strategies.fused_layers import fuse

SHAPE = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}

tokens = st.lists(st.integers(0, 59), min_size=1, max_size=12)


@st.composite
def batches(draw: st.DrawFn) -> list[EncodedExample]:
    """Examples with a beginning in common, which may be empty."""
    beginning = draw(st.lists(st.integers(0, 59), max_size=6))
    parts = draw(st.lists(st.tuples(tokens, tokens), min_size=1, max_size=6))
    return [EncodedExample((*beginning, *prompt, *answer), len(beginning) + len(prompt)) for prompt, answer in parts]


def adapted(family: str, *, dropout: float = 0.0, targets: tuple[str, ...] = LINEAR_LAYERS) -> PeftModel:
    torch.manual_seed(0)
    base = {
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, attention_bias=True)),
        "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**SHAPE)),
        "mistral": lambda: MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=9)),
    }[family]()
    model = get_peft_model(base, LoraConfig(r=3, lora_alpha=6, lora_dropout=dropout, target_modules=list(targets)))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)  # else nothing would flow to A
    return model.train()


def plain_loss(model: PeftModel, batch: list[EncodedExample]) -> torch.Tensor:
    """Each example by itself, through Transformers' own labels."""
    total = torch.zeros(())
    for item in batch:
        labels = torch.tensor([[-100] * item.prompt_length + list(item.tokens[item.prompt_length :])])
        total = total + model(input_ids=torch.tensor([item.tokens]), labels=labels).loss * item.answer_length
    return total


def gradients(model: PeftModel, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    torch.autograd.backward(loss)
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.fixture(scope="module", params=["llama", "gemma2", "mistral"])
def models(request: pytest.FixtureRequest) -> tuple[PeftModel, PeftModel]:
    """The same model twice: with PEFT's layers, and with ours."""
    plain, ours = adapted(request.param), adapted(request.param)
    assert fuse(ours) == 14
    assert use_row_attention(ours.get_base_model())
    return plain, ours


class TestLayout:
    @given(batch=batches(), row_tokens=st.sampled_from([0, 16, 40, 512]))
    def test_every_answer_token_is_predicted_by_the_token_before_it(self, batch: list[EncodedExample], row_tokens: int) -> None:
        packed = pack(batch, row_tokens)
        flat, width = packed.tokens.flatten().tolist(), packed.tokens.shape[1]
        targets = [token for item in batch for token in item.tokens[item.prompt_length :]]
        before = [token for item in batch for token in item.tokens[item.prompt_length - 1 : -1]]
        assert packed.targets.tolist() == targets
        assert [flat[index] for index in packed.predicting.tolist()] == before
        if packed.visible is None or packed.positions is None:
            assert len(packed.tokens) == len(batch)
            return
        index = 0
        for item in batch:
            for at in range(item.prompt_length - 1, len(item.tokens) - 1):
                row, column = divmod(int(packed.predicting[index]), width)
                seen = packed.visible[row, 0, column].nonzero().flatten()
                order = packed.positions[row][seen].argsort()
                assert packed.tokens[row][seen][order].tolist() == list(item.tokens[: at + 1])
                assert packed.positions[row][seen][order].tolist() == list(range(at + 1))
                index += 1

    def test_the_beginning_is_computed_once_for_each_row(self) -> None:
        beginning = tuple(range(30))
        batch = [EncodedExample((*beginning, 40 + n, 50), 31) for n in range(8)]
        assert pack(batch).tokens.shape == (1, 30 + 8 * 2)
        assert pack(batch, 38).tokens.shape == (2, 30 + 4 * 2)
        assert pack(batch, 0).tokens.shape == (8, 32)

    def test_a_row_of_short_examples_is_seen_part_by_part(self) -> None:
        batch = [EncodedExample((1, 2, 3, *range(10 + n, 16 + 2 * n)), 5) for n in range(6)]
        beginning, blocks, alone = pack(batch, 512, range(20, 30)).parts
        assert beginning.tokens.tolist() == [0, 1, 2]
        assert sorted(blocks.tokens.tolist()) == list(range(3, 54))
        assert alone.tokens.tolist() == list(range(54, 64))
        assert not pack([EncodedExample(tuple(range(200)), 100)] * 2, 512).parts

    @given(batch=batches(), beside=st.integers(0, 30))
    def test_pieces_hold_each_example_once_and_are_about_even(self, batch: list[EncodedExample], beside: int) -> None:
        first, last = in_pieces(batch, beside)
        assert sorted(item.tokens for item in first + last) == sorted(item.tokens for item in batch)
        if first:
            more, less = (sum(len(item.tokens) for item in piece) for piece in (first, last))
            assert max(more, less + beside) <= 0.6 * (more + less + beside) + 6

    def test_an_example_that_fills_a_row_needs_no_mask(self) -> None:
        packed = pack([EncodedExample(tuple(range(20)), 10), EncodedExample(tuple(range(30, 49)), 10)], 16)
        assert packed.visible is None
        assert packed.tokens.shape == (2, 20)


class TestSameAsThePlainWay:
    @settings(max_examples=8)
    @given(batch=batches(), row_tokens=st.sampled_from([0, 24, 512]))
    def test_loss_and_gradients(
        self, models: tuple[PeftModel, PeftModel], batch: list[EncodedExample], row_tokens: int
    ) -> None:
        plain, ours = models
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lora_model, "ROW_TOKENS", row_tokens)
            expected, found = plain_loss(plain, batch), lora_model.answer_loss(ours, batch)
        assert found.item() == pytest.approx(expected.item(), rel=1e-5)
        theirs, mine = gradients(plain, expected), gradients(ours, found)
        assert mine.keys() == theirs.keys()
        for name, gradient in theirs.items():
            assert torch.allclose(mine[name], gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max()) + 1e-6), name

    @pytest.mark.parametrize("shared", [0, 5])
    def test_a_row_seen_part_by_part(self, models: tuple[PeftModel, PeftModel], shared: int) -> None:
        batch = [EncodedExample((*range(shared), *range(20 + n, 32 + 2 * n)), shared + 3) for n in range(6)]
        assert pack(batch).parts
        plain, ours = models
        expected, found = plain_loss(plain, batch), lora_model.answer_loss(ours, batch)
        assert found.item() == pytest.approx(expected.item(), rel=1e-5)
        theirs, mine = gradients(plain, expected), gradients(ours, found)
        for name, gradient in theirs.items():
            assert torch.allclose(mine[name], gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max()) + 1e-6), name

    def test_rows_one_after_the_other(self, models: tuple[PeftModel, PeftModel]) -> None:
        batch = [EncodedExample((1, 2, 3, *range(number, number + 9)), 7) for number in range(10)]
        rows = in_rows(batch, row_tokens=24)
        assert sorted(item.tokens for row in rows for item in row) == sorted(item.tokens for item in batch)
        assert len(rows) == 5
        assert max(len(row) for row in in_rows(batch, at_once=1, row_tokens=24)) == 1
        expected = gradients(models[0], plain_loss(models[0], batch))
        models[1].zero_grad()
        for row in rows:
            torch.autograd.backward(lora_model.answer_loss(models[1], row))
        for name, weight in models[1].named_parameters():
            if weight.grad is not None:
                assert torch.allclose(weight.grad, expected[name], rtol=1e-3, atol=1e-4), name

    def test_loss_of_more_answers_than_are_held_at_once(self, models: tuple[PeftModel, PeftModel]) -> None:
        random = torch.Generator().manual_seed(1)
        batch = [EncodedExample(tuple(torch.randint(60, (90,), generator=random).tolist()), 5) for _ in range(4)]
        expected, found = plain_loss(models[0], batch), lora_model.answer_loss(models[1], batch)
        assert found.item() == pytest.approx(expected.item(), rel=1e-5)

    def test_a_model_that_predicts_with_certainty_gives_no_nan(self) -> None:
        model = adapted("llama")
        with torch.no_grad():
            model.get_base_model().lm_head.weight.mul_(1e4)
        batch = [EncodedExample((1, 2, 3, 4), 2)]
        assert math.isfinite(lora_model.answer_loss(model, batch).item())

    def test_the_output_layer_may_be_trained_as_well(self) -> None:
        plain, ours = (adapted("llama", targets=(*LINEAR_LAYERS, "lm_head")) for _ in range(2))
        fuse(ours)
        batch = [EncodedExample((1, 2, 3, 4, 5), 2), EncodedExample((1, 2, 7, 8), 3)]
        theirs = gradients(plain, plain_loss(plain, batch))
        mine = gradients(ours, lora_model.answer_loss(ours, batch))
        assert sum("lm_head" in name for name in mine) == 2
        assert all(torch.allclose(mine[name], gradient, rtol=1e-3, atol=1e-5) for name, gradient in theirs.items())

    def test_layers_with_dropout_stay_pefts(self) -> None:
        assert fuse(adapted("llama", dropout=0.1)) == 0

    def test_matrices_stay_in_float32_over_a_bfloat16_base(self) -> None:
        plain, ours = adapted("llama").to(torch.bfloat16), adapted("llama").to(torch.bfloat16)
        for model in (plain, ours):
            for weight in model.parameters():
                if weight.requires_grad:
                    weight.data = weight.data.float()
        fuse(ours)
        batch = [EncodedExample((1, 2, 3, 4, 5), 2), EncodedExample((1, 2, 7, 8), 3)]
        theirs = gradients(plain, plain_loss(plain, batch))
        mine = gradients(ours, lora_model.answer_loss(ours, batch))
        for name, gradient in theirs.items():
            assert mine[name].dtype == torch.float32
            assert torch.allclose(mine[name], gradient, rtol=0.1, atol=0.1 * float(gradient.abs().max())), name


class TestMemory:
    def test_activations_are_computed_again_where_they_do_not_fit(self) -> None:
        kept, recomputed = adapted("llama"), adapted("llama")
        for model in (kept, recomputed):
            fuse(model)
        config = TrainingConfig(dtype="float32")
        need = activations(shape_of(kept.get_base_model()), config, Pass(1, 512, 512, shared=True))
        assert not lora_model.recompute_if_short(kept, config, 512, need)
        assert lora_model.recompute_if_short(recomputed, config, 512, need - 1)
        batch = [EncodedExample((1, 2, 3, 4, 5), 2), EncodedExample((1, 2, 7, 8), 3)]
        held = [_held(model, batch) for model in (kept, recomputed)]
        assert held[1] < held[0] / 2
        expected = gradients(kept, lora_model.answer_loss(kept, batch))
        found = gradients(recomputed, lora_model.answer_loss(recomputed, batch))
        assert all(torch.equal(found[name], gradient) for name, gradient in expected.items())


def _held(model: PeftModel, batch: list[EncodedExample]) -> int:
    """Numbers that autograd keeps between the passes, weights aside."""
    weights = {weight.data_ptr() for weight in model.parameters()}
    found: dict[int, int] = {}

    def pack_hook(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in weights:
            found[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack_hook, lambda tensor: tensor):
        lora_model.answer_loss(model, batch)
    return sum(found.values())
