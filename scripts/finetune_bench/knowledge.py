"""What a model knows after a fine-tune: facts asked as they were taught and in words that were not, and English in general.

The whole way that a person's fine-tune takes: the child process, the GGUF adapter, the local runtime.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.cancellation import CancelToken
from engine.config import PROJECT_ROOT
from engine.domain import Json, Message
from engine.embedding.registry import create_embedder
from engine.llm.base import GenerationParams, Request
from engine.llm.llamacpp import LlamaCppModel
from engine.llm.llamacpp.tokens import Vocabulary
from engine.requests import DataOptions
from engine.training.adapters.parity import ServedPredictor
from engine.training.config import PRESETS, TrainingConfig
from engine.training.datasets import augmentation
from engine.training.datasets.augmentation import reworded
from engine.training.datasets.encoding import EncodedExample
from engine.training.datasets.examples import TrainingExample, examples_from_pairs
from engine.training.finetune import FinetuneSpec, finetune
from scripts.finetune_bench import workload
from scripts.finetune_bench.workload import Fact

_ANSWER_TOKENS = 48
_WINDOW = 256
"""Tokens of general text that are predicted from one another."""


WORDINGS = DataOptions().paraphrases
"""Other wordings of each question that a person's fine-tune has if nothing else is said."""


def measure(
    model: Path, config: TrainingConfig, folder: Path, wordings: int = WORDINGS, name: str = workload.FACT_SETS[0]
) -> dict[str, Json]:
    """Teach a set of facts, ask for them, and measure the perplexity of general text before and after.

    Args:
        model: the base.
        config: how to teach.
        folder: for everything that is made.
        wordings: other wordings by rules, at most, that each question is taught in; none that is asked later.
        name: of the set.
    """
    facts = workload.facts(name)
    examples = taught(facts, wordings)
    started = time.monotonic()
    artifact = finetune(
        FinetuneSpec(name, model, examples, config, id=name),
        runs_dir=folder / "runs",
        cache_dir=folder / "cache",
        adapters_dir=folder / "adapters",
        on_event=lambda event: None,
        cancel=CancelToken(),
    )
    seconds = time.monotonic() - started
    found = ask(model, artifact.gguf_path, facts)
    before, after = (perplexity(model, adapter) for adapter in (None, artifact.gguf_path))
    found |= {
        "perplexity_before": before,
        "perplexity_after": after,
        "perplexity_change": after / before - 1,
        "steps": artifact.card["evaluation"]["steps"],  # type: ignore[call-overload,index]  # a card is plain data
        "examples": len(examples),
        "seconds": seconds,
        "parity": artifact.card["parity"],
    }
    print(json.dumps({key: value for key, value in found.items() if key != "wrong"}))
    return found


def taught(facts: Sequence[Fact], wordings: int) -> tuple[TrainingExample, ...]:
    """The facts as they were written, and in other wordings."""
    examples = examples_from_pairs([(fact.question, fact.answer) for fact in facts])
    if not wordings:
        return examples
    embedder = create_embedder("all-MiniLM-L6-v2", PROJECT_ROOT / "models")
    asked = {_plain(question) for fact in facts for question in fact.paraphrases}
    made = reworded([augmentation.Fact(example, is_english=True) for example in examples], wordings, embedder)
    return (*examples, *(example for example in made if _plain(example.question) not in asked))


def _plain(question: str) -> str:
    return " ".join(re.findall(r"\w+", question.lower()))


def ask(model: Path, adapter: Path | None, facts: Sequence[Fact]) -> dict[str, Json]:
    """The shares of taught and of unseen questions that are answered with their key fact, greedily."""
    taught = [(fact.question, fact.key) for fact in facts]
    unseen = [(question, fact.key) for fact in facts for question in fact.paraphrases]
    served = LlamaCppModel(model, context_tokens=2048, max_sequences=8)
    try:
        answers = _answers(served, [question for question, _ in [*taught, *unseen]], adapter)
    finally:
        served.close()
    right = [says(answer, key) for answer, (_, key) in zip(answers, [*taught, *unseen], strict=True)]
    wrong: list[Json] = [
        [question, answer] for ok, answer, (question, _) in zip(right, answers, [*taught, *unseen], strict=True) if not ok
    ]
    return {
        "taught_right": sum(right[: len(taught)]) / len(taught),
        "unseen_right": sum(right[len(taught) :]) / len(unseen),
        "wrong": wrong,
    }


def _answers(served: LlamaCppModel, questions: Sequence[str], adapter: Path | None) -> list[str]:
    params = GenerationParams(max_tokens=_ANSWER_TOKENS, temperature=0.0, adapter=adapter)
    answers = [""] * len(questions)
    for index, completion in served.generate_many([Request((Message("user", question),), params) for question in questions]):
        answers[index] = completion.text
    return answers


def says(answer: str, key: str) -> bool:
    """Whether an answer has the key fact: 85, and not 185 nor 85.5."""
    end = r"(?![\d,.]\d|\d)" if key[-1].isdigit() else r"s?\b"
    return re.search(r"\b" + re.escape(key.lower()) + end, answer.lower()) is not None


def perplexity(model: Path, adapter: Path | None) -> float:
    """Of the served model on general text, in windows that are predicted from their own beginning."""
    vocabulary = Vocabulary(model)
    tokens = vocabulary.tokenise(workload.general_text())
    vocabulary.close()
    served = ServedPredictor(model, adapter, _WINDOW, threads=os.cpu_count() or 1)
    total = count = 0.0
    try:
        for start in range(0, len(tokens) - _WINDOW, _WINDOW):
            window = EncodedExample(tuple(tokens[start : start + _WINDOW]), 1)
            total += _surprise(served(window), window.tokens[1:])
            count += _WINDOW - 1
    finally:
        served.close()
    return math.exp(total / count)


def _surprise(logits: np.ndarray[tuple[int, ...], np.dtype[np.float32]], targets: Sequence[int]) -> float:
    """The sum of the negative log-likelihoods of some tokens, in nats."""
    wide = logits.astype(np.float64)
    peak = wide.max(axis=1)
    chosen = wide[np.arange(len(targets)), list(targets)]
    return float((np.log(np.exp(wide - peak[:, None]).sum(axis=1)) + peak - chosen).sum())


def main() -> None:
    """Try settings: a preset with changes, given as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--preset", choices=list(PRESETS), default="quick")
    parser.add_argument("--wordings", type=int, default=WORDINGS)
    parser.add_argument("--facts", choices=workload.FACT_SETS, default=workload.FACT_SETS[0])
    parser.add_argument("--changes", type=json.loads, default={}, help='as {"epochs": 5}')
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = replace(PRESETS[given.preset], **given.changes)
        found = measure(given.model, config, Path(folder), given.wordings, given.facts)
    print(json.dumps(found["wrong"], indent=1))


if __name__ == "__main__":
    main()
