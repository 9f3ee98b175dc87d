"""A merged model in a chosen quantisation, compared with the base and the adapter that it was made of."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.domain import Json
from engine.errors import AdapterError
from engine.llm.llamacpp.weights.requantise import quantise
from engine.model_registry.files import incoming
from engine.training.adapters.merging import merge
from engine.training.adapters.parity import ParityReport, ServedPredictor, check_parity
from engine.training.adapters.probes import probe_examples
from engine.training.datasets.encoding import open_encoder

QUANTISATIONS: Mapping[str, int] = {
    "BF16": 32,
    "F16": 1,
    "Q8_0": 7,
    "Q6_K": 18,
    "Q5_K_M": 17,
    "Q4_K_M": 15,
    "Q4_K_S": 14,
    "Q4_1": 3,
    "Q4_0": 2,
    "Q3_K_M": 12,
    "Q2_K": 10,
}
"""The formats of a merged model, the most exact first, with llama.cpp's numbers (`llama_ftype`)."""


def write_merged(task: Mapping[str, Json], say: Callable[[str], None]) -> dict[str, Json]:
    """Merge, compare, quantise, compare again. `task` has `base`, `adapter`, `target` and `quantisation`.

    The first comparison is the gate: in half precision nothing but rounding may differ. The second tells what the quantisation
    costs.

    Returns:
        size and sha256 of the file, and both comparisons.

    Raises:
        AdapterError: the merged model does not answer as base and adapter do.
        NexusError: it cannot be made.
        OSError: the disk refused.
    """
    base, adapter, target = (Path(str(task[name])) for name in ("base", "adapter", "target"))
    quantisation = str(task["quantisation"])
    threads = os.cpu_count() or 1
    with incoming(target.parent) as exact:
        say("Adding the adapter to the weights")
        merge(base, adapter, exact)
        say("Comparing the merged model with the base and the adapter")
        merged = compare(exact, base, adapter, threads)
        if not merged.ok:
            raise AdapterError(
                "The merged model does not answer as the base with the adapter does.", hint="Export it as an adapter instead."
            )
        say(f"Writing it as {quantisation}")
        quantise(exact, target, quantisation, QUANTISATIONS[quantisation], threads)
    say(f"Comparing the model in {quantisation} with the base and the adapter")
    quantised = compare(target, base, adapter, threads)
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = target.stat().st_size
    return {"size": size, "sha256": digest, "merged": merged.to_json(), "quantised": quantised.to_json()}


def compare(model: Path, base: Path, adapter: Path, threads: int) -> ParityReport:
    """How close a model is to a base with an adapter, both in llama.cpp, on the probes."""
    with open_encoder(base) as encoder:
        texts = probe_examples(encoder)
    longest = max(len(example.tokens) for example in texts)
    expected = ServedPredictor(base, adapter, longest, threads)
    try:
        actual = ServedPredictor(model, None, longest, threads)
        try:
            return check_parity(map(expected, texts), map(actual, texts))
        finally:
            actual.close()
    finally:
        expected.close()
