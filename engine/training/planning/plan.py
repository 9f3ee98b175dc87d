"""What a training will take before it starts, compared with what this machine has free."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, replace

from engine.domain import Json, Strategy
from engine.machine import Hardware
from engine.training.bases.model_shape import ModelShape
from engine.training.config import TrainingConfig
from engine.training.planning.estimate import Device, Memory, Trains, memory, seconds
from engine.training.planning.fit import Advice, Fit, advise, fit_of
from engine.training.planning.rehearsal import Rehearsal
from engine.training.planning.workload import Workload
from engine.training.strategies.weight_type import processor_type

MEASURED_MARGIN = 0.1
"""What a measured peak may still be exceeded by: another order of the examples, the check of the adapter."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What settings take for some examples. Memory and disk in bytes, time in seconds.

    `needed` and `seconds` are from the rehearsal where there was one, else from the formula; `seconds` is None where nothing
    is known of the device's speed. `disk_needed` is for a training copy and checkpoints that are not there yet.
    """

    strategy: Trains
    device: Device
    config: TrainingConfig
    memory: Memory
    needed: int
    free: int
    fit: Fit
    advice: tuple[Advice, ...]
    examples: int
    steps: int
    seconds: float | None
    rehearsal: Rehearsal | None
    disk_needed: int
    disk_free: int
    notices: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """All of it as plain data."""
        parts: dict[str, Json] = {**self.memory.parts, "total": self.memory.total}
        advice: list[Json] = [each.to_json() for each in self.advice]
        return {
            "strategy": self.strategy,
            "device": self.device,
            "dtype": self.config.dtype,
            "memory": parts,
            "needed": self.needed,
            "free": self.free,
            "fit": self.fit.value,
            "advice": advice,
            "examples": self.examples,
            "steps": self.steps,
            "seconds": self.seconds,
            "measured": None if self.rehearsal is None else self.rehearsal.to_json(),
            "disk_needed": self.disk_needed,
            "disk_free": self.disk_free,
            "notices": list(self.notices),
        }


def plan_training(
    shape: ModelShape,
    config: TrainingConfig,
    workload: Workload,
    machine: Hardware,
    strategy: Trains,
    *,
    rehearsal: Rehearsal | None = None,
    has_copy: bool = False,
) -> TrainingPlan:
    """Work out what a training takes; nothing is loaded.

    Args:
        shape: the base.
        config: the settings; see `settled`.
        workload: the examples, uncut.
        machine: what there is.
        strategy: what trains; see `expected_strategy`.
        rehearsal: what was measured for these settings and examples.
        has_copy: whether the training copy of the base is there.
    """
    device = expected_device(machine)
    free = _free(machine, strategy) if device == "cuda" else machine.memory_available
    config, workload, notices = limited(shape, settled(config, machine), workload)
    if device == "cuda" and strategy == "peft" and len(machine.gpus) > 1:
        notices.append("Each GPU holds a whole model: memory is that of one process, the time that of one GPU.")

    def needs(other: TrainingConfig) -> Memory:
        return memory(shape, other, workload, device=device, strategy=strategy, free=free)

    expected = needs(config)
    measured = None if rehearsal is None else rehearsal.gpu_memory if device == "cuda" else rehearsal.memory
    needed = measured or expected.total
    fit = fit_of(needed, free, MEASURED_MARGIN) if measured else fit_of(needed, free)
    if expected.recomputed:
        notices.append("There is no room for all activations: they are computed twice, which takes a third more time.")
    disk = (0 if has_copy else 4 * shape.parameters) + 3 * (expected.optimiser + expected.matrices)
    if disk > machine.disk_free:
        notices.append("The disk has too little room for the training copy and the checkpoints.")
    can_quantise = strategy == "unsloth" and device == "cuda"
    advice = advise(config, workload, free, lambda other: needs(other).total, can_quantise=can_quantise)
    return TrainingPlan(
        strategy=strategy,
        device=device,
        config=config,
        memory=expected,
        needed=needed,
        free=free,
        fit=fit,
        advice=() if fit is Fit.FITS else tuple(advice),
        examples=workload.examples,
        steps=workload.steps(config),
        seconds=_time(shape, config, workload, machine, device, rehearsal, twice=expected.recomputed),
        rehearsal=rehearsal,
        disk_needed=disk,
        disk_free=machine.disk_free,
        notices=tuple(notices),
    )


def _free(machine: Hardware, strategy: Trains) -> int:
    """Bytes free on each GPU that trains: Unsloth takes the first one, PEFT all of them."""
    used = machine.gpus if strategy == "peft" else machine.gpus[:1]
    return min(gpu.memory_free for gpu in used)


def wanted_memory(shape: ModelShape, config: TrainingConfig, workload: Workload, machine: Hardware, strategy: Strategy) -> int:
    """Bytes that a training takes where there is room for all that it keeps. The arguments are those of `plan_training`."""
    config, workload, _ = limited(shape, settled(config, machine), workload)
    return memory(shape, config, workload, device=expected_device(machine), strategy=expected_strategy(strategy, machine)).total


def expected_device(machine: Hardware) -> Device:
    """Where PyTorch will train, found without importing it: its version says whether it was built for the processor alone."""
    return "cuda" if machine.gpus and "+cpu" not in importlib.metadata.version("torch") else "cpu"


def expected_strategy(strategy: Strategy, machine: Hardware) -> Trains:
    """What `choose_trainer` will choose, found without importing PyTorch."""
    if strategy != "auto":
        return strategy
    from engine.training.strategies.unsloth_trainer import unsloth_installed

    return "unsloth" if expected_device(machine) == "cuda" and unsloth_installed() else "peft"


def settled(config: TrainingConfig, machine: Hardware) -> TrainingConfig:
    """The settings with the type of the weights that `auto` stands for here; see `engine.training.strategies.weight_type`."""
    if config.dtype != "auto":
        return config
    on_gpu = expected_device(machine) == "cuda"
    return replace(config, dtype="bfloat16" if on_gpu else processor_type(machine.cpu_flags))


def limited(shape: ModelShape, config: TrainingConfig, workload: Workload) -> tuple[TrainingConfig, Workload, list[str]]:
    """The settings with no longer sequences than the base was made for, and what a person should know."""
    notices = []
    if config.max_sequence_length > shape.trained_context:
        config = replace(config, max_sequence_length=shape.trained_context)
        if workload.longest > shape.trained_context:
            notices.append(f"The base was made for {shape.trained_context:,} tokens: longer examples are cut to that.")
    elif workload.longest > config.max_sequence_length:
        too_long = sum(len(item.tokens) > config.max_sequence_length for item in workload.items)
        of = f" of {len(workload.items):,} measured" if len(workload.items) < workload.examples else ""
        notices.append(f"Longer than {config.max_sequence_length:,} tokens, and cut to that: {too_long:,}{of}.")
    cut = workload.cut(config.max_sequence_length)
    if cut.examples < workload.examples:
        left = workload.examples - cut.examples
        notices.append(
            f"{left:,} examples have no room for an answer in {config.max_sequence_length:,} tokens, and are left out."
        )
    if not cut.items:
        notices.append("Nothing is left to learn. Raise max_sequence_length.")
    return config, cut, notices


def _time(
    shape: ModelShape,
    config: TrainingConfig,
    workload: Workload,
    machine: Hardware,
    device: Device,
    rehearsal: Rehearsal | None,
    *,
    twice: bool,
) -> float | None:
    """Seconds of the whole run, unless it stops early."""
    if rehearsal is not None:
        return rehearsal.around_s + workload.example_tokens(config) / max(rehearsal.tokens_per_s, 1e-9)
    return seconds(shape, config, workload, machine.physical_cores, machine.cpu_flags, twice=twice) if device == "cpu" else None
