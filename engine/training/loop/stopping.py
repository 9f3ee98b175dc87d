"""When to look at a training, which of its weights are the best so far, and when to stop: pure functions of its losses.

Facts are a special case. What a model is taught of one passage says nothing of another, so while it learns its facts by heart
the loss of held-out facts rises, and stopping at its lowest point would keep a model that has learnt little. So
`best_by="auto"` lets the held-out part decide only where it asks in other words for answers that are taught, and only once
these are learnt; until then, and where there is no such part, the training loss decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.training.config import TrainingConfig

LOOKS = 10
"""Looks in a whole training where the settings name no interval: with a patience of three, as in the settings, a training that
gains nothing any more ends after a third of it."""
LEAST_INTERVAL = 5
"""Steps between two looks at least: a look with its sample answers takes the time of two or three steps, so that ten of them
would make a training of thirty steps half as long again."""
LEARNT_LOSS = 0.05
"""Nats an answer token of the training part below which it counts as learnt: a token has a probability of 95 % in the mean."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a training has done up to its last look. `without_gain` counts the looks since the best one."""

    best_loss: float | None = None
    best_step: int = 0
    without_gain: int = 0
    learnt: bool = False
    """Whether the held-out loss decides now, after the training part was learnt."""


def look_interval(steps: int, config: TrainingConfig) -> int:
    """Optimiser steps between two looks in a training of `steps`."""
    return config.eval_every or max(LEAST_INTERVAL, math.ceil(steps / LOOKS))


def is_look(step: int, interval: int, config: TrainingConfig) -> bool:
    """Whether there is a look after a step: after each interval, and where the settings name none also early in a long
    training, so that a person soon sees how it goes."""
    return step % interval == 0 or (config.eval_every is None and step == LEAST_INTERVAL)


def window(losses: Sequence[float], per_epoch: int, interval: int) -> float:
    """The training loss at a look: the mean over all steps since the last one, and over an epoch at least."""
    recent = losses[-max(per_epoch, interval) :]
    return sum(recent) / len(recent)


def judged(
    standing: Standing,
    config: TrainingConfig,
    step: int,
    training_loss: float,
    held_out_loss: float | None,
    taught_loss: float | None,
) -> Standing:
    """The standing after a look.

    Args:
        standing: the one before.
        config: what decides.
        step: finished optimiser steps.
        training_loss: as `window` gives it.
        held_out_loss: mean loss of a held-out answer token; None where nothing is held out.
        taught_loss: the same of those held-out examples whose answers are taught; None where there are none.
    """
    if config.best_by == "held_out" and held_out_loss is not None:
        return _compared(standing, step, held_out_loss)
    if config.best_by == "training" or taught_loss is None:
        return _compared(standing, step, training_loss)
    if not standing.learnt and training_loss > LEARNT_LOSS:
        return _compared(standing, step, training_loss)
    if not standing.learnt:  # from here on another figure decides
        return Standing(taught_loss, step, 0, learnt=True)
    return _compared(standing, step, taught_loss if training_loss <= LEARNT_LOSS else math.inf)


def out_of_patience(standing: Standing, config: TrainingConfig) -> bool:
    """Whether nothing got better for as many looks as the settings allow."""
    return 0 < config.early_stopping_patience <= standing.without_gain


def low_enough(losses: Sequence[float], step: int, per_epoch: int, config: TrainingConfig) -> bool:
    """Whether an epoch ends with this step, and its mean training loss is below what the settings aim at."""
    if config.stop_at_loss <= 0 or step % per_epoch or len(losses) < per_epoch:
        return False
    return sum(losses[-per_epoch:]) / per_epoch < config.stop_at_loss


def _compared(standing: Standing, step: int, loss: float) -> Standing:
    if not math.isnan(loss) and (standing.best_loss is None or loss < standing.best_loss):
        return replace(standing, best_loss=loss, best_step=step, without_gain=0)
    return replace(standing, without_gain=standing.without_gain + 1)
