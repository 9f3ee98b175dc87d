"""A PEFT LoRA adapter as a GGUF adapter that llama.cpp attaches to the base it was trained on.

A GGUF adapter holds, for each adapted matrix of the base, `<tensor>.lora_a` (rank × inputs) and `<tensor>.lora_b`
(outputs × rank), under the base's tensor names, and alpha; llama.cpp adds alpha / rank · B·A to the matrix.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import AdapterError, StorageError
from engine.model_registry.gguf_file import read_gguf

if TYPE_CHECKING:
    from gguf import TensorNameMap

Matrix = NDArray[np.float32]
_PREFIX = "base_model.model."


@dataclass(frozen=True, slots=True)
class BaseShape:
    """What the converter needs to know of the base: its architecture, head counts, and the shape of each matrix."""

    architecture: str
    blocks: int
    heads: int
    kv_heads: int
    matrices: dict[str, tuple[int, int]]
    """Tensor name → (outputs, inputs)."""


RowRule = Callable[[Matrix, BaseShape], Matrix]
"""Reorders the rows of a B matrix as llama.cpp's converter reorders those of the weight."""


def interleave_rope_rows(rows: Matrix, heads: int) -> Matrix:
    """From the halves-first order of Transformers' rotary embedding to llama.cpp's interleaved one.

    Llama-architecture GGUF files store the rows of the query and key weights head by head as (0, d/2, 1, d/2+1, …), d
    being the head's size.
    """
    shape = rows.shape
    ordered: Matrix = rows.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)
    return ordered


def _query_rows(rows: Matrix, base: BaseShape) -> Matrix:
    return interleave_rope_rows(rows, base.heads)


def _key_rows(rows: Matrix, base: BaseShape) -> Matrix:
    return interleave_rope_rows(rows, base.kv_heads)


ROW_RULES: dict[str, dict[str, RowRule]] = {
    "llama": {"q_proj": _query_rows, "k_proj": _key_rows},  # Mistral files carry this architecture too
    # These keep Transformers' order. Phi-3's fused matrices are fused in Transformers as well; Gemma's shifted norms
    # are vectors, which no LoRA touches.
    "qwen2": {},
    "qwen3": {},
    "gemma": {},
    "gemma2": {},
    "gemma3": {},
    "phi3": {},
}
"""Architecture → last part of a module's name → what to do with the rows of its B matrix."""


def write_gguf_adapter(peft_dir: Path, base_gguf: Path, out: Path) -> None:
    """Convert an adapter. The file appears whole or not at all; matrices are stored as float32.

    Raises:
        AdapterError: the adapter does not fit the base, or has parts that a GGUF adapter cannot express.
        StorageError: the file could not be written.
    """
    settings = _read_settings(peft_dir)
    base = read_base_shape(base_gguf)
    matrices = _read_matrices(peft_dir)
    names = _tensor_names(base)
    converted = dict(_convert(module, pair, base, names) for module, pair in matrices.items())
    temporary = out.with_name(out.name + ".tmp")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _write(temporary, base.architecture, _alpha(settings), converted)
        temporary.replace(out)
    except OSError as exc:
        raise StorageError(f"The adapter could not be written: {exc}", hint="Free some disk space and try again.") from exc
    finally:
        temporary.unlink(missing_ok=True)


def read_base_shape(base_gguf: Path) -> BaseShape:
    """Read what matters of the base file.

    Raises:
        ModelFileError: no GGUF.
        AdapterError: an architecture without rules.
    """
    header = read_gguf(base_gguf)
    architecture = header.architecture
    if architecture not in ROW_RULES:
        raise AdapterError(
            f"Adapters for the architecture {architecture!r} cannot be converted yet.",
            hint=f"Choose a base of one of these: {', '.join(ROW_RULES)}.",
        )
    heads = header.integer(f"{architecture}.attention.head_count")
    kv_heads = header.metadata.get(f"{architecture}.attention.head_count_kv", heads)
    if heads < 1 or not isinstance(kv_heads, int) or kv_heads < 1:
        raise AdapterError(f"{base_gguf.name} does not have one number of attention heads for all its layers.")
    return BaseShape(
        architecture=architecture,
        blocks=header.integer(f"{architecture}.block_count"),
        heads=heads,
        kv_heads=kv_heads,
        # GGUF counts dimensions from the fastest: inputs, outputs.
        matrices={tensor.name: (tensor.dims[1], tensor.dims[0]) for tensor in header.tensors if len(tensor.dims) == 2},
    )


def _read_settings(peft_dir: Path) -> dict[str, object]:
    """PEFT's settings of the adapter, refused where a GGUF adapter cannot express them."""
    try:
        settings: dict[str, object] = json.loads((peft_dir / "adapter_config.json").read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise AdapterError(f"{peft_dir.name} holds no readable adapter_config.json: {exc}") from exc
    if settings.get("peft_type") != "LORA":
        raise AdapterError("Only LoRA adapters can be converted.")
    for name in ("use_dora", "modules_to_save", "alpha_pattern", "fan_in_fan_out", "lora_bias"):
        if settings.get(name):
            raise AdapterError(f"An adapter with `{name}` cannot be written as GGUF.", hint=f"Train without `{name}`.")
    return settings


def _alpha(settings: dict[str, object]) -> float:
    """The alpha under which llama.cpp's alpha / rank is PEFT's scale."""
    alpha, rank = settings.get("lora_alpha"), settings.get("r")
    if not isinstance(alpha, int | float) or not isinstance(rank, int):
        raise AdapterError("The adapter does not say its rank and alpha.")
    # Rank-stabilised LoRA scales by alpha / √rank (Kalajdzievski 2023).
    return float(alpha * rank**0.5 if settings.get("use_rslora") else alpha)


def _read_matrices(peft_dir: Path) -> dict[str, dict[str, Matrix]]:
    """Module name → {"A": …, "B": …}, float32."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(peft_dir / "adapter_model.safetensors")
    except (OSError, SafetensorError) as exc:
        raise AdapterError(f"{peft_dir.name} holds no readable adapter: {exc}") from exc
    pairs: dict[str, dict[str, Matrix]] = {}
    for name, tensor in tensors.items():
        module, _, rest = name.removeprefix(_PREFIX).rpartition(".lora_")
        if not module or rest not in ("A.weight", "B.weight"):
            raise AdapterError(f"The adapter's tensor {name!r} is not a LoRA matrix of a linear layer.")
        pairs.setdefault(module, {})[rest[0]] = tensor.float().numpy()
    if not pairs:
        raise AdapterError("The adapter is empty.")
    return pairs


def _tensor_names(base: BaseShape) -> TensorNameMap:
    """From Transformers' names to llama.cpp's."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    architecture = next(arch for arch, name in MODEL_ARCH_NAMES.items() if name == base.architecture)
    return get_tensor_name_map(architecture, base.blocks)


def _convert(module: str, pair: dict[str, Matrix], base: BaseShape, names: TensorNameMap) -> tuple[str, tuple[Matrix, Matrix]]:
    """The base's tensor name of a module, and its matrices in llama.cpp's order."""
    name = f"{names.get_name(module)}.weight"
    if name not in base.matrices:
        raise AdapterError(f"The base has no matrix for the adapter's {module!r}.", hint="Choose the base it was trained on.")
    if pair.keys() != {"A", "B"}:
        raise AdapterError(f"The adapter has only one of the two matrices for {module!r}.")
    a, b = pair["A"], pair["B"]
    outputs, inputs = base.matrices[name]
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1] or (b.shape[0], a.shape[1]) != (outputs, inputs):
        raise AdapterError(
            f"The adapter's {module!r} is {b.shape} × {a.shape}, but the base's matrix is {(outputs, inputs)}.",
            hint="Choose the base it was trained on.",
        )
    rule = ROW_RULES[base.architecture].get(module.rpartition(".")[2])
    return name, (a, b if rule is None else rule(b, base))


def _write(path: Path, architecture: str, alpha: float, pairs: dict[str, tuple[Matrix, Matrix]]) -> None:
    """Write the GGUF file. Keys: llama.cpp, `src/llama-adapter.cpp`."""
    from gguf import GGUFWriter

    writer = GGUFWriter(path, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for name, (a, b) in sorted(pairs.items()):
        writer.add_tensor(f"{name}.lora_a", np.ascontiguousarray(a, dtype=np.float32))
        writer.add_tensor(f"{name}.lora_b", np.ascontiguousarray(b, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
