"""Tiny random models of every family, made in Transformers and written as float32 GGUF files by llama.cpp's rules.

The writer is independent of the code under test: names come from the `gguf` package's own map, and what is done to weights and
figures follows llama.cpp's `conversion/` folder.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
import transformers
from transformers import PreTrainedConfig, PreTrainedModel

SPECIAL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
TOKENS = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581"]
"""A SentencePiece vocabulary: a token for each byte."""
SIZES = {
    "vocab_size": len(TOKENS),
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
Extras = Callable[[gguf.GGUFWriter, PreTrainedConfig], None]


def nothing(_writer: gguf.GGUFWriter, _config: PreTrainedConfig) -> None:
    pass


@dataclass(frozen=True)
class Recipe:
    """How to make a family's model and its file."""

    architecture: str
    kind: str
    """Transformers' model, without `Config` and `ForCausalLM`."""
    options: dict[str, object] = field(default_factory=dict)
    extras: Extras = nothing
    """Writes what the family's files have beyond the common figures."""
    name: str = "tiny"

    @property
    def shifts_norms(self) -> bool:
        return self.kind in ("Gemma", "Gemma2", "Gemma3")

    @property
    def config(self) -> PreTrainedConfig:
        names = {"Gemma3": "Gemma3TextConfig", "Gemma4": "Gemma4TextConfig"}
        return getattr(transformers, names.get(self.kind, f"{self.kind}Config"))(**(SIZES | self.options))


@dataclass(frozen=True)
class TinyModel:
    """A model and the same as a file."""

    model: PreTrainedModel
    gguf: Path

    @property
    def linear_layers(self) -> list[str]:
        """The last parts of the names of the linear layers of a block."""
        found = [
            name for name, module in self.model.named_modules() if isinstance(module, torch.nn.Linear) and ".layers.0." in name
        ]
        return [name.rpartition(".")[2] for name in found]


def _yarn(writer: gguf.GGUFWriter, config: PreTrainedConfig) -> None:
    rope = config.rope_parameters
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(rope["factor"])
    writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])


def _ministral(writer: gguf.GGUFWriter, config: PreTrainedConfig) -> None:
    _yarn(writer, config)
    writer.add_rope_scaling_yarn_beta_fast(config.rope_parameters["beta_fast"])
    writer.add_rope_scaling_yarn_beta_slow(config.rope_parameters["beta_slow"])
    writer.add_rope_scaling_yarn_log_mul(config.rope_parameters["mscale_all_dim"])
    writer.add_attn_temperature_scale(config.rope_parameters["llama_4_scaling_beta"])


def _linear(writer: gguf.GGUFWriter, config: PreTrainedConfig) -> None:
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(config.rope_parameters["factor"])


def _llama31(writer: gguf.GGUFWriter, config: PreTrainedConfig) -> None:
    """The factors as llama.cpp's converter computes them, one by one."""
    rope, factors = config.rope_parameters, []
    for index in range(0, 16, 2):
        wave = 2 * math.pi * rope["rope_theta"] ** (index / 16)
        if wave < 8192 / rope["high_freq_factor"]:
            factors.append(1.0)
        elif wave > 8192 / rope["low_freq_factor"]:
            factors.append(rope["factor"])
        else:
            low, high = rope["low_freq_factor"], rope["high_freq_factor"]
            smooth = (8192 / wave - low) / (high - low)
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    writer.add_tensor("rope_freqs.weight", np.array(factors, dtype=np.float32))


def _gemma2(writer: gguf.GGUFWriter, config: PreTrainedConfig) -> None:
    writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
    writer.add_final_logit_softcapping(config.final_logit_softcapping)
    writer.add_sliding_window(config.sliding_window)


def _gemma3(writer: gguf.GGUFWriter, config: PreTrainedConfig) -> None:
    far = config.rope_parameters["full_attention"]
    writer.add_sliding_window(config.sliding_window)
    writer.add_sliding_window_pattern(2)
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(far["factor"])


def _gemma4(writer: gguf.GGUFWriter, config: PreTrainedConfig) -> None:
    layers, near = config.num_hidden_layers, [kind == "sliding_attention" for kind in config.layer_types]
    far = config.per_layer_config[layers - 1]
    writer.add_key_length(far.head_dim)
    writer.add_value_length(far.head_dim)
    near_layer = config.per_layer_config[0]
    writer.add_key_length_swa(near_layer.head_dim)
    writer.add_value_length_swa(near_layer.head_dim)
    writer.add_rope_dimension_count(far.head_dim)
    writer.add_rope_dimension_count_swa(near_layer.head_dim)
    writer.add_rope_freq_base_swa(config.rope_parameters["sliding_attention"]["rope_theta"])
    writer.add_sliding_window(config.sliding_window)
    writer.add_sliding_window_pattern(near)
    writer.add_shared_kv_layers(config.num_kv_shared_layers)
    writer.add_embedding_length_per_layer_input(config.hidden_size_per_layer_input)
    writer.add_final_logit_softcapping(config.final_logit_softcapping)
    writer.add_head_count_kv([near_layer.num_key_value_heads if flag else far.num_key_value_heads for flag in near])
    if config.use_double_wide_mlp:
        own = layers - config.num_kv_shared_layers
        writer.add_feed_forward_length([config.intermediate_size * (1 if layer < own else 2) for layer in range(layers)])
    turning = int(far.head_dim * config.rope_parameters["full_attention"]["partial_rotary_factor"] / 2)
    factors = [1.0] * turning + [1e30] * (far.head_dim // 2 - turning)
    writer.add_tensor("rope_freqs.weight", np.array(factors, dtype=np.float32))


def _phi4_mini(writer: gguf.GGUFWriter, config: PreTrainedConfig) -> None:
    rope = config.rope_parameters
    writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    writer.add_sliding_window(262144)
    scale = config.max_position_embeddings / rope["original_max_position_embeddings"]
    writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(scale) / math.log(rope["original_max_position_embeddings"])))
    writer.add_tensor("rope_factors_long.weight", np.array(rope["long_factor"], dtype=np.float32))
    writer.add_tensor("rope_factors_short.weight", np.array(rope["short_factor"], dtype=np.float32))


def _rope(**values: object) -> dict[str, object]:
    return {"rope_parameters": {"rope_theta": 10_000.0, **values}}


LLAMA31 = _rope(
    rope_type="llama3", factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192
) | {"max_position_embeddings": 16384}
LLAMA31["rope_parameters"]["rope_theta"] = 500_000.0  # type: ignore[index]
MINISTRAL = {
    "head_dim": 32,
    "rope_parameters": {
        "rope_type": "yarn", "rope_theta": 1e6, "factor": 16.0, "original_max_position_embeddings": 32, "beta_fast": 4.0,
        "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1,
    },
}  # fmt: skip
GEMMA3 = {
    "head_dim": 32,
    "query_pre_attn_scalar": 32,
    "sliding_window": 8,
    "layer_types": ["sliding_attention", "full_attention"],
    "rope_parameters": {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    },
}
GEMMA4 = {
    "num_hidden_layers": 4,
    "head_dim": 16,
    "global_head_dim": 32,
    "sliding_window": 8,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "final_logit_softcapping": 20.0,
    "hidden_size_per_layer_input": 0,
}
GEMMA4_SMALL = GEMMA4 | {
    "num_kv_shared_layers": 2,
    "use_double_wide_mlp": True,
    "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": len(TOKENS),
}
GEMMA4_LARGE = GEMMA4 | {"attention_k_eq_v": True, "num_global_key_value_heads": 1}
PHI4_MINI = {
    "tie_word_embeddings": True,
    "max_position_embeddings": 4096,
    "original_max_position_embeddings": 1024,
    "rope_parameters": {
        "rope_type": "longrope", "rope_theta": 1e4, "partial_rotary_factor": 0.75, "original_max_position_embeddings": 1024,
        "short_factor": [1.0, 1.1, 1.3, 1.6, 2.0, 2.5], "long_factor": [1.0, 1.5, 3.0, 6.0, 12.0, 24.0],
    },
}  # fmt: skip

RECIPES = {
    "Llama": Recipe("llama", "Llama"),
    "Llama, tied": Recipe("llama", "Llama", {"tie_word_embeddings": True}),
    "Llama, biases": Recipe("llama", "Llama", {"attention_bias": True, "mlp_bias": True}),
    "Llama 3.1": Recipe("llama", "Llama", LLAMA31, _llama31),
    "Llama, linear scaling": Recipe("llama", "Llama", _rope(rope_type="linear", factor=4.0), _linear),
    "Mistral": Recipe("llama", "Mistral", {"head_dim": 32, "sliding_window": None}, name="mistral"),
    "Ministral 3": Recipe("mistral3", "Ministral3", MINISTRAL, _ministral),
    "SmolLM 3": Recipe("smollm3", "SmolLM3", {"num_hidden_layers": 4, "tie_word_embeddings": True}),
    "Qwen 2": Recipe("qwen2", "Qwen2", {"tie_word_embeddings": True}),
    "Qwen 2.5, YaRN": Recipe(
        "qwen2", "Qwen2", _rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=128), _yarn
    ),
    "Qwen 3": Recipe("qwen3", "Qwen3", {"head_dim": 32}),
    "Gemma": Recipe("gemma", "Gemma", {"head_dim": 32}),
    "Gemma 2": Recipe(
        "gemma2",
        "Gemma2",
        {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 8, "attn_logit_softcapping": 5.0},
        _gemma2,
    ),
    "Gemma 3": Recipe("gemma3", "Gemma3", GEMMA3, _gemma3),
    "Gemma 4, small": Recipe("gemma4", "Gemma4", GEMMA4_SMALL, _gemma4),
    "Gemma 4, large": Recipe("gemma4", "Gemma4", GEMMA4_LARGE, _gemma4),
    "Phi 3": Recipe("phi3", "Phi3", {"num_key_value_heads": 4}),
    "Phi 4": Recipe("phi3", "Phi3"),
    "Phi 4 mini": Recipe("phi3", "Phi3", PHI4_MINI, _phi4_mini),
}


def make_model(recipe: Recipe) -> PreTrainedModel:
    """A model with random weights, of a size that makes every part matter."""
    torch.manual_seed(5)
    kind = f"{recipe.kind}ForCausalLM"
    model = getattr(transformers, kind)._from_config(recipe.config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("norm.weight"):
                weight.normal_(0.0 if recipe.shifts_norms else 1.0, 0.3)
            else:
                weight.normal_(0.0, {"embed_tokens": 1.0}.get(name.split(".")[-2], 0.15))
        for name, buffer in model.named_buffers():
            if name.endswith("layer_scalar"):
                buffer.fill_(0.8)
    model.tie_weights()
    return model


def write_gguf(recipe: Recipe, model: PreTrainedModel, path: Path) -> None:
    """The model as a GGUF file."""
    config = model.config
    writer = gguf.GGUFWriter(path, recipe.architecture)
    writer.add_name(recipe.name)
    _write_figures(writer, config, SIZES | recipe.options)
    recipe.extras(writer, config)
    _write_vocabulary(writer)
    arch = next(number for number, name in gguf.MODEL_ARCH_NAMES.items() if name == recipe.architecture)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    for name, weight in model.state_dict().items():
        if name != "lm_head.weight" or not config.tie_word_embeddings:
            # The only weight that is no module's.
            stem, _, kind = (name if not name.endswith("layer_scalar") else f"{name}.weight").rpartition(".")
            writer.add_tensor(f"{names.get_name(stem)}.{kind}", _as_converted(recipe, config, name, weight.numpy()))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_figures(writer: gguf.GGUFWriter, config: PreTrainedConfig, sizes: dict[str, object]) -> None:
    rope = config.rope_parameters.get("full_attention", config.rope_parameters)
    head = sizes.get("head_dim") or config.hidden_size // config.num_attention_heads
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(sizes["num_key_value_heads"])
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(int(head * rope.get("partial_rotary_factor", 1.0)))
    writer.add_vocab_size(config.vocab_size)


def _write_vocabulary(writer: gguf.GGUFWriter) -> None:
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 4, *[gguf.TokenType.BYTE] * 256, gguf.TokenType.NORMAL]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.0] * len(TOKENS))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_space_prefix(False)


def _as_converted(recipe: Recipe, config: PreTrainedConfig, name: str, weight: np.ndarray) -> np.ndarray:
    """What llama.cpp's converter makes of a weight."""
    if recipe.architecture in ("llama", "mistral3", "smollm3") and ("q_proj" in name or "k_proj" in name):
        heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
        halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
        weight = halves.swapaxes(1, 2).reshape(weight.shape)
    if recipe.shifts_norms and name.endswith("norm.weight"):
        weight = weight + 1
    return np.ascontiguousarray(weight, dtype=np.float32)


@pytest.fixture(scope="session")
def make_tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TinyModel]:
    """Makes the model of a family, once."""
    made: dict[str, TinyModel] = {}

    def make(family: str) -> TinyModel:
        if family not in made:
            path = tmp_path_factory.mktemp("family") / "tiny.gguf"
            model = make_model(RECIPES[family])
            write_gguf(RECIPES[family], model, path)
            made[family] = TinyModel(model, path)
        return made[family]

    return make


@pytest.fixture(scope="session", params=RECIPES)
def tiny(request: pytest.FixtureRequest, make_tiny: Callable[[str], TinyModel]) -> TinyModel:
    """The model of each family in turn."""
    return make_tiny(request.param)
