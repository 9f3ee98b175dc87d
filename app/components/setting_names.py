"""The settings of a fine-tune by names for people, with their units, in the groups in which they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.training.settings import Setting

GROUPS: Mapping[str, Mapping[str, str]] = {
    "What is learnt": {
        "rank": "Rank of the adapter",
        "alpha": "Scale of the adapter (alpha)",
        "max_sequence_length": "Longest example, in tokens",
        "dropout": "Dropout, share of inputs",
        "anchor_weight": "Weight of former knowledge",
        "seed": "Seed of random numbers",
        "target_modules": "Layers that are adapted",
    },
    "How long, and how fast": {
        "epochs": "Passes over the data",
        "learning_rate": "Learning rate at its peak",
        "least_steps": "Steps at least",
        "max_steps": "Steps at most",
        "batch_size": "Examples computed at once",
        "gradient_accumulation": "Batches in a step",
        "warmup_ratio": "Warm-up, share of the steps",
        "min_learning_rate_ratio": "Rate at the end, share of peak",
        "max_grad_norm": "Largest gradient (L2 norm)",
        "weight_decay": "Weight decay",
    },
    "When it stops, and what is kept": {
        "best_by": "Best by",
        "early_stopping_patience": "Patience, in looks without gain",
        "stop_at_loss": "Stop below a training loss of",
    },
    "Looks and checkpoints": {
        "eval_fraction": "Measured, not learnt: share",
        "eval_every": "Steps between looks",
        "eval_samples": "Sample answers at a look",
        "checkpoint_every": "Steps between checkpoints",
    },
    "Memory": {
        "dtype": "Frozen weights as",
        "quantise_base": "Frozen weights in four bits",
    },
}
"""Every setting under what it is about. One that is in none of them is shown last, under its own name."""
OTHERS = "Others"
CHOICES: Mapping[str, Mapping[str, str]] = {
    "best_by": {"auto": "what suits the data", "held_out": "held-out loss", "training": "training loss"},
    "dtype": {"auto": "what is faster here", "float32": "32 bits (float32)", "bfloat16": "16 bits (bfloat16)"},
}
"""Values that are chosen from a list, in words."""
WHEN_EMPTY: Mapping[str, str] = {"max_steps": "no limit", "eval_every": "chosen by length"}
"""What it means that a box is empty."""

_LABELS = {name: label for group in GROUPS.values() for name, label in group.items()}


def setting_label(name: str) -> str:
    """A setting's name for people."""
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def setting_help(setting: Setting) -> str:
    """What a setting means, and what the command line calls it."""
    return f"{setting.explanation}\n\nOn the command line: `--set {setting.name}=…`"


def value_in_words(name: str, value: object) -> str:
    """A value as a person reads it."""
    if value is None:
        return WHEN_EMPTY.get(name, "none")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return CHOICES.get(name, {}).get(str(value), f"{value:g}" if isinstance(value, float) else str(value))


def grouped(settings: Iterable[Setting]) -> dict[str, list[Setting]]:
    """The settings by group, in the groups' order; groups without any are left out."""
    left = {setting.name: setting for setting in settings}
    groups = {title: [left.pop(name) for name in names if name in left] for title, names in GROUPS.items()}
    groups[OTHERS] = list(left.values())
    return {title: members for title, members in groups.items() if members}
