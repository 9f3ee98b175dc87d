"""A foreign adapter goes through the parity gate, in a child process (`child_work`).

A PEFT adapter is converted and compared with itself in Transformers. A GGUF adapter is loaded, must change what the model
predicts, and is converted back to PEFT's form, so that it can be compared (and exported) in the same way.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from engine.domain import Json
from engine.errors import AdapterError, ModelFileError
from engine.llm.llamacpp.model_files.adapter_check import check_adapter_file
from engine.training.adapters.foreign import SETTINGS, WEIGHTS
from engine.training.adapters.gate import Subject, run_gate
from engine.training.adapters.gguf_adapter import PEFT_PREFIX, write_gguf_adapter
from engine.training.adapters.parity import ServedPredictor, check_parity
from engine.training.adapters.probes import probe_examples
from engine.training.bases.base_model import training_copy
from engine.training.bases.families import family_of
from engine.training.bases.gguf_base import Array, GgufBase, open_base
from engine.training.datasets.encoding import open_encoder

LEAST_EFFECT = 1e-7
"""Mean divergence, in nats a token, from which an adapter is said to change anything."""


def check_foreign(task: Mapping[str, Json], say: Callable[[str], None]) -> dict[str, Json]:
    """Check an adapter in a folder of our own. `task` has `folder`, `base`, `served`, `cache`, and
    `long_positions` where a LongRoPE base is served with its long factors.

    Leaves `adapter.gguf` there, and `peft/` where the adapter can be expressed so.

    Returns:
        `effect`, in nats a token, and `parity`; that is null where there is nothing to compare with.

    Raises:
        AdapterError: it does not fit the base, gives no numbers, or does nothing.
        NexusError: the base cannot be loaded.
        OSError: the disk refused.
    """
    folder, base, served, cache = (Path(str(task[name])) for name in ("folder", "base", "served", "cache"))
    adapter, peft = folder / "adapter.gguf", folder / "peft"
    if peft.is_dir():
        say("Converting the adapter")
        write_gguf_adapter(peft, base, adapter)
    check_adapter_file(adapter, base)
    say("Trying the adapter")
    effect = effect_of(adapter, served)
    if not peft.is_dir():
        write_peft(adapter, base, peft)
    if not peft.is_dir():
        return {"effect": effect, "parity": None}
    say("Comparing the served adapter with the one in Transformers")
    long = bool(task.get("long_positions"))
    copy = training_copy(base, cache, long_positions=long)
    report = run_gate(Subject(copy, peft, served, adapter, long_positions=long))
    return {"effect": effect, "parity": report.to_json()}


def effect_of(adapter: Path, served: Path) -> float:
    """How far an adapter moves the predictions of its base, in nats a token.

    Raises:
        AdapterError: they are no numbers any more, or do not move at all.
    """
    with open_encoder(served) as encoder:
        texts = probe_examples(encoder)[:2]
    longest = max(len(example.tokens) for example in texts)
    without, tuned = (ServedPredictor(served, one, longest, os.cpu_count() or 1) for one in (None, adapter))
    try:
        report = check_parity(map(without, texts), map(tuned, texts))
    finally:
        without.close()
        tuned.close()
    if not np.isfinite(report.mean_kl):
        raise AdapterError("With the adapter the model gives no numbers.", hint="The adapter is damaged: get it again.")
    if report.mean_kl < LEAST_EFFECT:
        raise AdapterError("The adapter changes nothing of what the model says.", hint="Train it, or choose another.")
    return report.mean_kl


def write_peft(adapter_gguf: Path, base_gguf: Path, out: Path) -> None:
    """Write a GGUF adapter in PEFT's form; nothing, where its base's family has no rules or PEFT has no words for it.

    Raises:
        OSError: the disk refused.
    """
    from safetensors.numpy import save_file

    try:
        adapter, base = open_base(adapter_gguf), open_base(base_gguf)
        family = family_of(base)
        tensors: dict[str, Array] = {}
        for name in (key.removesuffix(".lora_a") for key in adapter.tensors if key.endswith(".lora_a")):
            module = family.tensor_to_module(name)
            if module is None or not name.startswith("blk."):
                return
            key = f"{PEFT_PREFIX}{module.removesuffix('.weight')}"
            tensors[f"{key}.lora_A.weight"] = adapter.array(f"{name}.lora_a")
            tensors[f"{key}.lora_B.weight"] = family.to_transformers(name, adapter.array(f"{name}.lora_b"), base)
    except (ModelFileError, KeyError):
        return
    settings = _settings(adapter, tensors)
    if settings is None:
        return
    out.mkdir(parents=True)
    save_file({name: np.ascontiguousarray(values) for name, values in tensors.items()}, out / WEIGHTS)
    (out / SETTINGS).write_text(json.dumps(settings, indent=1), "utf-8")


def _settings(adapter: GgufBase, tensors: Mapping[str, Array]) -> dict[str, Json] | None:
    """PEFT's settings for matrices; None where their scales differ, which only llama.cpp can express."""
    suffix = ".lora_A.weight"
    ranks = {
        name.removeprefix(PEFT_PREFIX).removesuffix(suffix): values.shape[0]
        for name, values in tensors.items()
        if name.endswith(suffix)
    }
    rank = Counter(ranks.values()).most_common(1)[0][0]
    others: dict[str, Json] = {module: one for module, one in ranks.items() if one != rank}
    alpha = adapter.header.metadata.get("adapter.lora.alpha")
    if not isinstance(alpha, float) or (not alpha and others):
        return None
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "inference_mode": True,
        "r": rank,
        "lora_alpha": alpha or float(rank),  # llama.cpp takes 0 for "not said" and scales by 1
        "rank_pattern": others,
        "target_modules": list(ranks),
        "bias": "none",
        "base_model_name_or_path": None,
    }
