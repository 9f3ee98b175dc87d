"""The model that is trained: the base with LoRA matrices, and its predictions for the tokens of answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import TrainingError
from engine.training.base_model import load_base
from engine.training.bases.families import target_modules
from engine.training.config import TrainingConfig
from engine.training.encoding import EncodedExample
from engine.training.packing import ROW_TOKENS, PackedBatch, pack
from engine.training.trainer import TrainingPaths

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor
    from transformers import PreTrainedModel


def lora_model(paths: TrainingPaths, config: TrainingConfig) -> PeftModel:
    """The base with fresh LoRA matrices, on the GPU where there is one.

    Raises:
        TrainingError: the base has none of the layers that the settings name.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    from engine.training.fused_layers import fuse

    base = load_base(paths.base_folder, config.dtype)
    torch.manual_seed(config.seed)
    lora = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=list(target_modules(config.target_modules, base.config.model_type)),
        task_type="CAUSAL_LM",
    )
    try:
        model = get_peft_model(base, lora)  # keeps the LoRA matrices in float32 whatever the base's type
    except ValueError as exc:
        raise TrainingError(f"The settings do not fit this model: {exc}", hint="Change target_modules.") from exc
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    fuse(model)
    return model


def answer_logits(model: PeftModel, batch: Sequence[EncodedExample]) -> tuple[Tensor, Tensor]:
    """Logits for the answer tokens of a batch, and those tokens.

    Returns:
        float32 logits of shape (answer tokens of the batch, vocabulary), and the targets of shape (answer tokens,).
    """
    import torch

    base = model.get_base_model()
    hidden, targets = _predicting_states(base, batch)
    logits = base.get_output_embeddings()(hidden).float()
    cap = _soft_cap(base)
    return (logits if cap is None else cap * torch.tanh(logits / cap)), targets


def answer_loss(model: PeftModel, batch: Sequence[EncodedExample]) -> Tensor:
    """The sum of the cross-entropies of a batch's answer tokens, in nats: a float32 scalar to take gradients of."""
    import torch

    from engine.training.answer_loss import summed_loss

    base = model.get_base_model()
    head = base.get_output_embeddings()
    if type(head) is not torch.nn.Linear or head.weight.requires_grad:  # LoRA on the output layer
        logits, targets = answer_logits(model, batch)
        return torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    hidden, targets = _predicting_states(base, batch)
    return summed_loss(hidden, head.weight, head.bias, targets, _soft_cap(base))


def _predicting_states(base: PreTrainedModel, batch: Sequence[EncodedExample]) -> tuple[Tensor, Tensor]:
    """The last hidden states that predict answer tokens, shape (answer tokens, width), and those tokens."""
    packed = pack(batch, ROW_TOKENS if _may_pack(base, batch) else 0).to(base.device)
    # Padding is on the right and attention is causal: no token sees it, and rows of one example need no mask.
    hidden = base.base_model(
        input_ids=packed.tokens, position_ids=packed.positions, attention_mask=_mask(base, packed), use_cache=False
    ).last_hidden_state
    return hidden.flatten(0, 1)[packed.predicting], packed.targets


def _may_pack(base: PreTrainedModel, batch: Sequence[EncodedExample]) -> bool:
    """Whether all layers see a whole example: the mask of a packed row knows nothing of a sliding window."""
    window = getattr(base.config, "sliding_window", None)
    return window is None or max(len(item.tokens) for item in batch) <= window


def _mask(base: PreTrainedModel, packed: PackedBatch) -> Tensor | None:
    """What is added to attention scores; every implementation of attention takes it in this form."""
    import torch

    if packed.visible is None:
        return None
    mask = torch.zeros(packed.visible.shape, dtype=base.dtype, device=base.device)
    return mask.masked_fill_(~packed.visible, torch.finfo(base.dtype).min)


def _soft_cap(base: PreTrainedModel) -> float | None:
    """Gemma 2's soft cap of the logits."""
    cap: float | None = getattr(base.config, "final_logit_softcapping", None)
    return cap
