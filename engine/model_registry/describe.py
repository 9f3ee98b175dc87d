"""Turns the metadata of model files into `ModelInfo`.

Chat models are GGUF files; encoders are folders in the layout of sentence-transformers.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from engine.domain import Json, ModelInfo
from engine.errors import ModelFileError
from engine.model_registry.ggml_types import FILE_TYPES
from engine.model_registry.gguf_cursor import HINT
from engine.model_registry.gguf_file import GgufHeader, read_gguf

MAX_JSON = 4 << 20
MAX_SAFETENSORS_HEADER = 64 << 20
ENCODER_FILES = ("config.json", "modules.json", "model.safetensors")
"""Files without which a folder is no encoder."""

_ENCODER_PART = re.compile(r"(?:\d_[A-Za-z]+/)?[\w-]+\.(?:json|txt)|model\.safetensors|README\.md")

_NOT_CHAT = {
    "bert",
    "nomic-bert",
    "nomic-bert-moe",
    "neo-bert",
    "modern-bert",
    "jina-bert-v2",
    "jina-bert-v3",
    "t5encoder",
    "clip",
}
_FAMILY_IN_NAME = (
    ("mixtral", "Mistral"),
    ("mistral", "Mistral"),
    ("ministral", "Mistral"),
    ("codestral", "Mistral"),
    ("gemma", "Gemma"),
    ("qwen", "Qwen"),
    ("deepseek", "DeepSeek"),
    ("granite", "Granite"),
)
_FAMILY_OF_ARCHITECTURE = (
    ("llama", "Llama"),
    ("mistral", "Mistral"),
    ("gemma", "Gemma"),
    ("phi", "Phi"),
    ("qwen", "Qwen"),
    ("deepseek", "DeepSeek"),
    ("granite", "Granite"),
    ("falcon", "Falcon"),
    ("command", "Command"),
    ("cohere", "Command"),
    ("smollm", "SmolLM"),
    ("gpt-oss", "GPT-OSS"),
    ("gpt2", "GPT-2"),
    ("olmo", "OLMo"),
    ("mamba", "Mamba"),
    ("stablelm", "StableLM"),
    ("bert", "BERT"),
)


def is_encoder_folder(folder: Path) -> bool:
    """Whether a folder has the files of a sentence encoder."""
    return all((folder / name).is_file() for name in ENCODER_FILES)


def plain_name(name: str) -> str:
    """How names are compared: without the ending, in lower case."""
    return name.lower().removesuffix(".gguf")


def is_encoder_part(name: str) -> bool:
    """Whether a file, by its path inside a folder, belongs to an encoder. Pickled weights do not."""
    return _ENCODER_PART.fullmatch(name) is not None


def is_chat_model(header: GgufHeader) -> bool:
    """Whether a GGUF file is a model that can chat: not an adapter, an encoder, a projector or a later part of a split file."""
    kind = header.text("general.type", "model")
    return kind == "model" and header.architecture not in _NOT_CHAT and header.integer("split.no") == 0 and bool(header.tensors)


def describe_chat_model(path: Path, header: GgufHeader | None = None) -> ModelInfo:
    """What a GGUF file says about itself.

    Raises:
        ModelFileError: the file cannot be used.
    """
    header = header or read_gguf(path)
    architecture = header.architecture
    return ModelInfo(
        name=path.stem,
        path=path,
        kind="chat",
        architecture=architecture,
        family=family(architecture, f"{header.text('general.basename')} {header.text('general.name')}"),
        parameters=header.parameters,
        quantisation=FILE_TYPES.get(header.integer("general.file_type", -1)) or header.commonest_type(),
        context_length=header.integer(f"{architecture}.context_length"),
        size=path.stat().st_size,
        chat_template="tokenizer.chat_template" in header.metadata,
        licence=header.text("general.license") or "unknown",
    )


def describe_encoder(folder: Path) -> ModelInfo:
    """What the files of an encoder folder say about it.

    Raises:
        ModelFileError: a file is missing or damaged.
    """
    config, limits = _read_json(folder / "config.json"), _read_json(folder / "sentence_bert_config.json", optional=True)
    architecture = config.get("model_type")
    length = limits.get("max_seq_length") or config.get("max_position_embeddings")
    parameters, precision = _safetensors(folder / "model.safetensors")
    return ModelInfo(
        name=folder.name,
        path=folder,
        kind="encoder",
        architecture=architecture if isinstance(architecture, str) else "unknown",
        family=family(str(architecture), folder.name),
        parameters=parameters,
        quantisation=precision,
        context_length=length if isinstance(length, int) else 0,
        size=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        chat_template=False,
        licence=_card_licence(folder / "README.md"),
    )


def family(architecture: str, name: str) -> str:
    """The family people know a model by. Mistral's models, for one, have Llama's architecture, so the name goes first."""
    name, architecture = name.lower(), architecture.lower()
    for key, known in _FAMILY_IN_NAME:
        if key in name:
            return known
    for key, known in _FAMILY_OF_ARCHITECTURE:
        if key in architecture:
            return known
    return architecture or "unknown"


def _read_json(path: Path, *, optional: bool = False) -> dict[str, Json]:
    if optional and not path.is_file():
        return {}
    try:
        with path.open("rb") as file:
            value = json.loads(file.read(MAX_JSON))
    except (OSError, ValueError, RecursionError) as exc:
        raise ModelFileError(f"{path.parent.name}/{path.name} cannot be read.", hint=HINT) from exc
    if not isinstance(value, dict):
        raise ModelFileError(f"{path.parent.name}/{path.name} is not a JSON object.", hint=HINT)
    return value


def _safetensors(path: Path) -> tuple[int, str]:
    """The number of weights in a safetensors file, and the type of most of them."""
    damaged = ModelFileError(f"{path.parent.name}/{path.name} is not a sound safetensors file.", hint=HINT)
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length <= min(MAX_SAFETENSORS_HEADER, path.stat().st_size - 8):
                raise damaged
            header = json.loads(file.read(length))
        counts: dict[str, int] = {}
        for name, tensor in header.items():
            if name != "__metadata__":
                counts[tensor["dtype"]] = counts.get(tensor["dtype"], 0) + math.prod(tensor["shape"])
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError) as exc:
        raise damaged from exc
    if not counts:
        raise damaged
    return sum(counts.values()), max(counts, key=lambda kind: counts[kind])


def _card_licence(path: Path) -> str:
    """The licence that a model card names in its front matter."""
    try:
        with path.open("rb") as file:
            text = file.read(1 << 16).decode("utf-8", "replace")
    except OSError:
        return "unknown"
    found = re.search(r"^license:\s*([\w.+-]+)\s*$", text, re.MULTILINE)
    return found.group(1) if found else "unknown"
