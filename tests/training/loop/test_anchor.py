"""What keeps a model from forgetting, on tiny models made here."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import Gemma2Config, Gemma2ForCausalLM, LlamaConfig, LlamaForCausalLM

from engine.training.datasets.encoding import EncodedExample
from engine.training.datasets.general_text import GENERAL_TEXT
from engine.training.loop.anchor import Anchor
from engine.training.loop.packing import ANCHOR_WINDOW
from engine.training.loop.pieces import Backward, PiecewiseLoss
from engine.training.loop.row_attention import use_row_attention
from engine.training.strategies.fused_layers import fuse
from engine.training.strategies.lora_model import answer_loss, training_loss

SHAPE = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "initializer_range": 0.3,
}
BATCH = [EncodedExample((1, 2, 3, 4, 5), 2), EncodedExample((1, 2, 7, 8), 3)]
LIKE = [EncodedExample((1, 2, *range(number, number + 20)), 8) for number in range(10)]


@contextmanager
def threads_of(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fresh(family: str = "llama") -> PeftModel:
    torch.manual_seed(0)
    base = LlamaForCausalLM(LlamaConfig(**SHAPE)) if family == "llama" else Gemma2ForCausalLM(Gemma2Config(**SHAPE))
    model = get_peft_model(base, LoraConfig(r=3, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj"]))
    fuse(model)
    return model.train()


def changed(model: PeftModel) -> None:
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)


@pytest.fixture(scope="module")
def text() -> list[int]:
    return torch.randint(60, (ANCHOR_WINDOW + 9,), generator=torch.Generator().manual_seed(2)).tolist()


class TestDivergence:
    @pytest.mark.parametrize("family", ["llama", "gemma2"])
    def test_is_nothing_at_first_and_then_that_of_the_definition(self, family: str, text: list[int]) -> None:
        model = fresh(family)
        anchor = Anchor(model.get_base_model(), text, judged=ANCHOR_WINDOW)
        assert anchor.divergence().item() == pytest.approx(0, abs=1e-6)
        window = torch.tensor([text[:ANCHOR_WINDOW]])
        with torch.no_grad():
            before = model(input_ids=window).logits[0].log_softmax(1)
        changed(model)
        found = anchor.divergence()
        torch.autograd.backward(found)
        mine = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
        model.zero_grad()
        now = model(input_ids=window).logits[0].log_softmax(1)
        expected = torch.nn.functional.kl_div(now, before, log_target=True, reduction="sum") / ANCHOR_WINDOW
        torch.autograd.backward(expected)
        assert found.item() == pytest.approx(expected.item(), rel=1e-4)
        for name, weight in model.named_parameters():
            if weight.grad is not None:
                assert torch.allclose(mine[name], weight.grad, rtol=1e-3, atol=1e-5), name

    def test_some_tokens_give_in_the_mean_what_all_give(self, text: list[int]) -> None:
        model = fresh()
        some, each = (Anchor(model.get_base_model(), text, judged=judged) for judged in (16, ANCHOR_WINDOW))
        changed(model)
        with torch.no_grad():
            found = [some.divergence().item() for _ in range(100)]
            expected = each.divergence().item()
        assert sum(found) / len(found) == pytest.approx(expected, rel=0.1)
        assert len(set(found)) > 90


class TestTrainingLoss:
    @pytest.mark.parametrize("family", ["llama", "gemma2"])
    @pytest.mark.parametrize("batch", [BATCH, BATCH[:1], LIKE], ids=["two", "one", "alike"])
    def test_text_beside_the_examples_is_as_if_it_were_computed_by_itself(
        self, family: str, batch: list[EncodedExample], text: list[int]
    ) -> None:
        model = fresh(family)
        use_row_attention(model.get_base_model())
        beside = training_loss(model, text, 1.0)
        apart = training_loss(model, text, 1.0, lambda model, batch: answer_loss(model, batch))
        changed(model)
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        found: list[list[torch.Tensor]] = []
        for loss, threads in ((apart, 1), (beside, 1), (beside, 2)):
            torch.manual_seed(3)
            model.zero_grad()
            with threads_of(threads):
                value = Backward(loss, weights).add(batch, 2.0)
            assert value == pytest.approx(answer_loss(model, batch).item() / 2, rel=1e-5)
            found.append([weight.grad.clone() for weight in weights])
        for other in found[1:]:
            for mine, theirs in zip(other, found[0], strict=True):
                assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()) + 1e-6)

    def test_pieces_that_are_computed_at_once_give_the_same_each_time(self, text: list[int]) -> None:
        model = fresh()
        loss = training_loss(model, text, 1.0)
        changed(model)
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        found = []
        for _ in range(3):
            torch.manual_seed(3)
            model.zero_grad()
            with threads_of(2):
                backward = Backward(loss, weights)
                value = [backward.add(LIKE, 2.0) for _ in range(3)]
            found.append((value, torch.cat([weight.grad.flatten() for weight in weights])))
        assert all(value == found[0][0] and torch.equal(gradient, found[0][1]) for value, gradient in found)

    def test_what_a_piece_raises_arrives(self) -> None:
        def fail() -> torch.Tensor:
            raise MemoryError("no more")

        weight = torch.nn.Parameter(torch.ones(()))
        loss = PiecewiseLoss(lambda batch, *, apart: [lambda: weight * 2, fail])
        with threads_of(2), pytest.raises(MemoryError, match="no more"):
            Backward(loss, [weight]).add(BATCH, 1.0)
        assert weight.grad is None

    def test_its_value_is_that_of_the_answers_and_its_gradient_is_not(self, text: list[int]) -> None:
        model = fresh()
        loss = training_loss(model, text, 1.0)
        changed(model)
        gradients = []
        for function in (loss, lambda batch: answer_loss(model, batch)):
            model.zero_grad()
            value = function(BATCH)
            torch.autograd.backward(value)
            assert value.item() == pytest.approx(answer_loss(model, BATCH).item(), rel=1e-5)
            gradients.append(torch.cat([w.grad.flatten() for w in model.parameters() if w.grad is not None]))
        assert not torch.allclose(gradients[0], gradients[1], rtol=0.1)

    def test_a_model_that_is_held_forgets_less_and_learns_all_the_same(self, text: list[int]) -> None:
        outcomes = []
        for weight in (0.0, 1.0):
            model = fresh()
            judge = Anchor(model.get_base_model(), text)
            loss = training_loss(model, text, weight)
            optimiser = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=2e-2)
            for _ in range(60):
                optimiser.zero_grad()
                torch.autograd.backward(loss(BATCH) / 4)
                optimiser.step()
            outcomes.append((loss(BATCH).item() / 4, judge.divergence().item()))
        (free_loss, free_divergence), (held_loss, held_divergence) = outcomes
        assert held_divergence < 0.5 * free_divergence
        assert free_loss < 0.5
        assert held_loss < 0.5

    def test_nothing_is_drawn_where_only_the_loss_is_asked_for(self, text: list[int]) -> None:
        model = fresh()
        loss = training_loss(model, text, 1.0)
        before = torch.get_rng_state()
        with torch.no_grad():
            loss(BATCH)
        assert torch.equal(torch.get_rng_state(), before)

    @pytest.mark.parametrize("general", [(), (1, 2, 3)])
    def test_too_little_text_is_no_text(self, general: tuple[int, ...]) -> None:
        model = fresh()
        assert training_loss(model, general, 1.0)(BATCH).item() == pytest.approx(answer_loss(model, BATCH).item())


def test_the_text_is_not_what_forgetting_is_measured_on() -> None:
    samples = Path(__file__).resolve().parents[3] / "data" / "samples"
    words = GENERAL_TEXT.split()
    assert len(words) > 800
    for sample in (*samples.glob("*.md"), *samples.glob("*.html")):
        held_out = " ".join(sample.read_text("utf-8").split())
        assert not any(" ".join(words[at : at + 6]) in held_out for at in range(len(words) - 6))
