"""Whether a training fits into memory, and what to change where it does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from engine.domain import Json
from engine.training.config import TrainingConfig
from engine.training.planning.workload import Workload

MARGIN = 0.2
"""What a formula may be wrong by: less room than that is tight."""
_FEW = 0.05
"""Share of the examples that may be cut for the sake of memory."""
_LENGTH_STEP = 32
_LEAST_RANK = 4
_MOST_ACCUMULATED = 256

Needed = Callable[[TrainingConfig], int]
"""Bytes that some settings need."""
Change = Callable[[TrainingConfig, Workload], tuple[str, TrainingConfig]]
"""Settings that need less, and what is to be said of them."""


class Fit(StrEnum):
    """How what is needed compares with what is free."""

    FITS = "fits"
    TIGHT = "tight"
    DOES_NOT_FIT = "does not fit"


@dataclass(frozen=True, slots=True)
class Advice:
    """A change of the settings that needs less memory. `needed` is what is needed then, in bytes; `changes` are none where
    settings alone are not enough."""

    text: str
    changes: Mapping[str, Json]
    needed: int
    fit: Fit

    def to_json(self) -> dict[str, Json]:
        """As plain data."""
        return {"text": self.text, "changes": dict(self.changes), "needed": self.needed, "fit": self.fit.value}


def fit_of(needed: int, free: int, margin: float = MARGIN) -> Fit:
    """Compare bytes that are needed, known up to a share `margin`, with bytes that are free."""
    if needed > free:
        return Fit.DOES_NOT_FIT
    return Fit.FITS if needed * (1 + margin) <= free else Fit.TIGHT


def advise(
    config: TrainingConfig, workload: Workload, free: int, needed: Needed, *, can_quantise: bool = False
) -> list[Advice]:
    """Changes in order of least harm, each tried: what does not help is left out. None where all fits as it is.

    Where no change does it alone, they are tried together, in the same order, up to the first that fits.

    Args:
        config: the settings as they are.
        workload: the examples.
        free: bytes of memory.
        needed: bytes that some settings need.
        can_quantise: whether the weights may be held in four bits here.
    """
    before = needed(config)
    if fit_of(before, free) is Fit.FITS:
        return []
    changes = [change for change in _CHANGES if can_quantise or change is not _four_bits]
    tried = [_advice(text, config, changed, free, needed) for text, changed in (make(config, workload) for make in changes)]
    helpful = [advice for advice in tried if advice.needed < before]
    if any(advice.fit is not Fit.DOES_NOT_FIT for advice in helpful):
        return helpful
    return [*helpful, _together(changes, config, workload, free, needed)]


def _together(changes: Sequence[Change], config: TrainingConfig, workload: Workload, free: int, needed: Needed) -> Advice:
    """The changes that help, one upon the other; a smaller model where even they are not enough."""
    changed, texts = config, list[str]()
    for make in changes:
        text, further = make(changed, workload)
        if needed(further) < needed(changed):
            changed = further
            texts.append(text)
        if needed(changed) <= free:
            return _advice(f"All of these: {'; '.join(texts)}", config, changed, free, needed)
    text = "Choose a smaller base model or free some memory: no settings make this one fit"
    return Advice(text, {}, needed(changed), Fit.DOES_NOT_FIT)


def _advice(text: str, config: TrainingConfig, changed: TrainingConfig, free: int, needed: Needed) -> Advice:
    total, before = needed(changed), config.to_json()
    changes = {name: value for name, value in changed.to_json().items() if before[name] != value}
    return Advice(text, changes, total, fit_of(total, free))


def _smaller_batch(config: TrainingConfig, _: Workload) -> tuple[str, TrainingConfig]:
    """One example at once, and as many of them in a step as before: the gradients add up to the same."""
    accumulation = min(_MOST_ACCUMULATED, config.batch_size * config.gradient_accumulation)
    changed = replace(config, batch_size=1, gradient_accumulation=accumulation)
    return f"Batches of 1 with {accumulation} accumulated: the same steps, a little slower", changed


def _shorter(config: TrainingConfig, workload: Workload) -> tuple[str, TrainingConfig]:
    """Cut the few examples that are much longer than the others."""
    usual = workload.length_below_which(1 - _FEW)
    limit = min(math.ceil(usual / _LENGTH_STEP) * _LENGTH_STEP, config.max_sequence_length)
    cut = sum(len(item.tokens) > limit for item in workload.items) / max(1, len(workload.items))
    return f"Examples of at most {limit} tokens, which cuts {cut:.0%} of them", replace(config, max_sequence_length=limit)


def _bfloat16(config: TrainingConfig, _: Workload) -> tuple[str, TrainingConfig]:
    return "Weights in bfloat16, half as large; slow on processors without it", replace(config, dtype="bfloat16")


def _four_bits(config: TrainingConfig, _: Workload) -> tuple[str, TrainingConfig]:
    """QLoRA (Dettmers et al. 2023)."""
    changed = TrainingConfig.from_json(config.to_json() | {"quantise_base": True})
    return "Weights in 4 bits while training, an eighth as large", changed


def _lower_rank(config: TrainingConfig, _: Workload) -> tuple[str, TrainingConfig]:
    rank = max(min(config.rank, _LEAST_RANK), config.rank // 4)
    changed = replace(config, rank=rank, alpha=max(1, config.alpha * rank // config.rank))
    return f"Rank {rank}, with which an adapter holds less", changed


_CHANGES: tuple[Change, ...] = (_smaller_batch, _shorter, _bfloat16, _four_bits, _lower_rank)
"""In order of least harm."""
