"""The parts of the fine-tuning benchmark: facts that can be asked for, and two sides that do the same."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.domain import Json
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExamples, open_encoder
from engine.training.datasets.examples import examples_from_pairs
from engine.training.strategies.peft_trainer import PeftTrainer
from engine.training.trainer import TrainingData, TrainingPaths
from scripts.finetune_bench import plain, workload
from scripts.finetune_bench.knowledge import says

CONFIG = TrainingConfig(rank=4, alpha=8, batch_size=4, gradient_accumulation=2, max_steps=4, learning_rate=1e-2, eval_samples=0)


class TestFacts:
    def test_each_answer_says_its_key_and_no_question_is_asked_twice(self) -> None:
        facts = workload.facts()
        questions = [question for fact in facts for question in (fact.question, *fact.paraphrases)]
        assert len(facts) == 30
        assert all(says(fact.answer, fact.key) and len(fact.paraphrases) >= 3 for fact in facts)
        assert len({question.casefold() for question in questions}) == len(questions)

    @pytest.mark.parametrize(
        ("answer", "key", "right"),
        [
            ("It costs 85 euros.", "85", True),
            ("It is 85.", "85", True),
            ("It costs 185 euros.", "85", False),
            ("It costs 85.50 euros.", "85", False),
            ("It costs 850 euros.", "85", False),
            ("Ask Odette Farrow!", "odette farrow", True),
            ("Fourteen years.", "four", False),
        ],
    )
    def test_a_key_is_a_whole_word_or_number(self, answer: str, key: str, right: bool) -> None:
        assert says(answer, key) is right


def test_the_loss_curve_is_that_of_transformers_trainer(tiny_gguf: Path, tiny_copy: Path, tmp_path: Path) -> None:
    pairs = [(f"What is item {number}?", f"It is number {number * 7}." * (1 + number % 3)) for number in range(16)]
    with open_encoder(tiny_gguf) as encoder:
        items = encoder.encode(examples_from_pairs(pairs), 512).items
    ours: list[float] = []

    def progress(event: Mapping[str, Json]) -> None:
        if event["event"] == "progress":
            ours.append(float(str(event["loss"])))

    paths = TrainingPaths(tiny_copy, tmp_path)
    PeftTrainer().train(TrainingData(EncodedExamples(items), EncodedExamples()), CONFIG, paths, progress)
    theirs = plain.train(tiny_copy, items, CONFIG, bf16=False)
    assert theirs.losses == pytest.approx(ours, rel=1e-3)
    assert ours[-1] < ours[0]
