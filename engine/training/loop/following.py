"""What a process does that shares the steps of a training which another process leads; see `engine.training.loop.ranks`."""

from __future__ import annotations

from contextlib import suppress

from engine.training.config import TrainingConfig
from engine.training.loop.checkpoint import fingerprint_of
from engine.training.loop.gradient_step import GradientStep, NotFinite
from engine.training.loop.learner import Learner
from engine.training.loop.ranks import Together
from engine.training.loop.run_state import RunState
from engine.training.loop.schedule import StepBatches, learning_rate, total_steps
from engine.training.trainer import TrainingData

_MOST_RANKS = 1 << 16


def follow(learner: Learner, data: TrainingData, config: TrainingConfig, ranks: Together) -> None:
    """Take the steps that the first process orders, until it orders no more.

    Raises:
        TrainingError: this process was given other data or settings than the first.
        MemoryError, RuntimeError: memory does not suffice for one example.
    """
    import torch

    train = data.train.items
    batches, steps = StepBatches([len(item.tokens) for item in train], config), total_steps(len(train), config)
    state = RunState(learner.model, config)
    step = GradientStep(learner.loss, state, config.max_grad_norm, lambda at_once: None, ranks)
    if (start := ranks.receive()) is None:
        return
    ranks.agree(fingerprint_of(train, data.held_out.items, config))
    state.spread(ranks, start.step)
    learner.model.train()
    while (order := ranks.receive()) is not None:
        # Other numbers than those of the other processes, and the same again when the training is resumed.
        torch.manual_seed((config.seed + order.step * 1_000_003) * _MOST_RANKS + ranks.rank)
        step.at_once = order.at_once
        examples = [train[index] for batch in batches.of(order.step) for index in batch]
        with suppress(NotFinite):  # the first process decides what comes of it
            step.take(examples, learning_rate(order.step, steps, config))
