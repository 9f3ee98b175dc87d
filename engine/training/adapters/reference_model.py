"""The model that served adapters are compared with: the training copy in float32 with the PEFT adapter, on the processor.

In float32 a model of 8 billion weights takes 32 GB. Where that is not to be had comfortably, each matrix is read from the disk
when the forward pass comes to it and forgotten after it (`accelerate`'s hooks), so that no more than the largest one is in
memory; the values are the same. Copies in float32 are mapped: the system can take back what they hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import ModelFileError
from engine.machine import memory_available
from engine.training.bases.base_model import empty_base, load_base
from engine.training.datasets.encoding import EncodedExample
from engine.training.loop.memory import free_memory

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

    from engine.training.adapters.parity import Logits

COMFORTABLE = 0.5
"""Part of the memory available that the weights may take as a whole."""
MOST_TOKENS, MOST_LOGITS = 2048, 512 << 20
"""Tokens, padding included, and bytes of logits that are computed at once where all weights are read from the disk for them."""
_FLOAT = 4
_ADAPTER_PART = re.compile(r"(\.lora_[AB])(?=\.weight$)")


@dataclass(frozen=True, slots=True)
class _Stored:
    """Where a weight is: the file, and its shape."""

    file: Path
    shape: tuple[int, ...]


def reference_model(base_folder: Path, peft_dir: Path) -> PeftModel:
    """The training copy with an adapter, ready to predict.

    Raises:
        ModelFileError: the copy is damaged.
    """
    free_memory()  # a training that has just ended leaves its model to the garbage collector
    size = _FLOAT * sum(math.prod(weight.shape) for weight in _stored(base_folder).values())
    fits = size <= COMFORTABLE * memory_available()
    return whole_model(base_folder, peft_dir) if fits else streamed_model(base_folder, peft_dir)


def predictions(model: PeftModel, examples: Sequence[EncodedExample], *, adapted: bool = True) -> Iterator[Logits]:
    """Logits for the answer tokens of each example, float32, shape (answer tokens, vocabulary).

    Args:
        model: of `reference_model`.
        examples: computed one by one; of weights on the disk, as many at once as memory allows, since all are read each time.
        adapted: whether the adapter takes part.
    """
    import torch

    from engine.training.strategies.lora_model import answer_logits

    for group in _at_once(model, examples):
        with torch.inference_mode(), nullcontext() if adapted else model.disable_adapter():
            logits = answer_logits(model, group)[0].numpy()
        yield from np.split(logits, np.cumsum([item.answer_length for item in group])[:-1])


def _at_once(model: PeftModel, examples: Sequence[EncodedExample]) -> Iterator[list[EncodedExample]]:
    """The examples, in order, in groups of about so many tokens and bytes of logits; one by one where weights are in memory."""
    base = model.get_base_model()
    answers = MOST_LOGITS // (_FLOAT * base.get_output_embeddings().out_features) if base.device.type == "meta" else 0
    group: list[EncodedExample] = []
    for item in examples:
        more = [*group, item]
        tokens, wanted = len(more) * max(len(one.tokens) for one in more), sum(one.answer_length for one in more)
        if group and (tokens > MOST_TOKENS or wanted > answers):
            yield group
            more = [item]
        group = more
    if group:
        yield group


def whole_model(base_folder: Path, peft_dir: Path) -> PeftModel:
    """The model with all its weights in memory. Raises as `reference_model`."""
    return _adapted(load_base(base_folder, "float32"), peft_dir)


def streamed_model(base_folder: Path, peft_dir: Path) -> PeftModel:
    """The model with its weights on the disk, read matrix by matrix in each forward pass. Raises as `reference_model`."""
    from peft.utils import load_peft_weights

    stored = _stored(base_folder)
    base = empty_base(base_folder)
    _require_all(base_folder, base, stored)
    _read_at_need(base, stored)
    model = _adapted(base, peft_dir)
    # PEFT puts matrices where the base's are, on the disk; these are small and stay in memory.
    matrices = {
        _ADAPTER_PART.sub(r"\1.default", name): tensor for name, tensor in load_peft_weights(str(peft_dir), "cpu").items()
    }
    model.load_state_dict(matrices, strict=False, assign=True)
    return model


def _read_at_need(base: PreTrainedModel, stored: Mapping[str, _Stored]) -> None:
    """Let each layer read its weights before it computes, and forget them after it."""
    import torch
    from accelerate.hooks import AlignDevicesHook, add_hook_to_module
    from accelerate.utils import OffloadedWeightsLoader, PrefixedDataset

    places = {
        name: {"safetensors_file": str(one.file), "weight_name": name, "dtype": "float32"} for name, one in stored.items()
    }
    for name, twin in base.all_tied_weights_keys.items():
        places.setdefault(name, places[twin])
    weights = OffloadedWeightsLoader(index=places)
    for name, buffer in base.named_buffers():
        if name in places:  # stored and no parameter: Gemma 4's scales of layers, one number each
            buffer.copy_(weights[name])
    for name, module in base.named_modules():
        if next(module.parameters(recurse=False), None) is not None:  # hooks copy arguments, which others share
            own = PrefixedDataset(weights, f"{name}.")
            add_hook_to_module(module, AlignDevicesHook(torch.device("cpu"), offload=True, weights_map=own))


def _adapted(base: PreTrainedModel, peft_dir: Path) -> PeftModel:
    from peft import PeftModel

    model: PeftModel = PeftModel.from_pretrained(base, peft_dir, local_files_only=True, low_cpu_mem_usage=True).eval()
    return model


def _stored(folder: Path) -> dict[str, _Stored]:
    """The weights of a training copy by their names."""
    from safetensors import SafetensorError, safe_open

    found: dict[str, _Stored] = {}
    try:
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118  # no mapping
                    found[name] = _Stored(file, tuple(opened.get_slice(name).get_shape()))
    except (OSError, SafetensorError) as exc:
        raise ModelFileError(f"The training copy {folder.name} is damaged: {exc}", hint=f"Delete {folder}.") from exc
    return found


def _require_all(folder: Path, base: PreTrainedModel, stored: dict[str, _Stored]) -> None:
    """Make sure that each weight is there in its shape."""
    for name, tensor in base.state_dict().items():
        twin = base.all_tied_weights_keys.get(name, name)
        weight = stored.get(name) or stored.get(twin)
        if weight is None or weight.shape != tuple(tensor.shape):
            raise ModelFileError(f"The training copy {folder.name} is damaged: {name} is missing.", hint=f"Delete {folder}.")
