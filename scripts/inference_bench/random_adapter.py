"""A LoRA adapter with random weights for any model: as much work as a trained one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

RANK = 16


def write_random_adapter(model: Path, path: Path) -> Path:
    """Write an adapter for all linear layers of a GGUF model; returns its path."""
    from gguf import GGUFReader, GGUFWriter

    reader = GGUFReader(model)
    random = np.random.default_rng(1)
    architecture = reader.fields["general.architecture"].contents()
    writer = GGUFWriter(path, str(architecture))
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(RANK))
    for tensor in reader.tensors:
        if tensor.name.startswith("blk.") and len(tensor.shape) == 2:
            inputs, outputs = (int(size) for size in tensor.shape)
            writer.add_tensor(f"{tensor.name}.lora_a", random.normal(0, 0.01, (RANK, inputs)).astype(np.float32))
            writer.add_tensor(f"{tensor.name}.lora_b", random.normal(0, 0.01, (outputs, RANK)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
