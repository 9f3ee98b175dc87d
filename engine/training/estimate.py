"""What a fine-tune will take, before it starts: rough figures for a person to decide by."""

from __future__ import annotations

import os
from dataclasses import dataclass

from engine.training.config import TrainingConfig
from engine.training.encoding import EncodedExamples
from engine.training.schedule import total_steps

CPU_FLOPS_PER_CORE = 60e9
"""Multiply-add operations a second and core that training reaches; measured with float32 on a server core with AVX-512."""
GPU_FLOPS = 20e12
"""The same for a current workstation GPU."""
START_SECONDS = 30.0
"""Starting the child, importing PyTorch, loading the weights, writing and checking the adapter."""
_PROCESS_BYTES = 700 * 1024**2
"""What the libraries take in a process without a model."""


@dataclass(frozen=True, slots=True)
class TrainingEstimate:
    """Steps, seconds, and bytes of memory at most."""

    steps: int
    seconds: float
    memory_bytes: int


def estimate(
    parameters: int,
    hidden_size: int,
    layers: int,
    data: EncodedExamples,
    config: TrainingConfig,
    *,
    gpu: bool = False,
    seconds_per_step: float | None = None,
) -> TrainingEstimate:
    """Estimate a fine-tune.

    Time is steps × seconds a step. Where none was measured, a step costs 4 · parameters · tokens operations (two for each
    weight forwards, two backwards to the inputs; the frozen weights need no gradient of their own). Memory is the weights in
    their training type, 16 bytes for each LoRA weight (value, gradient, two moments), and about 34 values a token, layer and
    hidden unit for the backward pass (Korthikanti et al. 2022, without the attention matrix).

    Args:
        parameters: weights of the base.
        hidden_size: its embedding length.
        layers: its blocks.
        data: the encoded training examples.
        config: the settings.
        gpu: whether there is one.
        seconds_per_step: where a step was measured, what it took.
    """
    steps = total_steps(len(data.items), config)
    longest = max((len(item.tokens) for item in data.items), default=0)
    tokens = sum(len(item.tokens) for item in data.items) / max(len(data.items), 1)
    per_step = tokens * config.batch_size * config.gradient_accumulation
    speed = GPU_FLOPS if gpu else CPU_FLOPS_PER_CORE * (os.cpu_count() or 1)
    seconds = seconds_per_step if seconds_per_step is not None else 4 * parameters * per_step / speed
    width = 4 if config.dtype == "float32" else 2
    lora_weights = 2 * config.rank * hidden_size * len(config.target_modules) * layers * 2
    activations = 34 * longest * config.batch_size * hidden_size * layers * width
    return TrainingEstimate(
        steps=steps,
        seconds=START_SECONDS + steps * seconds,
        memory_bytes=_PROCESS_BYTES + parameters * width + 16 * lora_weights + activations,
    )
