"""The model that is trained: the base with LoRA matrices, and its predictions for the tokens of answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import TrainingError
from engine.training.base_model import load_base
from engine.training.config import TrainingConfig
from engine.training.encoding import EncodedExample
from engine.training.trainer import TrainingPaths

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor


def lora_model(paths: TrainingPaths, config: TrainingConfig) -> PeftModel:
    """The base with fresh LoRA matrices, on the GPU where there is one.

    Raises:
        TrainingError: the base has none of the layers that the settings name.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    base = load_base(paths.base_folder, config.dtype)
    torch.manual_seed(config.seed)
    lora = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=list(config.target_modules),
        task_type="CAUSAL_LM",
    )
    try:
        model = get_peft_model(base, lora)  # keeps the LoRA matrices in float32 whatever the base's type
    except ValueError as exc:
        raise TrainingError(f"The settings do not fit this model: {exc}", hint="Change target_modules.") from exc
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def answer_logits(model: PeftModel, batch: Sequence[EncodedExample]) -> tuple[Tensor, Tensor]:
    """Logits for the answer tokens of a batch, and those tokens.

    Returns:
        float32 logits of shape (answer tokens of the batch, vocabulary), and the targets of shape (answer tokens,).
    """
    import torch

    width = max(len(item.tokens) for item in batch)
    tokens = torch.zeros((len(batch), width), dtype=torch.long)
    learnt = torch.zeros((len(batch), width), dtype=torch.bool)
    for row, item in enumerate(batch):
        tokens[row, : len(item.tokens)] = torch.tensor(item.tokens)
        learnt[row, item.prompt_length : len(item.tokens)] = True
    tokens, learnt = tokens.to(model.device), learnt.to(model.device)
    base = model.get_base_model()
    # Padding is on the right and attention is causal: no token sees it, and no mask is needed.
    hidden = base.base_model(input_ids=tokens, use_cache=False).last_hidden_state
    logits = base.get_output_embeddings()(hidden[:, :-1][learnt[:, 1:]]).float()
    cap = getattr(base.config, "final_logit_softcapping", None)  # Gemma 2
    return (logits if cap is None else cap * torch.tanh(logits / cap)), tokens[learnt]
