"""Training examples: what the model sees and what it should answer; cleaning and splitting them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.domain import Json, Message
from engine.errors import InputError


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """A conversation up to the point where the model answers, and the answer it should give."""

    prompt: tuple[Message, ...]
    answer: str

    @classmethod
    def from_pair(cls, question: str, answer: str) -> TrainingExample:
        """An example of one question, as Chat sends it: a single user message."""
        return cls((Message("user", question.strip()),), answer.strip())

    @property
    def question(self) -> str:
        """The last message before the answer."""
        return self.prompt[-1].content

    def to_json(self) -> dict[str, Json]:
        """The example as chat messages."""
        messages = (*self.prompt, Message("assistant", self.answer))
        return {"messages": [{"role": message.role, "content": message.content} for message in messages]}


@dataclass(frozen=True, slots=True)
class Dataset:
    """Examples to learn from and to measure with; `duplicates` says how many equal ones were left out."""

    train: tuple[TrainingExample, ...]
    held_out: tuple[TrainingExample, ...] = ()
    duplicates: int = 0

    def sha256(self) -> str:
        """A hash of all examples, independent of their order."""
        return hashlib.sha256("".join(sorted(map(_key, (*self.train, *self.held_out)))).encode()).hexdigest()


def examples_from_pairs(pairs: Iterable[tuple[str, str]]) -> tuple[TrainingExample, ...]:
    """Examples from (question, answer) pairs.

    Raises:
        InputError: a question or answer is empty.
    """
    examples = tuple(TrainingExample.from_pair(question, answer) for question, answer in pairs)
    for number, example in enumerate(examples, start=1):
        if not example.question or not example.answer:
            raise InputError(f"Pair {number} has no question or no answer.", hint="Complete or remove it.")
    return examples


def make_dataset(examples: Sequence[TrainingExample], eval_fraction: float) -> Dataset:
    """Drop duplicates and hold out a share of the examples.

    Which ones are held out follows from a hash of each example alone, so that the same data are split alike on every
    machine and whatever the order.

    Raises:
        InputError: nothing is left to learn from.
    """
    unique: dict[str, TrainingExample] = {}
    for example in examples:
        unique.setdefault(_key(example), example)
    ordered = list(unique.values())
    if not ordered:
        raise InputError("There is nothing to train on.", hint="Approve some FAQ pairs, or choose a file with examples.")
    count = min(round(len(ordered) * eval_fraction), len(ordered) - 1)
    if eval_fraction > 0 and len(ordered) > 1:
        count = max(count, 1)
    chosen = set(sorted(unique)[:count])
    return Dataset(
        train=tuple(example for example in ordered if _key(example) not in chosen),
        held_out=tuple(example for example in ordered if _key(example) in chosen),
        duplicates=len(examples) - len(ordered),
    )


def _key(example: TrainingExample) -> str:
    """A hash under which equal examples fall together."""
    text = json.dumps([[m.role, m.content] for m in example.prompt] + [example.answer], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
