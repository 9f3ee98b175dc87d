"""The settings of a fine-tune, and its presets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, get_args

from engine.domain import Json
from engine.errors import InputError

LINEAR_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of a Llama-like block, as Transformers names them."""
BestBy = Literal["auto", "held_out", "training"]
DTYPES = ("auto", "float32", "bfloat16")
"""Types that the frozen weights may have."""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to fine-tune. Named settings are in `PRESETS`."""

    rank: int = 16
    """Rank of the LoRA matrices: what an adapter can hold, and its size."""
    alpha: int = 32
    """LoRA scale; the update is multiplied by alpha / rank. Twice the rank is the usual choice (Hu et al. 2021, §4.1)."""
    dropout: float = 0.0
    """Share of a LoRA layer's inputs that is zeroed in training."""
    target_modules: tuple[str, ...] = LINEAR_LAYERS
    """Names of the layers that get LoRA matrices. All linear ones learn facts best (Dettmers et al. 2023, §4)."""
    learning_rate: float = 1e-3
    """Peak rate of AdamW, reached after the warm-up. Presets take a lower one for a wider model."""
    weight_decay: float = 0.0
    """AdamW's decoupled weight decay."""
    epochs: int = 20
    """Passes over the data."""
    least_steps: int = 0
    """Optimiser steps at least, whatever the epochs say: a few examples get more passes, so that they are learnt as well."""
    max_steps: int | None = None
    """Optimiser steps at most, whatever the epochs say; None: no limit."""
    batch_size: int = 8
    """Examples in one forward pass."""
    gradient_accumulation: int = 1
    """Forward passes for one optimiser step."""
    warmup_ratio: float = 0.05
    """Share of the steps in which the rate rises linearly from 0."""
    min_learning_rate_ratio: float = 0.05
    """The cosine schedule ends at this share of the peak rate."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this L2 norm."""
    max_sequence_length: int = 1024
    """Tokens of an example, prompt and answer; what goes beyond is cut and reported."""
    seed: int = 0
    """Seed of the LoRA matrices, the order of examples and dropout."""
    eval_fraction: float = 0.0
    """Share of the examples that is held out to measure. Held-out facts are not learnt, so the default teaches everything."""
    eval_every: int | None = None
    """Optimiser steps between two looks: held-out loss, sample answers, best weights; None: ten in the whole
    training, five steps apart at least."""
    eval_samples: int = 3
    """Held-out questions that are answered at each look, for a person to read."""
    best_by: BestBy = "auto"
    """What makes weights the best, which are those that are kept. `held_out`: the lowest held-out loss, usual where a
    way of answering is taught. `training`: the lowest training loss. `auto`: the training part is learnt first; then, where
    held-out questions ask in other words for answers that are taught, the lowest loss on these."""
    early_stopping_patience: int = 3
    """Stop when nothing got better for so many looks, as `best_by` sees it; 0: never."""
    stop_at_loss: float = 0.0
    """Stop when the mean training loss of a whole epoch is below this; 0: never."""
    anchor_weight: float = 1.0
    """Weight of what keeps a model from forgetting: on general text it is held to its former predictions, by their divergence
    against the loss of the answers. 0: off."""
    checkpoint_every: int = 20
    """Optimiser steps between two checkpoints."""
    dtype: str = "auto"
    """Type of the frozen weights: `float32`, `bfloat16` (half the memory), or `auto`, the one that is faster here."""
    quantise_base: bool = False
    """Hold the frozen weights in four bits (NF4, Dettmers et al. 2023): a quarter of the memory of `bfloat16`, slower steps,
    and not quite the weights that are served. Only the strategy unsloth can."""

    def __post_init__(self) -> None:
        for name, low, high in RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InputError(f"{name} is {value}, outside {low} to {high}.", hint="Choose a value in this range.")
        if self.best_by not in get_args(BestBy):
            raise InputError(f"best_by is {self.best_by!r}.", hint=f"Use {', '.join(get_args(BestBy))}.")
        if self.dtype not in DTYPES:
            raise InputError(f"dtype is {self.dtype!r}.", hint=f"Use {', '.join(DTYPES)}.")
        if not self.target_modules:
            raise InputError("No layer is named in target_modules.", hint=f"Choose from {', '.join(LINEAR_LAYERS)}.")

    def fingerprint(self) -> str:
        """A hash of all settings: a run may only be resumed with the settings that it was started with."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Json]:
        """The settings as plain data."""
        values: dict[str, Json] = asdict(self)
        return values | {"target_modules": list(self.target_modules)}

    @classmethod
    def from_json(cls, values: Mapping[str, Json]) -> TrainingConfig:
        """The settings from plain data.

        Raises:
            InputError: an unknown setting, or a value out of range or of the wrong type.
        """
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise InputError(f"Unknown training settings: {', '.join(sorted(unknown))}.")
        modules = values.get("target_modules", list(LINEAR_LAYERS))
        if not isinstance(modules, list | tuple) or not all(isinstance(name, str) for name in modules):
            raise InputError("target_modules is not a list of names.")
        try:
            return cls(**{**values, "target_modules": tuple(modules)})  # type: ignore[arg-type]  # checked in __post_init__
        except TypeError as exc:
            raise InputError(f"A training setting has the wrong type: {exc}") from exc


RANGES: tuple[tuple[str, float, float], ...] = (
    ("rank", 1, 512),
    ("alpha", 1, 1024),
    ("dropout", 0, 0.9),
    ("learning_rate", 1e-7, 1e-1),
    ("weight_decay", 0, 1),
    ("epochs", 1, 1000),
    ("least_steps", 0, 1_000_000),
    ("max_steps", 1, 1_000_000),
    ("batch_size", 1, 256),
    ("gradient_accumulation", 1, 256),
    ("warmup_ratio", 0, 0.9),
    ("min_learning_rate_ratio", 0, 1),
    ("max_grad_norm", 1e-3, 1e3),
    ("max_sequence_length", 16, 131_072),
    ("seed", 0, 2**32 - 1),
    ("eval_fraction", 0, 0.5),
    ("eval_every", 1, 1_000_000),
    ("eval_samples", 0, 10),
    ("early_stopping_patience", 0, 1000),
    ("stop_at_loss", 0, 10),
    ("anchor_weight", 0, 100),
    ("checkpoint_every", 1, 1_000_000),
)
"""The least and the greatest value of each number."""

PRESETS: dict[str, TrainingConfig] = {
    "quick": TrainingConfig(epochs=4, least_steps=36, batch_size=16, learning_rate=1e-3, stop_at_loss=0.02),
    "balanced": TrainingConfig(epochs=6, least_steps=60, batch_size=16),
    "thorough": TrainingConfig(rank=32, alpha=64, epochs=10, least_steps=120, batch_size=16, learning_rate=5e-4, dropout=0.05),
}
"""Named settings, for pairs that are taught in ten other wordings as well (`engine.requests.DataOptions`); what is taught as it
stands only gets its passes by `least_steps`.

`quick` is measured on the default model (135M) with 30 pairs, 328 examples of about 50 tokens: it ended after 3 epochs, 63
steps; all 30 questions were answered right, and 62 % in words that were not taught; perplexity on other text was 0.6 % higher
(`docs/benchmarks`; without other wordings 32 % and 0.7 %). The rates are for the default model; `suited_rate` has those of
wider ones. `balanced` and `thorough`, half as many passes again and twice as many with a larger adapter, are not measured.
"""

PRESET_WIDTH = 576
"""Width of the default model's hidden states, for which the presets' rates were chosen."""
_RATE_BY_WIDTH = 0.781
"""How the best LoRA rate falls with the width of Llama models, as a power (Schulman et al. 2025, "LoRA Without Regret")."""


def suited_rate(rate: float, width: int) -> float:
    """A preset's learning rate for a model of another width, to two digits; narrower ones get no higher rate.

    It gives a model of 4,096 (8B) 2.2e-4 for 1e-3, near to the 2e-4 that is usual there (Dettmers et al. 2023, table 9).
    """
    return rate if width <= PRESET_WIDTH else float(f"{rate * (PRESET_WIDTH / width) ** _RATE_BY_WIDTH:.2g}")


def preset(name: str, **changes: Json) -> TrainingConfig:
    """A preset, with some settings changed.

    Raises:
        InputError: no such preset, or a value that makes no sense.
    """
    if name not in PRESETS:
        raise InputError(f"There is no preset {name!r}.", hint=f"Choose {', '.join(PRESETS)}.")
    return replace(PRESETS[name], **changes)  # type: ignore[arg-type]  # checked in __post_init__
