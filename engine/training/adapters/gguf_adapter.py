"""A PEFT LoRA adapter as a GGUF adapter that llama.cpp attaches to the base it was trained on.

A GGUF adapter holds, for each adapted matrix of the base, `<tensor>.lora_a` (rank × inputs) and `<tensor>.lora_b`
(outputs × rank), under the base's tensor names, and alpha; llama.cpp adds alpha / rank · B·A to the matrix. The names, and the
order of the rows of B, are those of the base's family (`bases.families`).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from engine.errors import AdapterError, StorageError
from engine.training.bases.families import Family, family_of
from engine.training.bases.gguf_base import Array, GgufBase, open_base

PEFT_PREFIX = "base_model.model."
"""Before the names of modules in a PEFT file."""
INEXPRESSIBLE = ("use_dora", "modules_to_save", "alpha_pattern", "fan_in_fan_out", "lora_bias", "trainable_token_indices")
"""Settings of PEFT that a GGUF adapter has no words for."""
_CHANGED_BASE = ("pissa", "olora", "loftq", "corda", "lora_ga")
"""Ways to start a training that change the base's weights: the adapter does not fit the base as it was."""


def write_gguf_adapter(peft_dir: Path, base_gguf: Path, out: Path) -> None:
    """Convert an adapter. The file appears whole or not at all; matrices are stored as float32.

    Raises:
        AdapterError: the adapter does not fit the base, or has parts that a GGUF adapter cannot express.
        ModelFileError: the base is no GGUF, or of a kind that cannot be fine-tuned.
        StorageError: the file could not be written.
    """
    settings = _read_settings(peft_dir)
    base = open_base(base_gguf)
    family = family_of(base)
    converted = dict(_convert(module, pair, base, family) for module, pair in _read_matrices(peft_dir).items())
    temporary = out.with_name(out.name + ".tmp")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _write(temporary, base.architecture, _alpha(settings), converted)
        temporary.replace(out)
    except OSError as exc:
        raise StorageError(f"The adapter could not be written: {exc}", hint="Free some disk space and try again.") from exc
    finally:
        temporary.unlink(missing_ok=True)


def _read_settings(peft_dir: Path) -> dict[str, object]:
    """PEFT's settings of the adapter, refused where a GGUF adapter cannot express them."""
    try:
        settings: dict[str, object] = json.loads((peft_dir / "adapter_config.json").read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise AdapterError(f"{peft_dir.name} holds no readable adapter_config.json: {exc}") from exc
    if settings.get("peft_type") != "LORA":
        raise AdapterError("Only LoRA adapters can be converted.")
    for name in INEXPRESSIBLE:
        if settings.get(name):
            raise AdapterError(f"An adapter with `{name}` cannot be written as GGUF.", hint=f"Train without `{name}`.")
    if settings.get("use_rslora") and settings.get("rank_pattern"):
        raise AdapterError(
            "An adapter with `use_rslora` and several ranks cannot be written as GGUF.", hint="Train with one rank."
        )
    start = str(settings.get("init_lora_weights", "")).lower()
    if start.startswith(_CHANGED_BASE):
        raise AdapterError(
            f"The adapter was started with `{start}`, which changes the base's weights.",
            hint="Convert it to a plain LoRA first, as PEFT's documentation of that method says.",
        )
    return settings


def _alpha(settings: dict[str, object]) -> float:
    """The alpha under which llama.cpp's alpha / rank is PEFT's scale."""
    alpha, rank = settings.get("lora_alpha"), settings.get("r")
    if not isinstance(alpha, int | float) or not isinstance(rank, int):
        raise AdapterError("The adapter does not say its rank and alpha.")
    # Rank-stabilised LoRA scales by alpha / √rank (Kalajdzievski 2023).
    return float(alpha * rank**0.5 if settings.get("use_rslora") else alpha)


def _read_matrices(peft_dir: Path) -> dict[str, dict[str, Array]]:
    """Module name → {"A": …, "B": …}, float32."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(peft_dir / "adapter_model.safetensors")
    except (OSError, SafetensorError) as exc:
        raise AdapterError(f"{peft_dir.name} holds no readable adapter: {exc}") from exc
    pairs: dict[str, dict[str, Array]] = {}
    for name, tensor in tensors.items():
        module, _, rest = name.removeprefix(PEFT_PREFIX).rpartition(".lora_")
        if not module or rest not in ("A.weight", "B.weight"):
            raise AdapterError(
                f"The adapter's tensor {name!r} is not a LoRA matrix of a linear layer.",
                hint="Adapt linear layers only, and save with PEFT's `save_embedding_layers=False`.",
            )
        pairs.setdefault(module, {})[rest[0]] = tensor.float().numpy()
    if not pairs:
        raise AdapterError("The adapter is empty.")
    return pairs


def _convert(module: str, pair: dict[str, Array], base: GgufBase, family: Family) -> tuple[str, tuple[Array, Array]]:
    """The base's tensor name of a module, and its matrices in llama.cpp's order."""
    name = family.module_to_tensor(module)
    if name is None or name not in base.tensors:
        raise AdapterError(f"The base has no matrix for the adapter's {module!r}.", hint="Choose the base it was trained on.")
    if pair.keys() != {"A", "B"}:
        raise AdapterError(f"The adapter has only one of the two matrices for {module!r}.")
    a, b = pair["A"], pair["B"]
    shape = base.shape(name)
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1] or (b.shape[0], a.shape[1]) != shape:
        raise AdapterError(
            f"The adapter's {module!r} is {b.shape} × {a.shape}, but the base's matrix is {shape}.",
            hint="Choose the base it was trained on.",
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise AdapterError(
            f"The adapter's {module!r} has values that are no numbers.", hint="Train again with a lower learning rate."
        )
    return name, (a, family.to_llama_cpp(name, b, base))


def _write(path: Path, architecture: str, alpha: float, pairs: dict[str, tuple[Array, Array]]) -> None:
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
