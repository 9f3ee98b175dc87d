"""A look at a training: the loss of its held-out part, and what the model answers to a few questions by now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.domain import Json
from engine.training.datasets.encoding import EncodedExample
from engine.training.loop.learner import Learner
from engine.training.trainer import Samples, TrainingData

if TYPE_CHECKING:
    from peft import PeftModel

MOST_MEASURED = 128
"""Held-out examples that are measured at each look; more would tell little more and take long."""
SAMPLE_TOKENS = 32
"""Tokens of a sample answer at most."""
SAMPLE_S = 10.0
"""Seconds that all sample answers of a look may take together; what is there by then is shown."""


@dataclass(frozen=True, slots=True)
class HeldOutLoss:
    """Mean losses in nats an answer token: of all held-out examples, and of those whose answers are taught."""

    overall: float | None = None
    taught: float | None = None


class HeldOut:
    """The held-out part of one training, measured without changing the model or its random numbers."""

    def __init__(self, learner: Learner, data: TrainingData) -> None:
        """Find out which held-out examples ask in other words for answers that are taught."""
        self._model, self._loss = learner.model, learner.loss
        self._samples = data.samples
        self._items = data.held_out.items[:MOST_MEASURED]
        answers = {_answer(item) for item in data.train.items}
        self._taught = [_answer(item) in answers for item in self._items]

    def measure(self) -> HeldOutLoss:
        """The losses by now; None where there is nothing to measure."""
        import torch

        self._model.eval()
        with torch.no_grad():
            losses = [float(self._loss([item])) for item in self._items]
        self._model.train()
        taught = [at for at, known in enumerate(self._taught) if known]
        return HeldOutLoss(self._mean(losses, range(len(losses))), self._mean(losses, taught))

    def _mean(self, losses: Sequence[float], chosen: Sequence[int]) -> float | None:
        if not chosen:
            return None
        return sum(losses[at] for at in chosen) / sum(self._items[at].answer_length for at in chosen)

    def answers(self) -> list[Json]:
        """What the model answers to the sample questions, without sampling: question, expected, answer, taught."""
        if not self._samples.questions:
            return []
        self._model.eval()
        answers = generate(self._model, self._samples)
        self._model.train()
        return [
            {"question": asked.question, "expected": asked.expected, "answer": answer, "taught": asked.taught}
            for asked, answer in zip(self._samples.questions, answers, strict=True)
        ]


def generate(model: PeftModel, samples: Samples) -> list[str]:
    """Greedy answers of at most `SAMPLE_TOKENS` tokens, all in one batch and within about `SAMPLE_S` seconds."""
    import torch
    from transformers import GenerationConfig

    prompts = [asked.prompt for asked in samples.questions]
    width = max(map(len, prompts))
    tokens = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=model.device)
    ends = sorted(samples.end_tokens) or None
    settings = GenerationConfig(
        max_new_tokens=SAMPLE_TOKENS,
        max_time=SAMPLE_S,
        do_sample=False,
        eos_token_id=ends,
        pad_token_id=0 if ends is None else ends[0],
    )
    with torch.no_grad():
        made = model.generate(input_ids=tokens, attention_mask=mask, generation_config=settings)
    return [samples.text_of(_until_end(row[width:].tolist(), samples.end_tokens)).strip() for row in made]


def _until_end(tokens: Sequence[int], ends: frozenset[int]) -> Sequence[int]:
    return next((tokens[:at] for at, token in enumerate(tokens) if token in ends), tokens)


def _answer(item: EncodedExample) -> tuple[int, ...]:
    return item.tokens[item.prompt_length :]
