"""The model that is trained: the base with LoRA matrices, and its predictions for the tokens of answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from engine.errors import TrainingError
from engine.machine import memory_available
from engine.training.bases.base_model import load_base
from engine.training.bases.families import target_modules
from engine.training.bases.model_shape import shape_of
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExample
from engine.training.loop.packing import ANCHOR_WINDOW, ROW_TOKENS, PackedBatch, in_pieces, pack
from engine.training.loop.pieces import PiecewiseLoss
from engine.training.planning.estimate import FLOAT, activations
from engine.training.planning.workload import Pass
from engine.training.strategies.weight_type import weight_type
from engine.training.trainer import TrainingPaths

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor
    from transformers import PreTrainedModel

    from engine.training.loop.anchor import Anchor, Draw


def lora_model(paths: TrainingPaths, config: TrainingConfig, longest: int = 0) -> PeftModel:
    """The base with fresh LoRA matrices, on the GPU where there is one.

    Args:
        paths: where the base is.
        config: rank, layers and the rest.
        longest: tokens of the longest example, where it is to be trained: if memory is short for rows of this length,
            activations are computed again in the backward pass instead of kept.

    Raises:
        TrainingError: the base has none of the layers that the settings name.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    from engine.training.loop.row_attention import use_row_attention
    from engine.training.strategies.fused_layers import fuse

    base = load_base(paths.base_folder, weight_type(config.dtype))
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
    use_row_attention(base)
    if longest:
        recompute_if_short(model, config, max(longest, ROW_TOKENS), _memory_left(model))
    return model


def recompute_if_short(model: PeftModel, config: TrainingConfig, tokens: int, available: int) -> bool:
    """Recompute activations in the backward pass (Chen et al. 2016) if those of a row do not fit into the bytes available.

    A third more work for the memory of one block instead of all. Returns whether it is done.
    """
    base = model.get_base_model()
    held = replace(config, dtype="bfloat16" if base.dtype.itemsize < FLOAT else "float32")
    row = Pass(1, tokens, tokens, shared=True)
    if activations(shape_of(base), held, row, "cuda" if base.device.type == "cuda" else "cpu") <= available:
        return False
    model.get_base_model().gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return True


def _memory_left(model: PeftModel) -> int:
    """Bytes that can still be taken where the model is."""
    import torch

    return int(torch.cuda.mem_get_info(model.device)[0]) if model.device.type == "cuda" else memory_available()


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

    from engine.training.loop.answer_loss import summed_loss

    base = model.get_base_model()
    if not _output_layer_is_plain(base):  # it has LoRA matrices
        logits, targets = answer_logits(model, batch)
        return torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    hidden, targets = _predicting_states(base, batch)
    head = base.get_output_embeddings()
    return summed_loss(hidden, head.weight, head.bias, targets, _soft_cap(base))


def training_loss(
    model: PeftModel,
    general: Sequence[int],
    weight: float,
    answer_loss: Callable[[PeftModel, Sequence[EncodedExample]], Tensor] = answer_loss,
) -> Callable[[Sequence[EncodedExample]], Tensor]:
    """`answer_loss`, whose gradient also holds the model to what it predicted before on general text.

    The value is the loss of the answers alone, so that it can be compared with other trainings and with held-out losses.

    Args:
        model: the base with LoRA matrices that are not trained yet.
        general: tokens of general text; none: `answer_loss` and no more.
        weight: of the mean divergence of a token of that text, against the mean loss of an answer token.
        answer_loss: computes the loss of answers, where it is not the one of this module.
    """
    import torch

    from engine.training.loop.anchor import Anchor

    wanted = weight > 0 and len(general) >= ANCHOR_WINDOW
    anchor = Anchor(model.get_base_model(), general) if wanted else None
    if _is_own(answer_loss) and _output_layer_is_plain(model.get_base_model()):
        return PiecewiseLoss(partial(_in_pieces, model, anchor, weight))
    if anchor is None:
        return lambda batch: answer_loss(model, batch)

    def loss(batch: Sequence[EncodedExample]) -> Tensor:
        answers = answer_loss(model, batch)
        if not torch.is_grad_enabled():
            return answers
        held = anchor.divergence() * (weight * sum(item.answer_length for item in batch))
        return answers + (held - held.detach())

    return loss


def _is_own(loss: Callable[[PeftModel, Sequence[EncodedExample]], Tensor]) -> bool:
    return loss is answer_loss


def _in_pieces(
    model: PeftModel, anchor: Anchor | None, weight: float, batch: Sequence[EncodedExample], *, apart: bool
) -> list[Callable[[], Tensor]]:
    """The loss of a row as a sum of one or two, of which the last holds the model to what it predicted before."""
    import torch

    drawn = anchor.draw() if anchor is not None and torch.is_grad_enabled() else None
    answers = sum(item.answer_length for item in batch)
    apart = apart and _may_be_apart(model) and _may_pack(model.get_base_model(), batch)
    first, last = in_pieces(batch, len(drawn.tokens) if drawn else 0) if apart else ([], list(batch))

    def held_loss() -> Tensor:
        if anchor is None or drawn is None:
            return answer_loss(model, last)
        return _held_loss(model, last, anchor, drawn, weight * answers)

    return [*([partial(answer_loss, model, first)] if first else []), held_loss]


def _may_be_apart(model: PeftModel) -> bool:
    """Whether pieces may be computed at the same time: on a processor, and where nothing draws random numbers."""
    return model.device.type == "cpu" and not any(config.lora_dropout for config in model.peft_config.values())


def _held_loss(model: PeftModel, batch: Sequence[EncodedExample], anchor: Anchor, drawn: Draw, weight: float) -> Tensor:
    """`answer_loss`, whose gradient is also that of a weighted divergence: both from one pass over one row."""
    from engine.training.loop.answer_loss import summed_loss

    base = model.get_base_model()
    head = base.get_output_embeddings()
    hidden, packed = _states(base, batch, drawn.tokens)
    answers = summed_loss(hidden[packed.predicting], head.weight, head.bias, packed.targets, _soft_cap(base))
    held = anchor.divergence_of(hidden[packed.window], drawn) * weight
    return answers + (held - held.detach())


def _output_layer_is_plain(base: PreTrainedModel) -> bool:
    """Whether the output layer is frozen, and a matrix and no more."""
    import torch

    head = base.get_output_embeddings()
    return type(head) is torch.nn.Linear and not head.weight.requires_grad


def _predicting_states(base: PreTrainedModel, batch: Sequence[EncodedExample]) -> tuple[Tensor, Tensor]:
    """The last hidden states that predict answer tokens, shape (answer tokens, width), and those tokens."""
    hidden, packed = _states(base, batch)
    return hidden[packed.predicting], packed.targets


def _states(base: PreTrainedModel, batch: Sequence[EncodedExample], window: Sequence[int] = ()) -> tuple[Tensor, PackedBatch]:
    """The last hidden states of all tokens of a batch's rows, shape (tokens, width), and how the rows are laid out."""
    from engine.training.loop.row_attention import NAME

    packed = pack(batch, ROW_TOKENS if _may_pack(base, batch) else 0, window)
    if base.device.type != "meta":  # weights on the disk come to the processor (`engine.training.adapters.reference_model`)
        packed = packed.to(base.device)
    known: dict[str, object] = {"row_parts": packed.parts} if packed.parts and base.config._attn_implementation == NAME else {}
    # Padding is on the right and attention is causal: no token sees it, and rows of one example need no mask.
    hidden = base.base_model(
        input_ids=packed.tokens, position_ids=packed.positions, attention_mask=_mask(base, packed), use_cache=False, **known
    ).last_hidden_state
    return hidden.flatten(0, 1), packed


def _may_pack(base: PreTrainedModel, batch: Sequence[EncodedExample]) -> bool:
    """Whether all layers see a whole example: the mask of a packed row knows nothing of a sliding window."""
    window = getattr(base.config, "sliding_window", None)
    return window is None or max(len(item.tokens) for item in batch) <= window


def _mask(base: PreTrainedModel, packed: PackedBatch) -> Tensor | None:
    """What is added to attention scores; every implementation of attention takes it in this form."""
    import torch

    if packed.visible is None:
        return None
    mask = torch.zeros(packed.visible.shape, dtype=base.dtype, device=packed.visible.device)
    return mask.masked_fill_(~packed.visible, torch.finfo(base.dtype).min)


def _soft_cap(base: PreTrainedModel) -> float | None:
    """Gemma 2's soft cap of the logits."""
    cap: float | None = getattr(base.config, "final_logit_softcapping", None)
    return cap
