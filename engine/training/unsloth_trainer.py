"""LoRA training with Unsloth, for machines with a CUDA device: faster, and in less memory, than `peft_trainer`.

The same tokens and settings go in and the same PEFT folder comes out; only the loop is Unsloth's. It starts over instead of
resuming: its checkpoints hold pickles, which this product does not read.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engine.domain import Json
from engine.errors import TrainingError
from engine.training.config import TrainingConfig
from engine.training.control import RunControl
from engine.training.encoding import EncodedExample
from engine.training.schedule import total_steps
from engine.training.trainer import Progress, TrainingData, TrainingPaths, TrainingResult

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback
    from trl import SFTConfig

_IGNORED = -100
"""The label of tokens that are not learnt, as PyTorch's cross-entropy defines it."""


class UnslothTrainer:
    """The strategy for CUDA devices, where Unsloth is installed (the extra `cuda`)."""

    name = "unsloth"

    def train(
        self,
        data: TrainingData,
        config: TrainingConfig,
        paths: TrainingPaths,
        progress: Progress,
        control: RunControl | None = None,
    ) -> TrainingResult:
        """See `Trainer.train`. Early stopping is not supported, and `control` is not looked at."""
        _require_unsloth()
        paths.metrics.unlink(missing_ok=True)
        os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")  # it reports its use to a server otherwise
        import unsloth  # noqa: F401  # patches trl and transformers, so it must come before them
        from trl import SFTTrainer

        model, tokenizer = _load(config, paths)
        steps = total_steps(len(data.train.items), config)
        trainer = SFTTrainer(
            model=model,
            processing_class=tokenizer,
            train_dataset=_labelled(data.train.items),
            args=_arguments(config, paths, steps),
            callbacks=[_reporter(paths, progress, steps)],
        )
        trainer.train()
        model.save_pretrained(paths.peft_dir, safe_serialization=True)
        rows = paths.metrics.read_text("utf-8").splitlines()
        return TrainingResult(paths.peft_dir, tuple(json.loads(row) for row in rows))


def _require_unsloth() -> None:
    """Refuse where Unsloth cannot run, before anything is loaded."""
    import torch

    if not torch.cuda.is_available():
        raise TrainingError("Unsloth needs a CUDA device, and there is none.", hint="Use the strategy peft.")
    if importlib.util.find_spec("unsloth") is None:
        raise TrainingError("Unsloth is not installed.", hint="Install the extra `cuda`, or use the strategy peft.")


def _load(config: TrainingConfig, paths: TrainingPaths) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Unsloth's model with LoRA matrices, and the base's tokenizer (for padding only: the examples are tokens already)."""
    from unsloth import FastLanguageModel

    model, tokenizer = FastLanguageModel.from_pretrained(
        str(paths.base_folder), max_seq_length=config.max_sequence_length, load_in_4bit=False, local_files_only=True
    )
    adapted = FastLanguageModel.get_peft_model(
        model,
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=list(config.target_modules),
        random_state=config.seed,
        use_gradient_checkpointing="unsloth",
    )
    return adapted, tokenizer


def _labelled(items: Sequence[EncodedExample]) -> Dataset:
    """Tokens and labels; only answer tokens have a label."""
    from datasets import Dataset

    return Dataset.from_list(
        [
            {
                "input_ids": list(item.tokens),
                "labels": [_IGNORED] * item.prompt_length + list(item.tokens[item.prompt_length :]),
            }
            for item in items
        ]
    )


def _arguments(config: TrainingConfig, paths: TrainingPaths, steps: int) -> SFTConfig:
    """Our settings in TRL's words."""
    from trl import SFTConfig

    return SFTConfig(
        output_dir=str(paths.run_dir / "unsloth"),
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        max_steps=steps,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warmup_ratio=config.warmup_ratio,
        lr_scheduler_type="cosine",
        max_grad_norm=config.max_grad_norm,
        max_length=config.max_sequence_length,
        seed=config.seed,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        group_by_length=True,
        dataset_kwargs={"skip_prepare_dataset": True},
    )


def _reporter(paths: TrainingPaths, progress: Progress, steps: int) -> TrainerCallback:
    """A callback that turns Transformers' log entries into our rows and events."""
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

    class Reporter(TrainerCallback):  # type: ignore[misc]  # Transformers is not typed
        def __init__(self) -> None:
            self.last = time.monotonic()

        def on_log(
            self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Mapping[str, float], **_: object
        ) -> None:
            if "loss" not in logs:
                return
            now = time.monotonic()
            seconds, self.last = now - self.last, now
            row: dict[str, Json] = {
                "step": state.global_step,
                "epoch": math.floor(state.epoch or 0),
                "loss": logs["loss"],
                "eval_loss": None,
                "learning_rate": logs.get("learning_rate"),
                "tokens_per_s": None,
                "seconds": seconds,
            }
            with paths.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            progress({"event": "progress", **row, "steps": steps, "eta_s": (steps - state.global_step) * seconds})

    return Reporter()
