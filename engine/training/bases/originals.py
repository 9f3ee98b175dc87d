"""The weights of a GGUF model before it was quantised: a Hugging Face folder beside the file, if it is the right one.

Names prove nothing, so the weights themselves are compared. Vectors, above all the norms, are in every GGUF file in full
precision and must be the same in the folder; a fine-tuned sister model differs in them. Matrices must differ by no more than
quantisation explains. Of the folder only `*.safetensors` and a few figures of `config.json` are read: no code, no pickles, and
no file names that the folder names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import ModelFileError
from engine.model_registry.ggml_types import TENSOR_TYPES
from engine.training.bases.families import Family, family_of
from engine.training.bases.gguf_base import Array, GgufBase

if TYPE_CHECKING:
    from torch import Tensor

MAX_CONFIG = 1 << 20
MAX_FOLDERS = 200
SAMPLED_ROWS = 256
"""Rows of a matrix that are compared."""
SAMPLED_LAYERS = 3
"""Layers whose matrices are compared: first, middle and last."""

_BOUNDS = ((16.0, 0.01), (8.0, 0.03), (6.0, 0.06), (5.0, 0.1), (4.0, 0.2), (3.0, 0.4), (0.0, 0.8))
"""Bits of a weight, and the most that quantisation to so many may change: the error's norm over the weights'.

About twice what normally distributed weights show; the weights of another model differ by 1.4.
"""
_FIGURES = {
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
}
_WRAPPERS = (("model.language_model.", "model."), ("language_model.model.", "model."), ("language_model.lm_head", "lm_head"))
"""Models that also see have their text model below another name."""
_LAYER = re.compile(r"blk\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class Originals:
    """A folder's weights: for each of Transformers' names the file, and the name there."""

    folder: Path
    places: Mapping[str, tuple[Path, str]]

    def tensor(self, name: str, rows: int) -> Tensor:
        """The first rows of a tensor, in the type that it is stored in. Folders may pad the vocabulary.

        Raises:
            ModelFileError: it cannot be read.
        """
        from safetensors import SafetensorError, safe_open

        file, stored = self.places[name]
        try:
            with safe_open(file, framework="pt") as opened:
                tensor: Tensor = opened.get_slice(stored)[:rows]
        except (OSError, SafetensorError) as exc:
            raise ModelFileError(f"{self.folder.name} cannot be read: {exc}", hint="Get the folder again.") from exc
        return tensor

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape. Raises as `tensor` does."""
        from safetensors import SafetensorError, safe_open

        file, stored = self.places[name]
        try:
            with safe_open(file, framework="pt") as opened:
                return tuple(opened.get_slice(stored).get_shape())
        except (OSError, SafetensorError) as exc:
            raise ModelFileError(f"{self.folder.name} cannot be read: {exc}", hint="Get the folder again.") from exc

    def stamp(self) -> str:
        """Changes when a file of the folder is replaced."""
        files = sorted({file for file, _ in self.places.values()})
        states = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        return hashlib.sha256(json.dumps(states).encode()).hexdigest()[:12]


def candidates(base: GgufBase) -> Iterator[Originals]:
    """The folders beside the file that have all of the model's tensors and its main figures."""
    family = family_of(base)
    needed = {name for stored in base.tensors if (name := _name(family, stored)) is not None}
    for folder in sorted(base.path.parent.iterdir())[:MAX_FOLDERS]:
        if folder.name.startswith(".") or not folder.is_dir() or not _has_figures(folder, base):
            continue
        places = _places(folder)
        if needed <= places.keys():
            yield Originals(folder, {name: places[name] for name in needed})


def difference(base: GgufBase, originals: Originals) -> str | None:
    """What shows that a folder is not this model before quantisation; None where nothing does.

    Raises:
        ModelFileError: the folder or the base cannot be read.
    """
    family = family_of(base)
    chosen = _chosen_layers(base.layers)
    for stored in base.tensors:
        name = _name(family, stored)
        if name is None:
            continue
        shape, theirs = base.shape(stored), originals.shape(name)
        if theirs[1:] != shape[1:] or theirs[0] < shape[0] or (_LAYER.match(stored) and theirs != shape):
            return f"{name} is {theirs} and not {shape}"
        if len(shape) == 1 and not _same_vector(base, family, stored, originals, name):
            return f"{name} has other values"
        if len(shape) == 2 and _is_sampled(stored, family, chosen) and not _same_matrix(base, stored, originals, name):
            return f"{name} differs by more than quantisation explains"
    return None


def _name(family: Family, stored: str) -> str | None:
    try:
        return family.tensor_to_module(stored)
    except KeyError:  # writing the copy refuses it, with a message
        return None


def _has_figures(folder: Path, base: GgufBase) -> bool:
    try:
        with (folder / "config.json").open("rb") as file:
            config = json.loads(file.read(MAX_CONFIG))
    except (OSError, ValueError, RecursionError):
        return False
    if not isinstance(config, dict):
        return False
    text = config.get("text_config", config)
    return isinstance(text, dict) and all(text.get(theirs) == base.whole(ours) for theirs, ours in _FIGURES.items())


def _places(folder: Path) -> dict[str, tuple[Path, str]]:
    """Each tensor of a folder by its name in the text model; empty where a file is damaged."""
    from safetensors import SafetensorError, safe_open

    places: dict[str, tuple[Path, str]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as opened:
                for stored in opened.keys():  # noqa: SIM118  # no mapping
                    places.setdefault(_text_name(stored), (file, stored))
        except (OSError, SafetensorError):
            return {}
    return places


def _text_name(name: str) -> str:
    for wrapped, plain in _WRAPPERS:
        if name.startswith(wrapped):
            return plain + name.removeprefix(wrapped)
    return name


def _chosen_layers(layers: int) -> frozenset[int]:
    return frozenset(round(part * (layers - 1) / (SAMPLED_LAYERS - 1)) for part in range(SAMPLED_LAYERS))


def _is_sampled(stored: str, family: Family, chosen: frozenset[int]) -> bool:
    """Whether a matrix is compared: not where the first rows here are others than the first rows there."""
    if family.interleaved and stored.endswith(("attn_q.weight", "attn_k.weight")):
        return False
    layer = _LAYER.match(stored)
    return layer is None or int(layer[1]) in chosen


def _same_vector(base: GgufBase, family: Family, stored: str, originals: Originals, name: str) -> bool:
    ours = family.to_transformers(stored, base.array(stored), base)
    return bool(np.allclose(ours, _floats(originals.tensor(name, len(ours))), rtol=1e-5, atol=1e-6))


def _same_matrix(base: GgufBase, stored: str, originals: Originals, name: str) -> bool:
    ours = base.array(stored, rows=SAMPLED_ROWS)
    theirs = _floats(originals.tensor(name, len(ours)))
    form = next(kind for kind in TENSOR_TYPES.values() if kind.name == base.tensors[stored][1].type_name)
    bits = form.size * 8 / form.block
    bound = next(most for least, most in _BOUNDS if bits >= least)
    return bool(np.linalg.norm(ours - theirs) <= bound * np.linalg.norm(theirs))


def _floats(tensor: Tensor) -> Array:
    values: Array = tensor.float().numpy()
    return values
