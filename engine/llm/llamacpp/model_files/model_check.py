"""Whether a GGUF file is a model that llama.cpp can be given: checked from its header alone, without llama.cpp.

llama.cpp answers much of what is wrong in a file by an assertion, which ends the process: a number of layers or experts out of
range, heads that do not divide, a norm in half precision, two tokens with one text. Each rule here stands for one of those, or
for a damage that it would report less clearly. What rules do not catch, the first load in a process of its own does (`trial`).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from engine.errors import ModelFileError
from engine.llm.llamacpp.model_files.tensor_check import check_tensors
from engine.llm.llamacpp.model_files.vocabulary_check import check_vocabulary
from engine.model_registry.describe import is_chat_model
from engine.model_registry.file_hashes import Stamp, file_stamp
from engine.model_registry.gguf_cursor import HINT
from engine.model_registry.gguf_file import GgufArray, GgufHeader, array_numbers, read_gguf

MAX_LAYERS = 512
"""LLAMA_MAX_LAYERS in llama.cpp's llama-hparams.h."""
MAX_EXPERTS = 1024
"""LLAMA_MAX_EXPERTS, there."""
MAX_WIDTH = 1 << 20
"""Largest embedding, head or context size that is believed: sixteen times the largest in use."""
MAX_CONTEXT = 1 << 27
ALIGNMENT = 32
"""TENSOR_ALIGNMENT in ggml; llama.cpp asserts it of weights that are mapped."""
ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")

_PART = re.compile(r"(?P<stem>.*)-00001-of-(?P<count>\d{5})\.gguf")

_checked: dict[Path, tuple[Stamp, ...]] = {}
"""Files whose header was checked by this process, or need not be."""


def check_model_file(path: Path) -> GgufHeader:
    """Check all that can be told from the header of a model, of all its parts where it is split.

    Args:
        path: a GGUF file; of a model in parts, the first.

    Returns:
        The header, with the tensors of all parts.

    Raises:
        ModelFileError: it cannot be used; the message says what is wrong.
    """
    header = _with_parts(path, read_gguf(path))
    rules = _Rules(path.name, path, header)
    rules.check_kind()
    rules.check_architecture()
    rules.check_sizes()
    rules.check_heads()
    rules.check_experts()
    check_vocabulary(path, header)
    check_tensors(path.name, header, rules.heads, rules.kv_heads)
    return header


def require_checked(path: Path) -> None:
    """Check a model's header unless this process has done so since the file last changed. Raises as `check_model_file` does."""
    if _checked.get(path) != _stamps(path):
        check_model_file(path)
        mark_checked(path)


def mark_checked(path: Path) -> None:
    """Take a model's header, as the file is now, for checked. Raises as `check_model_file` does."""
    _checked[path] = _stamps(path)


def parts_by_name(path: Path) -> Sequence[Path]:
    """The files of a model, by llama.cpp's rule for the names of parts; of one in a single file, that file."""
    name = _PART.fullmatch(path.name)
    if name is None:
        return (path,)
    count = int(name["count"])
    return [path.with_name(f"{name['stem']}-{number:05d}-of-{count:05d}.gguf") for number in range(1, count + 1)]


def _stamps(path: Path) -> tuple[Stamp, ...]:
    return tuple(file_stamp(part) for part in parts_by_name(path))


def _with_parts(path: Path, header: GgufHeader) -> GgufHeader:
    """The header with the tensors of all parts. llama.cpp opens the other parts by itself."""
    count = header.metadata.get("split.count", 1)
    if count == 1 and isinstance(count, int):
        return header
    _require_part(path.name, header, 0)
    if not isinstance(count, int) or header.kinds["split.count"] != "uint16" or not 0 < count <= 99_999:
        raise _refusal(path.name, "it does not say how many parts it has")
    parts = parts_by_name(path)
    if len(parts) != count:
        hint = f"Keep the parts' names, NAME-00001-of-{count:05d}.gguf and so on, in one folder."
        raise ModelFileError(f"{path.name} is the first of {count} parts but not named as such.", hint=hint)
    tensors = list(header.tensors)
    for number, part in enumerate(parts[1:], 1):
        other = read_gguf(part)
        _require_part(part.name, other, number)
        tensors += other.tensors
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise _refusal(path.name, "two of its parts hold the same tensor")
    return GgufHeader(header.version, header.metadata, header.kinds, tuple(tensors))


def _require_part(name: str, header: GgufHeader, number: int) -> None:
    # Another type than this one is not an error to llama.cpp but an assertion.
    if header.kinds.get("split.no") != "uint16" or header.integer("split.no") != number:
        raise _refusal(name, f"it should be part {number + 1} of a model and does not say so")


class _Rules:
    """The rules for a model's own figures. Each method raises ModelFileError where one is broken."""

    def __init__(self, name: str, path: Path, header: GgufHeader) -> None:
        self._name = name
        self._path = path
        self._header = header
        self.heads: tuple[int, ...] = ()
        """Attention heads of each layer; empty for models without any."""
        self.kv_heads: tuple[int, ...] = ()
        """Heads of keys and values of each layer."""

    def check_kind(self) -> None:
        """A model that chats, not an adapter, an encoder, or what belongs to one."""
        for key in ("general.type", "general.architecture", "general.name"):
            if self._header.kinds.get(key, "string") != "string":
                self._refuse(f"{key} is no text")
        if self._header.text("general.type") == "adapter":
            hint = "Choose the model it was made for, and the adapter beside it."
            raise ModelFileError(f"{self._name} is a LoRA adapter, not a model.", hint=hint)
        if not is_chat_model(self._header):
            hint = "Use the GGUF file of a model that generates text."
            what = self._header.architecture or "unknown"
            raise ModelFileError(f"{self._name} is not a model that chats (architecture {what[:40]!r}).", hint=hint)

    def check_architecture(self) -> None:
        """One that the installed llama.cpp knows."""
        architecture = self._header.architecture
        if not re.fullmatch(r"[a-z0-9][\w.-]{0,63}", architecture) or not _is_known(architecture):
            raise ModelFileError(
                f"{self._name} has the architecture {architecture[:40]!r}, which the installed llama.cpp does not know.",
                hint="Choose another model, or install a newer llama-cpp-python.",
            )

    def check_sizes(self) -> None:
        """Layers, widths, context, places of tensors, and how positions are scaled."""
        self._bounded("block_count", 1, MAX_LAYERS)
        self._bounded("embedding_length", 1, MAX_WIDTH)
        self._bounded("context_length", 1, MAX_CONTEXT)
        for name in ("attention.key_length", "attention.value_length", "rope.dimension_count", "vocab_size"):
            if self._key(name) in self._header.metadata:
                self._bounded(name, 0, MAX_WIDTH * 4)
        if self._integer("nextn_predict_layers") > self._integer("block_count"):
            self._refuse("more layers predict ahead than there are")
        if any(tensor.offset % ALIGNMENT for tensor in self._header.tensors):
            self._refuse(f"its weights are not aligned to {ALIGNMENT} bytes")
        scaling = self._header.metadata.get(self._key("rope.scaling.type"), "none")
        if scaling not in ROPE_SCALINGS:
            self._refuse(f"its positions are scaled by an unknown rule, {str(scaling)[:40]!r}")
        for name in (
            "rope.freq_base",
            "rope.scaling.factor",
            "attention.layer_norm_rms_epsilon",
            "attention.layer_norm_epsilon",
        ):
            value = self._header.metadata.get(self._key(name), 1.0)
            if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
                self._refuse(f"{name} is {str(value)[:40]}")

    def check_heads(self) -> None:
        """Heads that divide, and of which there are any where there is attention."""
        self.heads = self._per_layer("attention.head_count")
        self.kv_heads = self._per_layer("attention.head_count_kv") or self.heads
        width = self._integer("embedding_length")
        for layer, (heads, kv_heads) in enumerate(zip(self.heads, self.kv_heads, strict=False)):
            if heads > width or (heads and kv_heads and (kv_heads > heads or heads % kv_heads)):
                self._refuse(f"layer {layer} has {heads} attention heads over {kv_heads} of keys and values")
        if any(".attn_q" in tensor.name for tensor in self._header.tensors) and not any(self.heads):
            self._refuse("it has attention but no heads")

    def check_experts(self) -> None:
        """The bounds that llama.cpp asserts of mixtures of experts."""
        if self._header.architecture.startswith("hunyuan") and self._integer("expert_count") <= 1:
            return  # llama.cpp takes these for models without experts
        experts, groups = self._integer("expert_count"), self._integer("expert_group_count")
        used = max(self._per_layer("expert_used_count"), default=0)
        if not 0 <= used <= experts <= MAX_EXPERTS or (experts > 0) != (used > 0):
            self._refuse(f"it uses {used} of {experts} experts")
        if groups < 0 or (experts and groups >= experts) or (groups and not experts):
            self._refuse(f"it puts {experts} experts into {groups} groups")
        if groups > 1 and (experts % groups or not 0 < self._integer("expert_group_used_count") < groups):
            self._refuse(f"it puts {experts} experts into {groups} groups")

    def _key(self, name: str) -> str:
        return f"{self._header.architecture}.{name}"

    def _integer(self, name: str) -> int:
        return self._header.integer(self._key(name))

    def _bounded(self, name: str, least: int, most: int) -> None:
        value = self._header.metadata.get(self._key(name))
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            shown = "missing" if value is None else str(value)[:40]
            self._refuse(f"{name} is {shown}")

    def _per_layer(self, name: str) -> tuple[int, ...]:
        """A figure that is given once for all layers or for each; empty where it is absent."""
        layers, value = self._integer("block_count"), self._header.metadata.get(self._key(name))
        if value is None:
            return ()
        if isinstance(value, GgufArray):
            if not value.kind.startswith(("int", "uint")) or not layers <= value.length <= MAX_LAYERS:
                self._refuse(f"{name} does not have a number for each of {layers} layers")
            numbers = [int(number) for number in array_numbers(self._path, value)][:layers]
        elif isinstance(value, int) and not isinstance(value, bool):
            numbers = [value] * layers
        else:
            self._refuse(f"{name} is {str(value)[:40]}")
        if any(not 0 <= number <= MAX_WIDTH for number in numbers):
            self._refuse(f"{name} is out of range")
        return tuple(numbers)

    def _refuse(self, what: str) -> NoReturn:
        raise _refusal(self._name, what)


def _refusal(name: str, what: str) -> ModelFileError:
    return ModelFileError(f"{name} cannot be used: {what}.", hint=HINT)


@lru_cache(maxsize=256)
def _is_known(architecture: str) -> bool:
    """Whether the shared library holds this name. It may hold it as some other word; then llama.cpp itself refuses."""
    library = _library_file()
    return library is None or architecture.encode() + b"\0" in library.read_bytes()


def _library_file() -> Path | None:
    """llama.cpp's shared library, found without loading it; None where it is in no known place."""
    spec = find_spec("llama_cpp")
    folders = [Path(folder, "lib") for folder in (spec and spec.submodule_search_locations) or ()]
    if chosen := os.environ.get("LLAMA_CPP_LIB_PATH"):  # llama-cpp-python's own variable
        folders.insert(0, Path(chosen))
    files = (folder / name for folder in folders for name in ("libllama.so", "libllama.dylib", "llama.dll", "libllama.dll"))
    return next((file for file in files if file.is_file()), None)
