"""How many processes share a training: one for each GPU where PEFT trains, else one; or as many as a person asks for."""

from __future__ import annotations

import os

from engine.domain import Strategy
from engine.errors import InputError
from engine.machine import Hardware
from engine.training.config import TrainingConfig
from engine.training.planning.plan import expected_device, expected_strategy


def processes_for(asked: int | None, strategy: Strategy, config: TrainingConfig, machine: Hardware) -> int:
    """How many processes to start.

    Args:
        asked: what the person wants; None: decided here.
        strategy: what trains. Unsloth does in one process; `auto` is PEFT where more than one is asked for.
        config: the settings; a base in four bits is for Unsloth alone.
        machine: what there is.

    Raises:
        InputError: as many cannot be had.
    """
    alone = strategy == "unsloth" or config.quantise_base
    gpus = _gpus(machine) if expected_device(machine) == "cuda" else 0
    if asked is None:
        return 1 if alone or expected_strategy(strategy, machine) == "unsloth" else max(1, gpus)
    if asked > 1 and alone:
        raise InputError("Unsloth trains in one process, on one GPU.", hint="Choose one process, or the strategy peft.")
    if gpus and asked > gpus:
        raise InputError(f"There are {gpus} GPUs for {asked} processes.", hint=f"Choose at most {gpus} processes.")
    return asked


def _gpus(machine: Hardware) -> int:
    """The GPUs that PyTorch will see."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return len(machine.gpus)
    return min(len(machine.gpus), sum(bool(name.strip()) for name in chosen.split(",")))
