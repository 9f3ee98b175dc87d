"""Damaged and hostile model files: a clear error each, and the process lives on."""

import copy
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain import Message
from engine.errors import AdapterError, ModelFileError, NexusError
from engine.llm.base import GenerationParams
from engine.llm.llamacpp import LlamaCppModel
from engine.llm.llamacpp.model_files.adapter_check import check_adapter_file
from engine.llm.llamacpp.model_files.inspection import Inspection
from engine.llm.llamacpp.model_files.known_files import KnownFiles
from engine.llm.llamacpp.model_files.model_check import check_model_file
from engine.model_registry.gguf_file import GgufHeader

Parts = object
HELLO = (Message("user", "the cat"),)
SHORT = GenerationParams(max_tokens=2)
Change = Callable[[Parts], None]


def answer(path: Path, adapter: Path | None = None, **inspection: object) -> str:
    """What a model in a file says, through the whole runtime."""
    guard = Inspection(path, KnownFiles(None), **inspection)
    model = LlamaCppModel(path, context_tokens=256, max_sequences=1, threads=1, inspection=guard)
    try:
        return model.complete(HELLO, GenerationParams(max_tokens=2, adapter=adapter)).text
    finally:
        model.close()


def _set(key: str, kind: str, value: object) -> Change:
    return lambda parts: parts.metadata.update({key: (kind, value)})


def _without(key: str) -> Change:
    return lambda parts: parts.metadata.pop(key)


def _no_tensor(name: str) -> Change:
    return lambda parts: parts.tensors.pop(name)


def _shaped(name: str, *dims: int) -> Change:
    return lambda parts: parts.tensors.update({name: (dims, 0, bytes(4 * math.prod(dims)))})


def _typed(name: str, kind: int, size: float) -> Change:
    def change(parts: Parts) -> None:
        dims = parts.tensors[name][0]
        parts.tensors[name] = (dims, kind, bytes(int(math.prod(dims) * size)))

    return change


def _token(number: int, text: str) -> Change:
    def change(parts: Parts) -> None:
        names = list(parts.metadata["tokenizer.ggml.tokens"][1])
        names[number] = text
        parts.metadata["tokenizer.ggml.tokens"] = ("string", names)

    return change


def _figures() -> Iterator[tuple[str, Change]]:
    """Figures out of range, most of which llama.cpp answers by ending the process."""
    odd = {
        "block_count": (0, 1, 3, 513, 65_536, 2**31, 2**32 - 1),
        "embedding_length": (0, 1, 31, 33, 2**31),
        "context_length": (0, 2**31),
        "attention.head_count": (0, 3, 5, 33, 2**31),
        "attention.head_count_kv": (0, 3, 5, 8, 2**31),
        "attention.key_length": (0, 7, 16, 2**31),
        "attention.value_length": (0, 16, 2**31),
        "rope.dimension_count": (0, 16, 2**31),
        "expert_count": (1, 2, 2000),
        "expert_used_count": (1, 3),
        "expert_group_count": (1, 2),
        "nextn_predict_layers": (3, 2**31),
    }
    for name, values in odd.items():
        yield from ((f"{name} {value}", _set(f"llama.{name}", "uint32", value)) for value in values)
    for name in ("block_count", "embedding_length", "context_length", "attention.head_count"):
        yield f"no {name}", _without(f"llama.{name}")
        yield f"{name} as text", _set(f"llama.{name}", "string", "32")
        yield f"{name} as fraction", _set(f"llama.{name}", "float32", 2.0)
    for name in ("rope.freq_base", "rope.scaling.factor", "attention.layer_norm_rms_epsilon"):
        yield from ((f"{name} {value}", _set(f"llama.{name}", "float32", value)) for value in (math.nan, math.inf, -1.0))
    yield "heads of one layer none", _set("llama.attention.head_count", "uint32", [4, 0])
    yield "keys of one layer none", _set("llama.attention.head_count_kv", "uint32", [2, 0])
    yield "heads of one layer only", _set("llama.attention.head_count", "uint32", [4])
    yield "an unknown scaling", _set("llama.rope.scaling.type", "string", "su")


def _kinds() -> Iterator[tuple[str, Change]]:
    """Files that are something else."""
    for name in ("", "bert", "clip", "nonesuch", "llama\0", "x" * 5000):
        yield f"architecture {name[:8]!r}", _set("general.architecture", "string", name)
    yield "no architecture", _without("general.architecture")
    yield "architecture as number", _set("general.architecture", "uint32", 1)
    yield "name as number", _set("general.name", "uint32", 1)
    for kind in ("adapter", "mmproj", "imatrix"):
        yield f"type {kind}", _set("general.type", "string", kind)
    yield "a part of none", _set("split.count", "uint16", 3)
    yield "parts of a wrong type", _set("split.count", "uint32", 3)


def _vocabularies() -> Iterator[tuple[str, Change]]:
    """Tokenisers with something missing or twice."""
    for name in ("", "none", "no_vocab", "test", "gpt2"):
        yield f"tokeniser {name!r}", _set("tokenizer.ggml.model", "string", name)
    yield "no tokens", _without("tokenizer.ggml.tokens")
    yield "an empty list of tokens", _set("tokenizer.ggml.tokens", "string", [])
    yield "tokens as numbers", _set("tokenizer.ggml.tokens", "uint32", [1, 2, 3])
    yield "three tokens", _set("tokenizer.ggml.tokens", "string", ["a", "b", "c"])
    yield "a token twice", _token(285, "the")
    yield "an empty token and its name", lambda parts: (_token(270, "")(parts), _token(271, "[EMPTY_270]")(parts))
    yield "a byte without a token", _token(3 + 0x7F, "seven")
    yield "few scores", _set("tokenizer.ggml.scores", "float32", [0.0])
    yield "scores as text", _set("tokenizer.ggml.scores", "string", ["a"])
    yield "few token types", _set("tokenizer.ggml.token_type", "int32", [1])
    yield "token types as fractions", _set("tokenizer.ggml.token_type", "float32", [1.0] * 400)
    yield "merges as numbers", _set("tokenizer.ggml.merges", "uint32", [1])
    yield "template as number", _set("tokenizer.chat_template", "uint32", 1)


def _tensor_changes() -> Iterator[tuple[str, Change]]:
    """Weights that are missing, of a wrong shape or type."""
    for name in (
        "token_embd",
        "blk.0.attn_norm",
        "blk.0.attn_q",
        "blk.1.attn_k",
        "blk.1.attn_output",
        "blk.0.ffn_up",
        "blk.1.ffn_down",
    ):
        yield f"no {name}", _no_tensor(f"{name}.weight")
        yield f"{name} of integers", _typed(f"{name}.weight", 26, 4)
        yield f"{name} too small", _shaped(f"{name}.weight", 32) if "norm" not in name else _shaped(f"{name}.weight", 64)
    for kind, size in ((1, 2), (30, 2), (8, 34 / 32), (24, 1), (28, 8)):
        yield f"a norm of type {kind}", _typed("blk.0.attn_norm.weight", kind, size)
    for kind, size in ((24, 1), (25, 2), (27, 8), (28, 8), (9, 40 / 32)):
        yield f"queries of type {kind}", _typed("blk.1.attn_q.weight", kind, size)
    yield "an embedding for one token more", _shaped("token_embd.weight", 32, 291)
    yield "a layer too many", _shaped("blk.7.attn_q.weight", 32, 32)
    yield "no tensors", lambda parts: parts.tensors.clear()


CHANGES = dict([*_figures(), *_kinds(), *_vocabularies(), *_tensor_changes()])
CUTS = [0, 3, 4, 23, 24, 100, 500, 2000, 5000, 9000, 12_000, 30_000, 60_000, 100_000]


def test_there_are_more_than_a_hundred_of_them() -> None:
    assert len(CHANGES) + len(CUTS) > 140


def test_the_sound_model_that_they_are_made_of_answers(tmp_path: Path, tiny: Parts) -> None:
    assert answer(tiny.write(tmp_path / "tiny.gguf"))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_file_is_refused_before_llama_cpp_sees_it(
    tmp_path: Path, tiny: Parts, change: Change, stub: Callable[[str], tuple[str, ...]]
) -> None:
    change(tiny)
    path = tiny.write(tmp_path / "changed.gguf")
    with pytest.raises(NexusError) as caught:
        # A trial would tell on itself by this message.
        answer(path, trial=stub('print(\'{"error": {"message": "tried", "hint": null}}\'); raise SystemExit(1)'))
    assert caught.value.message != "tried"
    assert caught.value.hint


@pytest.mark.parametrize("length", CUTS)
def test_a_file_that_is_cut_is_refused(tmp_path: Path, tiny: Parts, length: int) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny.data()[:length])
    with pytest.raises(ModelFileError) as caught:
        answer(path)
    assert caught.value.hint


def _gaps(parts: Parts) -> None:
    parts.tensors["blk.0.attn_q.weight"] = ((32, 32), 0, parts.tensors["blk.0.attn_q.weight"][2] + bytes(64))


ONLY_FOUND_BY_LOADING = {
    "weights without numbers": lambda parts: parts.tensors.update({"output_norm.weight": ((32,), 0, b"\xff" * 128)}),
    "a gap between tensors": _gaps,
    "an unknown tokeniser": _set("tokenizer.ggml.model", "string", "nonesuch"),
    "a tokeniser that llama.cpp ends the process over": _set("tokenizer.ggml.model", "string", "bert"),
}


@pytest.mark.parametrize("change", ONLY_FOUND_BY_LOADING.values(), ids=ONLY_FOUND_BY_LOADING.keys())
def test_what_only_loading_shows_is_refused_after_a_trial(tmp_path: Path, tiny: Parts, change: Change) -> None:
    change(tiny)
    path = tiny.write(tmp_path / "subtle.gguf")
    check_model_file(path)
    with pytest.raises(ModelFileError) as caught:
        answer(path)
    assert caught.value.hint


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_bytes_give_a_model_or_a_clear_error(tmp_path: Path, tiny: Parts, data: st.DataObject) -> None:
    changed = bytearray(tiny.data())
    header = len(changed) - sum(len(raw) for _, _, raw in tiny.tensors.values())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(4, header - 9))
        new = data.draw(st.binary(min_size=1, max_size=8) | st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f"]))
        changed[at : at + len(new)] = new
    path = tmp_path / "changed.gguf"
    path.write_bytes(bytes(changed))
    result = _outcome(path)
    if isinstance(result, ModelFileError):
        assert result.hint
    else:
        assert result.architecture
        assert len(result.tensors) == len(tiny.tensors)


def _outcome(path: Path) -> GgufHeader | ModelFileError:
    try:
        return check_model_file(path)
    except ModelFileError as error:
        return error


# --- models in parts


def _in_two(parts: Parts, folder: Path) -> Path:
    second = copy.deepcopy(parts)
    names = list(parts.tensors)
    parts.metadata |= {"split.count": ("uint16", 2), "split.no": ("uint16", 0), "split.tensors.count": ("int32", len(names))}
    second.metadata = {"split.count": ("uint16", 2), "split.no": ("uint16", 1), "split.tensors.count": ("int32", len(names))}
    second.tensors = {name: parts.tensors.pop(name) for name in names[10:]}
    second.write(folder / "tiny-00002-of-00002.gguf")
    return parts.write(folder / "tiny-00001-of-00002.gguf")


def test_a_model_in_parts_is_checked_as_one(tmp_path: Path, tiny: Parts) -> None:
    count = len(tiny.tensors)
    path = _in_two(tiny, tmp_path)
    assert len(check_model_file(path).tensors) == count
    assert answer(path)
    (tmp_path / "tiny-00002-of-00002.gguf").unlink()
    with pytest.raises(ModelFileError, match="00002-of"):
        answer(path)


# --- adapters


def test_a_sound_adapter_answers(tmp_path: Path, tiny: Parts, tiny_adapter: Parts) -> None:
    base = tiny.write(tmp_path / "base.gguf")
    assert answer(base, tiny_adapter.write(tmp_path / "adapter.gguf"))


ADAPTERS = {
    "a model": lambda parts: parts.metadata.update({"general.type": ("string", "model")}),
    "another kind": _set("adapter.type", "string", "control_vector"),
    "kind as number": _set("adapter.type", "uint32", 1),
    "type as number": _set("general.type", "uint32", 1),
    "alpha as whole number": _set("adapter.lora.alpha", "uint32", 8),
    "no alpha": _without("adapter.lora.alpha"),
    "alpha not a number": _set("adapter.lora.alpha", "float32", math.nan),
    "another architecture": _set("general.architecture", "string", "qwen2"),
    "no architecture": _without("general.architecture"),
    "no A": _no_tensor("blk.0.attn_q.weight.lora_a"),
    "no B": _no_tensor("blk.0.attn_q.weight.lora_b"),
    "ranks that differ": _shaped("blk.0.attn_q.weight.lora_b", 8, 32),
    "too wide": _shaped("blk.0.attn_q.weight.lora_a", 64, 4),
    "one dimension": _shaped("blk.0.attn_q.weight.lora_a", 32),
    "A of integers": _typed("blk.0.attn_q.weight.lora_a", 26, 4),
    "a matrix that the base lacks": lambda parts: parts.tensors.update(
        {name.replace("blk.0", "blk.9"): parts.tensors.pop(name) for name in list(parts.tensors)}
    ),
    "a tensor that is no LoRA matrix": _shaped("blk.0.attn_q.weight", 32, 32),
    "empty": lambda parts: parts.tensors.clear(),
}  # fmt: skip


@pytest.mark.parametrize("change", ADAPTERS.values(), ids=ADAPTERS.keys())
def test_a_changed_adapter_is_refused(tmp_path: Path, tiny: Parts, tiny_adapter: Parts, change: Change) -> None:
    base = tiny.write(tmp_path / "base.gguf")
    change(tiny_adapter)
    with pytest.raises(AdapterError) as caught:
        check_adapter_file(tiny_adapter.write(tmp_path / "adapter.gguf"), base)
    assert caught.value.hint


def test_an_adapter_without_numbers_is_refused_and_its_base_goes_on(tmp_path: Path, tiny: Parts, tiny_adapter: Parts) -> None:
    dims = tiny_adapter.tensors["blk.0.attn_q.weight.lora_b"][0]
    tiny_adapter.tensors["blk.0.attn_q.weight.lora_b"] = (dims, 0, b"\xff" * 4 * math.prod(dims))
    base, adapter = tiny.write(tmp_path / "base.gguf"), tiny_adapter.write(tmp_path / "adapter.gguf")
    model = LlamaCppModel(base, context_tokens=256, max_sequences=1, threads=1)
    try:
        with pytest.raises(AdapterError, match="no numbers"):
            model.complete(HELLO, GenerationParams(max_tokens=2, adapter=adapter))
        assert model.complete(HELLO, SHORT).text
    finally:
        model.close()
