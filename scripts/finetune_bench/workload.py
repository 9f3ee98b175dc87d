"""What every side is given: the same tokens in the same batches, the same settings, the same base."""

from __future__ import annotations

import json
import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from engine.config import PROJECT_ROOT
from engine.domain import Json
from engine.machine import peak_memory
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import ChatEncoder, EncodedExample, open_encoder
from engine.training.datasets.examples import examples_from_pairs
from engine.training.datasets.general_text import GENERAL_TEXT
from engine.training.loop.schedule import StepBatches

LENGTH = 512
"""Tokens of an example at most, and of each one in `full`."""
WARM_UP = 2
"""Steps that are not counted in the speed: memory is first taken then."""

FACT_SETS = ("facts", "facts_second")
"""Files of facts beside this one. The rules that word questions anew were written by someone who had read both."""
_TEXTS = ("tallybird-plans.md", "tidewater-museum.html")


@dataclass(frozen=True)
class Fact:
    """A question of an FAQ with its answer; `key` is what an answer must say, `paraphrases` are never trained on."""

    question: str
    answer: str
    key: str
    paraphrases: tuple[str, ...]


def facts(name: str = FACT_SETS[0]) -> list[Fact]:
    """30 facts of a made-up company, or 20 of another, whose questions are worded further from how they are taught."""
    rows = json.loads(Path(__file__).with_name(f"{name}.json").read_text("utf-8"))
    return [Fact(row["question"], row["answer"], row["key"], tuple(row["paraphrases"])) for row in rows]


def general_text() -> str:
    """English that has nothing to do with the facts, about 6,000 characters: the sample documents in this repository."""
    folder = PROJECT_ROOT / "data" / "samples"
    texts = [_plain((folder / name).read_text("utf-8")) for name in _TEXTS]
    return "\n\n".join(text[:3000] for text in texts)


def _plain(text: str) -> str:
    """A document without its tags."""
    kept: list[str] = []
    for part in text.split("<"):
        kept.append(part.rpartition(">")[2])
    return " ".join("".join(kept).split())


def faq_rows(model: Path) -> list[EncodedExample]:
    """120 questions, the facts in four wordings each, as Chat would send them: about 60 tokens each."""
    pairs = [(question, fact.answer) for fact in facts() for question in (fact.question, *fact.paraphrases)]
    with open_encoder(model) as encoder:
        return list(encoder.encode(examples_from_pairs(pairs), LENGTH).items)


def mixed_rows(model: Path) -> list[EncodedExample]:
    """120 questions about a passage of 0 to 400 tokens: rows from 60 to 512 tokens, the answer the smaller part."""
    draw = random.Random(1)  # an order, not a secret
    words = general_text().split()
    pairs = []
    for fact in facts():
        for question in (fact.question, *fact.paraphrases):
            size = draw.randrange(0, 240)
            start = draw.randrange(0, len(words) - size)
            pairs.append((f"{' '.join(words[start : start + size])}\n\n{question}", f"{fact.answer} {fact.answer}"))
    with open_encoder(model) as encoder:
        return list(encoder.encode(examples_from_pairs(pairs), LENGTH).items)


def full_rows(model: Path) -> list[EncodedExample]:
    """32 rows of exactly 512 tokens, half prompt and half answer: nothing is padded, and little is shared."""
    with open_encoder(model) as encoder:
        return [_full_row(encoder, number) for number in range(32)]


def _full_row(encoder: ChatEncoder, number: int) -> EncodedExample:
    words = general_text().split() * 2
    start, middle = number * 20, number * 20 + LENGTH // 4
    asked, told = " ".join(words[start:middle]), " ".join(words[middle : middle + LENGTH])
    item = encoder.encode_example(examples_from_pairs([(asked, told)])[0])
    return EncodedExample(item.tokens[:LENGTH], item.prompt_length)


def general_tokens(model: Path) -> tuple[int, ...]:
    """The general text that a training is held to its former predictions on."""
    with open_encoder(model) as encoder:
        return tuple(encoder.plain(GENERAL_TEXT))


DATA = {"faq": faq_rows, "mixed": mixed_rows, "full": full_rows}


def write_rows(rows: Sequence[EncodedExample], path: Path) -> None:
    """Rows for a side to read."""
    path.write_text(json.dumps([[item.tokens, item.prompt_length] for item in rows]), "utf-8")


def read_rows(path: Path) -> list[EncodedExample]:
    """What `write_rows` wrote."""
    return [EncodedExample(tuple(tokens), length) for tokens, length in json.loads(path.read_text("utf-8"))]


def batches(rows: Sequence[EncodedExample], config: TrainingConfig, steps: int) -> list[list[list[int]]]:
    """The batches of each step, as our strategy takes them: rows of like length together, which spares both sides padding."""
    lengths = [len(item.tokens) for item in rows]
    each = StepBatches(lengths, config)
    return [each.of(step) for step in range(steps)]


def figures(tokens_per_s: Sequence[float], losses: Sequence[float]) -> dict[str, Json]:
    """The median speed, the loss curve, and the most memory that this process held."""
    return {
        "tokens_per_s": statistics.median(tokens_per_s[WARM_UP:]),
        "losses": cast(Json, list(losses)),
        "peak_mb": peak_memory() / (1 << 20),
    }


def report(found: dict[str, Json]) -> None:
    """Print what was measured, the last line of a side's output."""
    sys.stdout.write(json.dumps(found) + "\n")
