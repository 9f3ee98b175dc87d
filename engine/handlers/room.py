"""Room for a training: what served models hold in memory is given back where it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.domain import Strategy
from engine.handlers.parts import Parts
from engine.training.config import TrainingConfig

if TYPE_CHECKING:
    from engine.training.planning.workload import Workload


def make_room(parts: Parts, base: Path, config: TrainingConfig, strategy: Strategy, work: Workload) -> bool:
    """Let served models give their memory back where a training needs it; they are loaded again when they are asked.

    On a GPU always: what is left of its memory decides how much is computed at once. Else where what the training takes by the
    estimate, with all activations kept, does not fit comfortably into what is free. Returns whether room was made.

    Raises:
        ModelFileError: the base cannot be fine-tuned.
    """
    from engine.llm.llamacpp.long_rope import has_long_positions
    from engine.training.bases.model_shape import read_shape
    from engine.training.planning.fit import Fit, fit_of
    from engine.training.planning.plan import wanted_memory

    machine = parts.machine()
    if not machine.gpus:
        shape = read_shape(base, long_positions=has_long_positions(base, parts.settings.context_tokens))
        wanted = wanted_memory(shape, config, work, machine, strategy)
        if fit_of(wanted, machine.memory_available) is Fit.FITS:
            return False
    return parts.models.rest()
