"""Writes a model as a Transformers folder, one tensor at a time: a large model needs no more memory for it than a small one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.domain import Json
from engine.training.bases.families import Family, family_of
from engine.training.bases.gguf_base import GgufBase
from engine.training.bases.originals import Originals
from engine.training.bases.settings import configuration

if TYPE_CHECKING:
    from torch import Tensor

SHARD_BYTES = 1 << 30
"""A file of the copy is closed when it has reached this size: so much is held in memory, and one tensor more."""
INDEX = "model.safetensors.index.json"


def write_copy(base: GgufBase, originals: Originals | None, folder: Path) -> None:
    """Write `config.json` and the weights into a folder that is there.

    Args:
        base: the GGUF model, which the configuration is of.
        originals: where the weights are taken from; None: dequantised from the base.
        folder: where to write.

    Raises:
        ModelFileError: the model cannot be fine-tuned.
        OSError: the disk refused.
    """
    settings = configuration(base)
    _require_shapes(base, settings)
    (folder / "config.json").write_text(json.dumps(settings, indent=1), "utf-8")
    shards = _Shards(folder)
    for name, tensor in _weights(base, family_of(base), originals):
        shards.add(name, tensor)
    shards.finish()


def _weights(base: GgufBase, family: Family, originals: Originals | None) -> Iterator[tuple[str, Tensor]]:
    """All weights by their names in Transformers."""
    import torch

    # Values of these types take two bytes in the copy as well, and lose nothing.
    kept = {"F16": torch.float16, "BF16": torch.bfloat16}
    for stored in base.tensors:
        name = module_name(base, family, stored)
        if name is None:
            continue
        if originals is not None:
            yield name, originals.tensor(name, base.shape(stored)[0])
        else:
            # Dequantised values may be a view of the file, which is not writable.
            values = torch.from_numpy(family.to_transformers(stored, base.array(stored), base).copy())
            yield name, values.to(kept.get(base.tensors[stored][1].type_name, torch.float32))


def module_name(base: GgufBase, family: Family, stored: str) -> str | None:
    """Transformers' name for a tensor; None for one that is no weight.

    Raises:
        ModelFileError: a tensor that this family does not have: leaving it out would train another model.
    """
    try:
        return family.tensor_to_module(stored)
    except KeyError as exc:
        raise base.refusal(f"it has the tensor {stored[:80]!r}, which models of its kind do not have") from exc


def _require_shapes(base: GgufBase, settings: dict[str, Json]) -> None:
    """Make sure that the weights are those that the figures promise, with a model that has no memory.

    Transformers would give random values to what is missing or of another shape, and memory for as much as the figures say.

    Raises:
        ModelFileError: they are not.
    """
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**settings))
    except (ValueError, TypeError, KeyError, RuntimeError, StrictDataclassError) as exc:
        raise base.refusal(f"Transformers does not take its figures ({exc})") from exc
    family = family_of(base)
    stored = {module_name(base, family, tensor): base.shape(tensor) for tensor in base.tensors}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and settings["tie_word_embeddings"]:
            continue
        if stored.get(name) != tuple(tensor.shape):
            raise base.refusal(f"{name} is {stored.get(name, 'missing')}, but its figures ask for {tuple(tensor.shape)}")


class _Shards:
    """Files of about `SHARD_BYTES`, and the index that says which tensor is where."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: dict[str, Tensor] = {}
        self._bytes = self._total = 0
        self._places: dict[str, str] = {}

    def add(self, name: str, tensor: Tensor) -> None:
        """Take a tensor; writes a file when there is enough for one."""
        self._waiting[name] = tensor.contiguous()
        self._bytes += tensor.nbytes
        if self._bytes >= SHARD_BYTES:
            self._write(f"model-{len(set(self._places.values())) + 1:05d}.safetensors")

    def finish(self) -> None:
        """Write what is left, and the index where there are several files."""
        if not self._places:
            self._write("model.safetensors")
            return
        if self._waiting:
            self._write(f"model-{len(set(self._places.values())) + 1:05d}.safetensors")
        index = {"metadata": {"total_size": self._total}, "weight_map": self._places}
        (self._folder / INDEX).write_text(json.dumps(index, indent=1), "utf-8")

    def _write(self, file: str) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        try:
            save_file(self._waiting, self._folder / file, metadata={"format": "pt"})
        except SafetensorError as exc:  # how a full disk shows itself
            raise OSError(str(exc)) from exc
        self._places |= dict.fromkeys(self._waiting, file)
        self._total += self._bytes
        self._waiting, self._bytes = {}, 0
