"""The order of examples and the learning rate at each step: pure functions of the settings, so that a run can resume."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from engine.training.config import TrainingConfig

_BUCKET_BATCHES = 4
"""Examples are sorted by length within groups of so many batches: little padding, and still a random order."""


def steps_per_epoch(examples: int, config: TrainingConfig) -> int:
    """Optimiser steps in one pass over the data."""
    return math.ceil(math.ceil(examples / config.batch_size) / config.gradient_accumulation)


def total_steps(examples: int, config: TrainingConfig) -> int:
    """Optimiser steps of the whole training, unless it stops early."""
    steps = max(steps_per_epoch(examples, config) * config.epochs, config.least_steps)
    return steps if config.max_steps is None else min(steps, config.max_steps)


class StepBatches:
    """The batches of each optimiser step. The order of an epoch is worked out once, at the first of its steps."""

    def __init__(self, lengths: Sequence[int], config: TrainingConfig) -> None:
        """Args: `lengths` are the tokens of each example; of the settings batch size, accumulation and seed count."""
        self._lengths, self._config = lengths, config
        self._per_epoch = steps_per_epoch(len(lengths), config)
        self._epoch = -1
        self._batches: list[list[int]] = []

    def of(self, step: int) -> list[list[int]]:
        """The batches, as indices of examples, of a step, counted from 0 at the start of the training."""
        epoch, index = divmod(step, self._per_epoch)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, epoch_batches(self._lengths, self._config, epoch)
        size = self._config.gradient_accumulation
        return self._batches[index * size : (index + 1) * size]


def epoch_batches(lengths: Sequence[int], config: TrainingConfig, epoch: int) -> list[list[int]]:
    """All batches of an epoch: shuffled, with examples of like length together."""
    # A string seed: Python hashes it the same way on every platform.
    rng = random.Random(f"{config.seed}/{epoch}")  # noqa: S311  # an order, not a secret
    order = list(range(len(lengths)))
    rng.shuffle(order)
    size, bucket = config.batch_size, config.batch_size * _BUCKET_BATCHES
    batches: list[list[int]] = []
    for start in range(0, len(order), bucket):
        group = sorted(order[start : start + bucket], key=lambda i: lengths[i])
        batches.extend(group[at : at + size] for at in range(0, len(group), size))
    rng.shuffle(batches)
    return batches


def learning_rate(step: int, steps: int, config: TrainingConfig) -> float:
    """The rate of a step (counted from 0) out of `steps`.

    A linear warm-up, then half a cosine from the peak down to `min_learning_rate_ratio` of it (Loshchilov & Hutter 2017).
    """
    warmup = max(1, round(steps * config.warmup_ratio))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)
    low = config.min_learning_rate_ratio
    return config.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * share)))
