"""Whether a GGUF file is a LoRA adapter that llama.cpp can be given, and whether it fits its base: checked from the headers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from engine.errors import AdapterError, ModelFileError
from engine.model_registry.gguf_file import GgufHeader, GgufTensor, read_gguf

TYPES = frozenset({"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"})
"""Types of LoRA matrices that llama.cpp multiplies with."""
MAX_RANK = 1 << 16

_A, _B = ".lora_a", ".lora_b"
_HINT = "Fine-tune again, or choose another."


def check_adapter_file(path: Path, base: Path | None = None) -> None:
    """Check all that can be told from the header of an adapter.

    Args:
        path: a GGUF file.
        base: the model that it is for; None: only the adapter itself is looked at.

    Raises:
        AdapterError: it cannot be used; the message says what is wrong.
    """
    try:
        header, of_base = read_gguf(path), None if base is None else read_gguf(base)
    except ModelFileError as exc:
        raise AdapterError(f"The adapter cannot be used: {exc.message}", hint=_HINT) from exc
    rules = _AdapterRules(path.name, header)
    rules.check_kind()
    pairs = rules.pairs()
    if of_base is not None:
        rules.check_base(pairs, of_base)


Pairs = Mapping[str, tuple[GgufTensor, GgufTensor]]
"""Name of a matrix of the base → its A and B."""


class _AdapterRules:
    """The rules for adapters. Each method raises AdapterError where one is broken."""

    def __init__(self, name: str, header: GgufHeader) -> None:
        self._name = name
        self._header = header

    def check_kind(self) -> None:
        """A LoRA adapter with a usable alpha."""
        # llama.cpp reads these without looking at their types; another type ends the process.
        if self._header.text("general.type") != "adapter" or self._header.text("adapter.type") != "lora":
            self._refuse("it is not a LoRA adapter")
        if not self._header.architecture:
            self._refuse("it does not say for which architecture it is")
        alpha = self._header.metadata.get("adapter.lora.alpha")
        if (
            self._header.kinds.get("adapter.lora.alpha") != "float32"
            or not isinstance(alpha, float)
            or not math.isfinite(alpha)
        ):
            self._refuse("its alpha is not a number")

    def pairs(self) -> Pairs:
        """The two matrices for each matrix of the base, which must have the same rank."""
        tensors = {tensor.name: tensor for tensor in self._header.tensors}
        names = {name.removesuffix(_A).removesuffix(_B) for name in tensors if name.endswith((_A, _B))}
        if others := [name for name in tensors if not name.endswith((_A, _B, "_norm.weight"))]:
            self._refuse(f"its tensor {others[0][:80]!r} is no LoRA matrix")
        if not names:
            self._refuse("it is empty")
        return {name: self._pair(name, tensors.get(name + _A), tensors.get(name + _B)) for name in names}

    def check_base(self, pairs: Pairs, base: GgufHeader) -> None:
        """Every pair belongs to a matrix of the base and fits it."""
        hint = "An adapter works only with the model it was trained on."
        if self._header.architecture != base.architecture:
            what = f"is for the architecture {self._header.architecture[:40]!r}, not {base.architecture!r}"
            raise AdapterError(f"The adapter {self._name} {what}.", hint=hint)
        matrices = {tensor.name: tensor for tensor in base.tensors}
        for name, (a, b) in pairs.items():
            matrix = matrices.get(name)
            if matrix is None or not _fits(name, matrix, a, b):
                raise AdapterError(f"The adapter {self._name} does not fit this model at {name[:80]!r}.", hint=hint)

    def _pair(self, name: str, a: GgufTensor | None, b: GgufTensor | None) -> tuple[GgufTensor, GgufTensor]:
        if a is None or b is None:
            self._refuse(f"one of its two matrices for {name[:80]!r} is missing")
        if not 2 <= len(a.dims) == len(b.dims) <= 3 or a.dims[2:] != b.dims[2:]:
            self._refuse(f"its matrices for {name[:80]!r} have the wrong shape")
        if a.type_name not in TYPES or b.type_name not in TYPES:
            self._refuse(f"its matrices for {name[:80]!r} have the wrong type")
        rank_of_a = a.dims[0] if _is_embedding(name) else a.dims[1]
        if rank_of_a != b.dims[0] or rank_of_a > MAX_RANK:
            self._refuse(f"its two matrices for {name[:80]!r} have the ranks {rank_of_a} and {b.dims[0]}")
        return a, b

    def _refuse(self, what: str) -> NoReturn:
        raise AdapterError(f"The adapter {self._name} cannot be used: {what}.", hint=_HINT)


def _is_embedding(name: str) -> bool:
    """Whether a matrix is looked up rather than multiplied with; llama.cpp wants its A and B the other way round."""
    return name.endswith("token_embd.weight")


def _fits(name: str, matrix: GgufTensor, a: GgufTensor, b: GgufTensor) -> bool:
    if len(matrix.dims) < 2 or matrix.dims[2:] != a.dims[2:]:
        return False
    ends = (b.dims[1], a.dims[1]) if _is_embedding(name) else (a.dims[0], b.dims[1])
    return matrix.dims[:2] == ends
