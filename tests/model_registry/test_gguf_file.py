"""The GGUF header reader: right about sound files, and calm about anything else."""

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import ModelFileError
from engine.model_registry.ggml_types import FILE_TYPES, TENSOR_TYPES
from engine.model_registry.gguf_file import GgufArray, GgufHeader, array_numbers, array_strings, languages, read_gguf

FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(tmp_path: Path, data: bytes) -> GgufHeader:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    return read_gguf(path)


def outcome(tmp_path: Path, data: bytes) -> GgufHeader | ModelFileError:
    try:
        return read(tmp_path, data)
    except ModelFileError as error:
        return error


def is_fit_to_show(result: GgufHeader | ModelFileError, size: int) -> bool:
    if isinstance(result, ModelFileError):
        return bool(result.hint)
    return all(tensor.offset + tensor.size <= size for tensor in result.tensors)


def test_a_sound_file_is_read(tmp_path: Path, sound_gguf: bytes) -> None:
    header = read(tmp_path, sound_gguf)
    assert header.version == 3
    assert header.architecture == "llama"
    assert header.integer("llama.context_length") == 2048
    tokens = header.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, GgufArray)
    assert (tokens.length, tokens.kind) == (3, "string")
    assert list(array_strings(tmp_path / "model.gguf", tokens)) == [b"a", b"b", b"c"]
    assert header.parameters == 32 * 4 + 32
    assert [(t.name, t.type_name, t.size) for t in header.tensors] == [
        ("token_embd.weight", "Q4_1", 80),
        ("output_norm.weight", "F32", 128),
    ]
    assert header.tensors[-1].offset + header.tensors[-1].size == len(sound_gguf)


@pytest.mark.models
def test_the_default_model_agrees_with_the_gguf_package(chat_gguf: Path) -> None:
    from gguf import GGUFReader

    ours, theirs = read_gguf(chat_gguf), GGUFReader(chat_gguf)
    assert [(t.name, t.offset, t.size, t.dims) for t in ours.tensors] == [
        (t.name, t.data_offset, t.n_bytes, tuple(int(d) for d in t.shape)) for t in theirs.tensors
    ]
    assert ours.text("tokenizer.chat_template") == theirs.fields["tokenizer.chat_template"].contents()
    tokens, types = ours.metadata["tokenizer.ggml.tokens"], ours.metadata["tokenizer.ggml.token_type"]
    assert isinstance(tokens, GgufArray)
    assert isinstance(types, GgufArray)
    assert [item.decode() for item in array_strings(chat_gguf, tokens)] == theirs.fields["tokenizer.ggml.tokens"].contents()
    assert list(array_numbers(chat_gguf, types)) == theirs.fields["tokenizer.ggml.token_type"].contents()
    assert (types.kind, ours.kinds["llama.block_count"]) == ("int32", "uint32")


@pytest.mark.models
def test_the_languages_of_a_model_are_those_that_its_file_names(chat_gguf: Path, tmp_path: Path, sound_gguf: bytes) -> None:
    assert languages(chat_gguf) == ("en",)
    silent = tmp_path / "silent.gguf"
    silent.write_bytes(sound_gguf)
    assert languages(silent) == ()


@pytest.mark.parametrize(
    ("named", "known"),
    [
        (["en", "pt-BR", "ZH_cn"], ("en", "pt", "zh")),
        (["multilingual"], ()),
        (["en", "multilingual"], ()),
        (["est", "swe"], ()),
        ([], ()),
        (["", "ä1"], ()),
    ],
)
def test_languages_that_are_no_codes_say_nothing(
    tmp_path: Path, make_gguf: Callable[..., bytes], named: list[str], known: tuple[str, ...]
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(make_gguf({"general.architecture": "llama", "general.languages": named}))
    assert languages(path) == known


def test_the_table_of_types_agrees_with_the_gguf_package() -> None:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType

    for kind in GGMLQuantizationType:
        assert TENSOR_TYPES[kind.value] == (kind.name, *GGML_QUANT_SIZES[kind])
    known = {kind.value: kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in LlamaFileType}
    assert {number: known[number] for number in FILE_TYPES} == FILE_TYPES


def head(tensors: int, keys: int, rest: bytes = b"", version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + rest


def text(length: int, data: bytes = b"") -> bytes:
    return struct.pack("<Q", length) + data


ODD = {
    "empty": b"",
    "another format": b"PK\x03\x04" + bytes(100),
    "only the magic": b"GGUF",
    "version 1": head(0, 0, bytes(8), version=1),
    "big-endian": b"GGUF" + struct.pack(">I", 3) + bytes(32),
    "2^63 tensors": head(1 << 63, 0, bytes(64)),
    "2^63 keys": head(0, 1 << 63, bytes(64)),
    "more keys than bytes": head(0, 5000, bytes(64)),
    "a key of 2^60 bytes": head(0, 1, text(1 << 60, b"abc")),
    "an unknown value type": head(0, 1, text(1, b"k") + struct.pack("<I", 77) + bytes(16)),
    "a nested array": head(0, 1, text(1, b"k") + struct.pack("<IIQ", 9, 9, 1) + bytes(16)),
    "an array of 2^60 items": head(0, 1, text(1, b"k") + struct.pack("<IIQ", 9, 4, 1 << 60) + bytes(16)),
    "a key twice": head(0, 2, (text(1, b"k") + struct.pack("<IB", 0, 1)) * 2),
    "nine dimensions": head(1, 0, text(1, b"t") + struct.pack("<I", 9) + bytes(200)),
    "an overflowing shape": head(1, 0, text(1, b"t") + struct.pack("<IQQIQ", 2, 1 << 40, 1 << 40, 0, 0) + bytes(64)),
    "a dimension of zero": head(1, 0, text(1, b"t") + struct.pack("<IQIQ", 1, 0, 0, 0) + bytes(64)),
    "an unknown tensor type": head(1, 0, text(1, b"t") + struct.pack("<IQIQ", 1, 4, 200, 0) + bytes(64)),
    "a tensor outside the file": head(1, 0, text(1, b"t") + struct.pack("<IQIQ", 1, 4, 0, 1 << 20) + bytes(64)),
    "an odd block": head(1, 0, text(1, b"t") + struct.pack("<IQIQ", 1, 33, 3, 0) + bytes(128)),
    "an alignment of zero": head(0, 1, text(17, b"general.alignment") + struct.pack("<II", 4, 0) + bytes(64)),
    "an alignment of three": head(0, 1, text(17, b"general.alignment") + struct.pack("<II", 4, 3) + bytes(64)),
    "two tensors in one place": head(
        2, 0, text(1, b"t") + struct.pack("<IQIQ", 1, 4, 0, 0) + text(1, b"u") + struct.pack("<IQIQ", 1, 4, 0, 0) + bytes(64)
    ),
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD.keys())
def test_odd_files_are_refused_with_a_hint(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ModelFileError) as caught:
        read(tmp_path, data)
    assert caught.value.hint
    assert "model.gguf" in caught.value.message


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(ModelFileError, match="cannot be read"):
            read_gguf(path)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path, sound_gguf: bytes) -> None:
    for length in range(len(sound_gguf)):
        with pytest.raises(ModelFileError):
            read(tmp_path, sound_gguf[:length])


@FUZZ
@given(st.data())
def test_a_changed_file_gives_a_header_or_a_clear_error(tmp_path: Path, sound_gguf: bytes, data: st.DataObject) -> None:
    changed = bytearray(sound_gguf)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(4, len(changed) - 9))
        new = data.draw(st.binary(min_size=1, max_size=8) | st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f"]))
        changed[at : at + len(new)] = new
    tracemalloc.start()
    try:
        assert is_fit_to_show(outcome(tmp_path, bytes(changed)), len(changed))
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 8 << 20


@FUZZ
@given(st.binary(max_size=400))
def test_garbage_after_the_magic_gives_a_header_or_a_clear_error(tmp_path: Path, tail: bytes) -> None:
    assert is_fit_to_show(outcome(tmp_path, b"GGUF\x03\0\0\0" + tail), 8 + len(tail))


def test_endless_texts_are_given_up_on(tmp_path: Path, make_gguf: Callable[..., bytes]) -> None:
    """Each text is within its limit; together they are not."""
    data = make_gguf({f"k{number}": "x" * (3 << 20) for number in range(12)})
    with pytest.raises(ModelFileError, match="a text of"):
        read(tmp_path, data)
