"""What a training has to compute: the examples as tokens, and the forward passes that they go into."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExample
from engine.training.loop.packing import in_rows, packed_shape
from engine.training.loop.schedule import epoch_batches, steps_per_epoch, total_steps

_LOOKED_AT = 512
"""Examples that are laid out to learn how many tokens an epoch has; of more, some at equal distances."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What one forward pass is given: rows of tokens, padding counted, and how many of the tokens are learnt."""

    rows: int
    width: int
    answers: int
    shared: bool = False
    """Whether a row holds several examples, so that attention is given a mask."""

    @property
    def tokens(self) -> int:
        """Tokens that are computed."""
        return self.rows * self.width


@dataclass(frozen=True, slots=True)
class Workload:
    """The examples that are learnt, uncut, and how many there are: `items` may be a sample of them, the longest among them."""

    items: tuple[EncodedExample, ...]
    examples: int

    def cut(self, limit: int) -> Workload:
        """As the encoder gives them for this `max_sequence_length`; what has no room for an answer is left out."""
        kept = tuple(
            EncodedExample(item.tokens[:limit], item.prompt_length) for item in self.items if item.prompt_length < limit
        )
        return replace(self, items=kept, examples=_share(self.examples, len(kept), len(self.items)))

    @property
    def longest(self) -> int:
        """Tokens of the longest example."""
        return max((len(item.tokens) for item in self.items), default=0)

    @property
    def mean_length(self) -> float:
        """Tokens of an example, on average."""
        return sum(len(item.tokens) for item in self.items) / max(1, len(self.items))

    def length_below_which(self, share: float) -> int:
        """The length that this share of the examples does not exceed."""
        lengths = sorted(len(item.tokens) for item in self.items)
        return lengths[min(len(lengths) - 1, int(share * len(lengths)))] if lengths else 0

    def heaviest(self, config: TrainingConfig) -> Pass:
        """The forward pass with the most tokens: of the longest examples together, or of an epoch like the first."""
        in_a_step = config.batch_size * config.gradient_accumulation
        longest = sorted(self.items, key=lambda item: -len(item.tokens))[:in_a_step]
        return max([*_passes(longest), *self.epoch(config)], key=lambda each: each.tokens, default=Pass(0, 0, 0))

    def steps(self, config: TrainingConfig) -> int:
        """Optimiser steps of the whole training, unless it stops early."""
        return total_steps(self.examples, config) if self.examples else 0

    def tokens(self, config: TrainingConfig) -> int:
        """Tokens that are computed in the whole training, unless it stops early."""
        return self._in_all(config, sum(each.tokens for each in self.epoch(config)))

    def passes(self, config: TrainingConfig) -> int:
        """Forward passes of the whole training, unless it stops early."""
        return self._in_all(config, len(self.epoch(config)))

    def _in_all(self, config: TrainingConfig, seen: int) -> int:
        """What there is in the whole training of something that the examples looked at have so much of."""
        an_example = seen / (min(len(self.items), _LOOKED_AT) or 1)
        a_step = an_example * self.examples / max(1, steps_per_epoch(self.examples, config))
        return round(a_step * self.steps(config))

    def epoch(self, config: TrainingConfig) -> list[Pass]:
        """The forward passes of an epoch: of all examples, or of some where there are many."""
        stride = len(self.items) / _LOOKED_AT
        seen = self.items if stride <= 1 else [self.items[int(index * stride)] for index in range(_LOOKED_AT)]
        order, size = epoch_batches([len(item.tokens) for item in seen], config, 0), config.gradient_accumulation
        steps = (itertools.chain(*order[at : at + size]) for at in range(0, len(order), size))
        return [each for step in steps for each in _passes([seen[index] for index in step])]

    def example_tokens(self, config: TrainingConfig) -> int:
        """Tokens of the examples of the whole training, each as often as it is taught."""
        return round(self.mean_length * self.examples * self.steps(config) / max(1, steps_per_epoch(self.examples, config)))


def _passes(examples: Sequence[EncodedExample]) -> list[Pass]:
    """The forward passes of a step: its examples are computed row by row."""
    return [_pass(row) for row in in_rows(examples)] if examples else []


def _pass(items: Sequence[EncodedExample]) -> Pass:
    rows, width = packed_shape(items)
    return Pass(rows, width, sum(item.answer_length for item in items), shared=rows < len(items))


def _share(count: int, part: int, whole: int) -> int:
    return round(count * part / whole) if whole else 0
