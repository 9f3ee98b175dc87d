"""The model that Unsloth trains, and its loss on a batch of examples.

Unsloth replaces functions of Transformers and PEFT as it is imported: this module may be used in a process of its own alone.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ModelFileError, TrainingError
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExample
from engine.training.loop.learner import Learner
from engine.training.strategies.lora_model import training_loss
from engine.training.strategies.weight_type import weight_type

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor

IGNORED = -100
"""The label of tokens that are not learnt, as PyTorch's cross-entropy defines it."""
UNPACKED = ("gemma2", "gpt_oss")
"""Kinds of models whose attention keeps packed examples apart only approximately; Unsloth refuses to pack for them."""


def unsloth_learner(base_folder: Path, config: TrainingConfig, general: Sequence[int]) -> Learner:
    """Unsloth's model with fresh LoRA matrices, on the GPU where there is one.

    Args:
        base_folder: the training copy.
        config: the settings.
        general: tokens of general text, on which the model is held to what it predicted before.

    Raises:
        ModelFileError: the training copy is damaged.
        TrainingError: the base has none of the layers that the settings name, or four bits do not work here.
    """
    import unsloth  # isort: skip  # before Transformers and PEFT, which it changes

    model = _base(base_folder, config)
    try:
        adapted = unsloth.FastLanguageModel.get_peft_model(
            model,
            r=config.rank,
            lora_alpha=config.alpha,
            lora_dropout=config.dropout,
            target_modules=list(config.target_modules),
            random_state=config.seed,
            use_gradient_checkpointing=_checkpointing(),
        )
    except (ValueError, TypeError) as exc:
        raise TrainingError(f"The settings do not fit this model: {exc}", hint="Change target_modules.") from exc
    return Learner(adapted, _loss(adapted, general, config.anchor_weight))


def answer_loss(model: PeftModel, batch: Sequence[EncodedExample]) -> Tensor:
    """The sum of the cross-entropies of a batch's answer tokens, in nats: a float32 scalar to take gradients of.

    The labels go into the model's own forward pass: there Unsloth computes the loss without holding all logits.
    """
    packed = model.config.model_type not in UNPACKED
    rows = in_one_row(batch) if packed else in_rows(batch)
    answers = sum(item.answer_length for item in batch)
    made = model(**{name: rows[name].to(model.device) for name in rows}, num_items_in_batch=answers, use_cache=False)
    loss: Tensor = made.loss.float() * answers
    return loss


def _loss(model: PeftModel, general: Sequence[int], weight: float) -> Callable[[Sequence[EncodedExample]], Tensor]:
    """`answer_loss`, held to former predictions as `training_loss` does it, in the precision that Unsloth expects."""
    with _precision(model):
        plain = training_loss(model, general, weight, answer_loss)

    def loss(batch: Sequence[EncodedExample]) -> Tensor:
        with _precision(model):
            return plain(batch)

    return loss


def in_one_row(batch: Sequence[EncodedExample]) -> dict[str, Tensor]:
    """A batch packed into one row without padding, shape (1, tokens); positions that start anew keep examples apart."""
    import torch

    return {
        "input_ids": torch.tensor([[token for item in batch for token in item.tokens]]),
        "position_ids": torch.tensor([[at for item in batch for at in range(len(item.tokens))]]),
        "labels": torch.tensor([[label for item in batch for label in _labels(item)]]),
    }


def in_rows(batch: Sequence[EncodedExample]) -> dict[str, Tensor]:
    """A batch with a row for each example, padded on the right: attention is causal, so that no token sees the padding."""
    import torch

    width = max(len(item.tokens) for item in batch)
    spare = [width - len(item.tokens) for item in batch]
    return {
        "input_ids": torch.tensor([[*item.tokens, *[0] * left] for item, left in zip(batch, spare, strict=True)]),
        "labels": torch.tensor([[*_labels(item), *[IGNORED] * left] for item, left in zip(batch, spare, strict=True)]),
    }


def _labels(item: EncodedExample) -> list[int]:
    """What is learnt at each token; the first token of an example, which the one before it must not predict, never."""
    return [*[IGNORED] * max(item.prompt_length, 1), *item.tokens[max(item.prompt_length, 1) :]]


def _base(folder: Path, config: TrainingConfig) -> PeftModel:
    """The frozen weights as Unsloth loads them, in 16 or 32 bits or in four."""
    import torch
    from unsloth import FastLanguageModel

    with tempfile.TemporaryDirectory() as tokenizer:
        _write_tokenizer(Path(tokenizer))
        try:
            model, _ = FastLanguageModel.from_pretrained(
                str(folder),
                tokenizer_name=tokenizer,
                fix_tokenizer=False,
                max_seq_length=config.max_sequence_length,
                dtype=getattr(torch, weight_type(config.dtype)),
                load_in_4bit=config.quantise_base,
                use_gradient_checkpointing=_checkpointing(),
                random_state=config.seed,
                local_files_only=True,
                use_exact_model_name=True,
            )
        except (OSError, ValueError, KeyError, RuntimeError) as exc:
            raise ModelFileError(f"The training copy {folder.name} cannot be loaded: {exc}", hint=f"Delete {folder}.") from exc
    if config.quantise_base and not any(type(module).__name__ == "Linear4bit" for module in model.modules()):
        raise TrainingError("Four bits do not work on this machine.", hint="Switch quantise_base off.")
    return model


def _checkpointing() -> str | bool:
    """On a GPU Unsloth's own way to compute activations again, which keeps what it needs for that in ordinary memory."""
    import torch

    return "unsloth" if torch.cuda.is_available() else False


def _precision(model: PeftModel) -> AbstractContextManager[object]:
    """Mixed precision on the GPU, as Unsloth expects it: LoRA matrices in float32, products in the base's bfloat16."""
    import torch

    mixed = model.device.type == "cuda" and model.dtype == torch.bfloat16
    return torch.autocast("cuda", dtype=torch.bfloat16) if mixed else nullcontext()


def _write_tokenizer(folder: Path) -> None:
    """A tokenizer for form's sake: Unsloth wants one, and the examples are tokens already."""
    vocabulary = {"<pad>": 0, "<end>": 1}
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<pad>"}
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": model}), "utf-8")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "eos_token": "<end>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
