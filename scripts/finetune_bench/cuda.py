"""A base of the shape of Llama 3 8B, for machines with a CUDA device that have no such model: random weights, no download."""

from __future__ import annotations

from pathlib import Path

from engine.domain import Json

LLAMA_3_8B = {
    "vocab_size": 128_256,
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
    "rope_theta": 500_000.0,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}
"""The published configuration of Llama 3 8B (Grattafiori et al. 2024, table 3)."""


def write_random_base(folder: Path, *, layers: int) -> None:
    """Make a model on the device and save it in bfloat16, 16 GB with all 32 layers; nothing where it is there already."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    if (folder / "config.json").is_file():
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = LlamaForCausalLM(LlamaConfig(**(LLAMA_3_8B | {"num_hidden_layers": layers})))
    finally:
        torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder, safe_serialization=True)


def device_memory_mb() -> dict[str, Json]:
    """The most memory that PyTorch held on the CUDA device; nothing without one."""
    import torch

    if not torch.cuda.is_available():
        return {}
    return {"device_peak_mb": torch.cuda.max_memory_reserved() / 2**20, "device": torch.cuda.get_device_name()}
