"""Training examples: what the model sees and what it should answer; cleaning and splitting them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from engine.domain import Json, Message, Role
from engine.errors import InputError
from engine.training.datasets.split import Row, groups_of, held_out_groups

ExampleKind = Literal["pair", "wording", "rewording", "query", "follow-up", "unanswerable"]
"""What an example was made of: a pair or a row as it stands; a pair with another question that people or the extraction had,
that a rule made, or that is roughly what people type into a search box; a pair asked after another one; a question that the
material has no answer to."""


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """A conversation up to the point where the model answers, and the answer it should give.

    `group` names the passage or conversation that it comes from: what has one group is never split. `held_out` examples are
    kept from training, to measure with.
    """

    prompt: tuple[Message, ...]
    answer: str
    group: str = ""
    kind: ExampleKind = "pair"
    held_out: bool = False

    @classmethod
    def from_pair(cls, question: str, answer: str, group: str = "") -> TrainingExample:
        """An example of one question, as Chat sends it: a single user message."""
        return cls((Message("user", question.strip()),), answer.strip(), group)

    @property
    def question(self) -> str:
        """The last message before the answer."""
        return self.prompt[-1].content

    def to_json(self) -> dict[str, Json]:
        """The example as chat messages, with what else is known of it."""
        messages = (*self.prompt, Message("assistant", self.answer))
        values: dict[str, Json] = {"messages": [{"role": message.role, "content": message.content} for message in messages]}
        if self.group:
            values["group"] = self.group
        if self.kind != "pair":
            values["kind"] = self.kind
        if self.held_out:
            values["held_out"] = True
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Json]) -> TrainingExample:
        """The example that `to_json` wrote. Files that people bring are for `engine.training.datasets.dataset_files`.

        Raises:
            ValueError: it was not written by `to_json`.
        """
        try:
            turns = cast(list[dict[str, str]], values["messages"])
            *prompt, answer = [Message(cast(Role, turn["role"]), turn["content"]) for turn in turns]
        except (KeyError, TypeError, ValueError) as exc:
            raise ValueError(f"an example has no messages: {exc}") from exc
        kind = values.get("kind", "pair")
        if not prompt or kind not in get_args(ExampleKind):
            raise ValueError("an example has no question, or is of a kind that is not known")
        group, held_out = str(values.get("group", "")), bool(values.get("held_out"))
        return cls(tuple(prompt), answer.content, group, cast(ExampleKind, kind), held_out)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Examples to learn from and to measure with.

    `duplicates` says how many equal ones were left out, `groups` how many groups there are (see `split`), and
    `conflicts` how many prompts have several answers.
    """

    train: tuple[TrainingExample, ...]
    held_out: tuple[TrainingExample, ...] = ()
    duplicates: int = 0
    groups: int = 0
    conflicts: int = 0

    @property
    def examples(self) -> tuple[TrainingExample, ...]:
        """All examples, those that are held out marked as such."""
        return (*self.train, *(replace(example, held_out=True) for example in self.held_out))

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


def with_held_out(examples: Sequence[TrainingExample], fraction: float) -> tuple[TrainingExample, ...]:
    """The examples, a share of them marked as held out, group by group; see `engine.training.datasets.split`."""
    groups = groups_of([_row(example) for example in examples])
    chosen = held_out_groups(groups, fraction)
    return tuple(replace(example, held_out=group in chosen) for example, group in zip(examples, groups, strict=True))


def make_dataset(examples: Sequence[TrainingExample], eval_fraction: float) -> Dataset:
    """Drop duplicates and hold out a share of the examples, group by group.

    Where examples are marked as held out, those are; no others. Else which ones are follows from a hash of their groups alone,
    so that the same data are split alike on every machine and whatever the order; see `engine.training.datasets.split`.

    Raises:
        InputError: nothing is left to learn from.
    """
    unique: dict[str, TrainingExample] = {}
    for example in examples:
        unique.setdefault(_key(example), example)
    ordered = list(unique.values())
    groups = groups_of([_row(example) for example in ordered])
    kept_back = _held_out(ordered, groups, eval_fraction)
    train = tuple(example for example, is_out in zip(ordered, kept_back, strict=True) if not is_out)
    if not train:
        raise InputError("There is nothing to train on.", hint="Approve some FAQ pairs, or choose a file with examples.")
    return Dataset(
        train=train,
        held_out=tuple(example for example, is_out in zip(ordered, kept_back, strict=True) if is_out),
        duplicates=len(examples) - len(ordered),
        groups=len(set(groups)),
        conflicts=_conflicts(ordered),
    )


def _held_out(examples: Sequence[TrainingExample], groups: Sequence[str], fraction: float) -> list[bool]:
    """For each example whether it is held out."""
    if any(example.held_out for example in examples):
        return [example.held_out for example in examples]
    chosen = held_out_groups(groups, fraction)
    return [group in chosen for group in groups]


def _row(example: TrainingExample) -> Row:
    """What tells an example's group. That something is not known is an answer to many questions."""
    return Row(example.group, example.question, "" if example.kind == "unanswerable" else example.answer)


def _conflicts(examples: Sequence[TrainingExample]) -> int:
    """How many prompts have more than one answer."""
    answers: dict[tuple[Message, ...], set[str]] = defaultdict(set)
    for example in examples:
        answers[example.prompt].add(example.answer)
    return sum(len(given) > 1 for given in answers.values())


def _key(example: TrainingExample) -> str:
    """A hash under which equal examples fall together."""
    text = json.dumps([[m.role, m.content] for m in example.prompt] + [example.answer], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
