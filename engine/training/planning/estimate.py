"""What a training takes in memory, time and disk, from a formula over sizes alone: nothing is loaded, and it answers at once.

What the parts are made of:

- *Weights*: four bytes for each in float32, two in bfloat16. The input and output layers are part of them.
- *LoRA matrices*: rank · (inputs + outputs) for each adapted layer (Hu et al. 2021, §4.1), float32; as much again for their
  gradients, twice that for AdamW's two moments (Kingma & Ba 2015), and once for the best weights so far.
- *Activations*: what autograd keeps of each block for the backward pass, counted layer by layer as Korthikanti et al. (2022,
  §4.1) do, for blocks with RMS norms, gated feed-forward, attention that never holds its scores (Dao et al. 2022), and frozen
  weights, so that a linear layer's input is kept only where it has LoRA matrices. A batch is computed row by row, so that it
  is the longest row that counts (`engine.training.loop.packing`). Where that does not fit, all but the blocks' inputs is
  computed again in the backward pass (Chen et al. 2016; `strategies.lora_model`), a third more work.
- *Answers*: logits of a chunk of the answer tokens, with their gradient (`engine.training.loop.answer_loss`).
- *Around*: Python, PyTorch and Transformers themselves; on a GPU, CUDA's context.

The count of activations alone is within a tenth of what autograd keeps, for tiny models of five families
(`tests/training/planning/test_estimate.py`). `_AROUND` and `_NOT_GIVEN_BACK` of the processor were fitted to five peaks, of
1.4 to 3.3 GB, of the default model on Linux (float32 and bfloat16, rows of 128 to 512 tokens, rank 16 and 64): they come out
between 8 % too low and 3 % too high. Two that were not fitted to, rows of 1,000 tokens, and queries and values alone, come
out 8 % and 2 % too low. What a GPU and what Unsloth need was not measured: rehearse there.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Literal

from engine.training.bases.model_shape import ModelShape
from engine.training.config import TrainingConfig
from engine.training.loop.packing import ANCHOR_WINDOW, LOGITS_AT_ONCE
from engine.training.planning.workload import Pass, Workload

Device = Literal["cpu", "cuda"]
Trains = Literal["peft", "unsloth"]
"""A strategy that was chosen."""

FLOAT = 4
"""Bytes of a float32 number."""
_BYTES = {"float32": 4, "bfloat16": 2, "auto": 4}
"""Bytes of a weight by `dtype`; of `auto` the larger, since which it is depends on the machine."""
_AROUND: dict[Device, int] = {"cpu": 620_000_000, "cuda": 600_000_000}
_NOT_GIVEN_BACK: dict[Device, float] = {"cpu": 1.25, "cuda": 1.1}
"""What comes and goes takes more than its size: memory that was freed in pieces is not all of use for the next pass."""
_COPIES_OF_LOGITS = 2
_FOUR_BITS = 4.127 / 8
"""Bytes of a weight in NF4 with its doubly quantised scales (Dettmers et al. 2023, §3)."""
_CORE_RATE = 6e10
"""Operations a second of a core in a training. One core with AVX-512 took 1.85 s for a step of 281 tokens with the default
model (`docs/benchmarks`), which is 7.7e10; several cores do not add up whole, and other programs may run."""
_PLAIN_CORE_RATE = 3e10
"""The same without AVX-512: half of it, which is assumed."""
_AROUND_S = 20.0
"""Seconds of loading, converting and checking, whatever the model."""
_PREPARED_IN_A_SECOND = 1e8
"""Weights that are dequantised, loaded and compared in a second."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The parts of the greatest memory that a training needs, in bytes.

    `recomputed`: there is no room for all activations, so that those of a block are computed again in the backward pass.
    """

    weights: int
    matrices: int
    gradients: int
    optimiser: int
    activations: int
    answers: int
    around: int
    recomputed: bool = False

    @property
    def parts(self) -> dict[str, int]:
        """The parts by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "recomputed"}

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.parts.values())


def memory(
    shape: ModelShape,
    config: TrainingConfig,
    workload: Workload,
    *,
    device: Device = "cpu",
    strategy: Trains = "peft",
    free: int | None = None,
) -> Memory:
    """What a training needs at its greatest.

    Args:
        shape: the base.
        config: the settings, their type of weights settled.
        workload: the examples, uncut.
        device: where it is trained.
        strategy: what trains. On a GPU, Unsloth always computes activations again.
        free: bytes of memory there; None: as much as is wanted.
    """
    size = _BYTES[config.dtype]
    widest = workload.cut(config.max_sequence_length).heaviest(config)
    anchor = ANCHOR_WINDOW if config.anchor_weight else 0
    tokens = widest.tokens + anchor
    lora = shape.lora_parameters(config.rank, config.target_modules) * FLOAT
    wanted = Memory(
        weights=_weights(shape, config),
        matrices=2 * lora,
        gradients=lora,
        optimiser=2 * lora,
        activations=activations(shape, config, widest, device),
        answers=min(max(widest.answers, anchor), LOGITS_AT_ONCE) * shape.vocabulary * FLOAT * _COPIES_OF_LOGITS,
        around=_AROUND[device],
    )
    always_again = strategy == "unsloth" and device == "cuda"
    if not always_again and (free is None or wanted.total <= free):
        return wanted
    # Of each block its input is left, and one block at a time has the rest (Chen et al. 2016).
    of_a_token = shape.layers * shape.hidden * size + kept_for_a_token(shape, config, widest) + _passing(shape, size)
    return replace(wanted, activations=round(tokens * of_a_token * _NOT_GIVEN_BACK[device]), recomputed=True)


def activations(shape: ModelShape, config: TrainingConfig, each: Pass, device: Device = "cpu") -> int:
    """Bytes of the activations of a pass, and of the general text beside it, where all are kept for the backward pass."""
    tokens = each.tokens + (ANCHOR_WINDOW if config.anchor_weight else 0)
    of_a_token = shape.layers * kept_for_a_token(shape, config, each) + _passing(shape, _BYTES[config.dtype])
    return round(tokens * of_a_token * _NOT_GIVEN_BACK[device])


def seconds(
    shape: ModelShape,
    config: TrainingConfig,
    workload: Workload,
    cores: int,
    cpu_flags: Collection[str],
    *,
    twice: bool = False,
) -> float:
    """A rough time of a training on a processor, from start to finish, unless it stops early.

    Each weight of the linear layers takes two operations a token in the forward pass and two for the gradient of the inputs
    (Kaplan et al. 2020, §2.1, whose other two are for the gradients of weights, which are frozen here); those of the LoRA
    matrices take all six. `twice`: the forward pass is computed again.
    """
    tokens = workload.tokens(config) + (workload.passes(config) * ANCHOR_WINDOW if config.anchor_weight else 0)
    answers = workload.examples and sum(item.answer_length for item in workload.items) / len(workload.items)
    taught = answers * workload.example_tokens(config) / max(1.0, workload.mean_length)
    linear = (6 if twice else 4) * shape.linear_parameters
    lora = 6 * shape.lora_parameters(config.rank, config.target_modules)
    operations = tokens * (linear + lora) + taught * 4 * shape.vocabulary * shape.hidden
    rate = cores * (_CORE_RATE if "avx512f" in cpu_flags else _PLAIN_CORE_RATE)
    return _AROUND_S + shape.parameters / _PREPARED_IN_A_SECOND + operations / rate


def _weights(shape: ModelShape, config: TrainingConfig) -> int:
    size = _BYTES[config.dtype]
    if not config.quantise_base:
        return shape.parameters * size
    rest = shape.parameters - shape.linear_parameters
    return rest * size + round(shape.linear_parameters * _FOUR_BITS)


def kept_for_a_token(shape: ModelShape, config: TrainingConfig, each: Pass) -> int:
    """Bytes that autograd keeps of one token in one block until the backward pass."""
    size = _BYTES[config.dtype]
    norms = shape.norms * (shape.hidden + 1) + shape.head_norms * (shape.query_width + shape.key_width)
    # The gate before and after its activation, and what it is multiplied with.
    working = 3 * shape.feed_forward + _attention(shape, each)
    kept = working * size + _lora_inputs(shape, config) + (norms + shape.heads) * FLOAT  # norms compute in float32
    return kept + (2 * shape.heads * each.width * FLOAT if shape.holds_scores else 0)


def _attention(shape: ModelShape, each: Pass) -> int:
    """Numbers of a token's query, key, value and outcome. With a mask, keys and values are repeated for each query head."""
    keys = shape.query_width if each.shared or shape.holds_scores else shape.key_width
    return 2 * shape.query_width + 2 * keys


def _lora_inputs(shape: ModelShape, config: TrainingConfig) -> int:
    """Bytes of a token that the LoRA matrices of a block keep: their inputs, each once, and what is between A and B.

    With dropout each layer has an input of its own and its mask, in float32: `fused_layers` leaves such layers to PEFT.
    The outcome of attention is kept by attention itself.
    """
    size = _BYTES[config.dtype]
    adapted = shape.adapted(config.target_modules)
    between = len(adapted) * config.rank * (FLOAT if config.dropout else size) // shape.layers
    if config.dropout:
        return sum(2 * linear.inputs for linear in adapted) * FLOAT // shape.layers + between
    names = {linear.name for linear in adapted}
    groups = (
        ({"q_proj", "k_proj", "v_proj", "qkv_proj"}, shape.hidden),
        ({"gate_proj", "up_proj", "gate_up_proj"}, shape.hidden),
        ({"down_proj"}, shape.feed_forward),
    )
    return sum(width for group, width in groups if names & group) * size + between


def _passing(shape: ModelShape, size: int) -> int:
    """Bytes for a token that come and go in the backward pass of one block."""
    return (3 * shape.feed_forward + 2 * shape.hidden) * size
