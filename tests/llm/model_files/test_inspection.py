"""The first load in a child process: crashes, time-outs, closing, and what is remembered of it."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.domain import Message
from engine.errors import CancelledError, ModelError, ModelFileError
from engine.llm.base import GenerationParams
from engine.llm.llamacpp import LlamaCppModel
from engine.llm.llamacpp.long_runs import LONGEST_RUN, cut_long_runs
from engine.llm.llamacpp.model_files.inspection import Inspection, remember_as_sound
from engine.llm.llamacpp.model_files.known_files import KnownFiles
from engine.model_registry.file_hashes import HASHES

Stub = Callable[[str], tuple[str, ...]]
Parts = object
HELLO = (Message("user", "the cat"),)
MUST_NOT_RUN = "raise SystemExit(9)"


@pytest.fixture
def path(tiny: Parts, tmp_path: Path) -> Path:
    return tiny.write(tmp_path / "tiny.gguf")


@pytest.mark.parametrize(
    ("program", "said", "retryable"),
    [
        ("import os; os.abort()", "crashed while loading tiny.gguf .SIGABRT", False),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed.*SIGSEGV", False),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "more memory", True),
        ("raise SystemExit(7)", "crashed.*7", False),
        ("print('{}')", "crashed", False),
        ("print('[' * 100_000)", "crashed", False),
        ("import sys; sys.stdin.read()", "did not load within 1 s", True),
    ],
    ids=["abort", "segfault", "memory", "status", "no result", "no JSON", "time"],
)
def test_a_trial_that_ends_badly_is_a_clear_error(path: Path, stub: Stub, program: str, said: str, retryable: bool) -> None:
    guard = Inspection(path, KnownFiles(None), trial=stub(program), limit_s=1 if "stdin" in program else None)
    model = LlamaCppModel(path, context_tokens=256, inspection=guard)
    for _ in range(2):
        with pytest.raises(ModelFileError, match=said) as caught:
            model.complete(HELLO, GenerationParams(max_tokens=1))
        assert caught.value.hint
        assert caught.value.retryable is retryable
    model.close()


def test_closing_ends_a_trial_at_once(path: Path, stub: Stub, tmp_path: Path) -> None:
    started = tmp_path / "started"
    program = f"import pathlib, sys; pathlib.Path({str(started)!r}).touch(); sys.stdin.read()"
    model = LlamaCppModel(path, inspection=Inspection(path, KnownFiles(None), trial=stub(program)))
    errors: list[ModelError] = []

    def ask() -> None:
        try:
            model.count_tokens("hello")
        except ModelError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not started.exists() and thread.is_alive():
        thread.join(0.01)
    before = time.monotonic()
    model.close()
    thread.join(10)
    assert time.monotonic() - before < 2
    assert "closed" in errors[0].message


def test_a_trial_that_nobody_waits_for_is_ended_at_once(path: Path, stub: Stub, tmp_path: Path) -> None:
    started = tmp_path / "started"
    program = f"import pathlib, sys; pathlib.Path({str(started)!r}).touch(); sys.stdin.read()"
    guard = Inspection(path, KnownFiles(None), trial=stub(program))
    with pytest.raises(CancelledError):
        guard.require_model_unless(started.exists)
    Inspection(path, KnownFiles(None)).require_model_unless(lambda: False)


def test_a_sound_file_is_tried_once_and_again_after_a_change(path: Path, stub: Stub, tmp_path: Path) -> None:
    store = tmp_path / "cache" / "known.json"
    Inspection(path, KnownFiles(store)).require_model()
    Inspection(path, KnownFiles(store), trial=stub(MUST_NOT_RUN)).require_model()
    renamed = tmp_path / "renamed.gguf"
    renamed.write_bytes(path.read_bytes())
    Inspection(renamed, KnownFiles(store), trial=stub(MUST_NOT_RUN)).require_model()
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ModelFileError, match="crashed"):
        Inspection(path, KnownFiles(store), trial=stub(MUST_NOT_RUN)).require_model()


def test_a_file_that_changes_while_its_model_is_open_is_looked_at_again(path: Path, stub: Stub) -> None:
    known = KnownFiles(None)
    remember_as_sound(known, path)
    guard = Inspection(path, known, trial=stub(MUST_NOT_RUN))
    guard.require_model()
    path.write_bytes(b"GGUF" + bytes(500))
    with pytest.raises(ModelFileError):
        guard.require_model()


def test_what_this_program_made_itself_is_not_tried(path: Path, tiny_adapter: Parts, stub: Stub, tmp_path: Path) -> None:
    adapter = tiny_adapter.write(tmp_path / "adapter.gguf")
    known = KnownFiles(tmp_path / "known.json")
    remember_as_sound(known, path)
    remember_as_sound(known, path, adapter)
    Inspection(path, KnownFiles(tmp_path / "known.json"), trial=stub(MUST_NOT_RUN)).require_adapter(adapter)


@pytest.mark.models
def test_the_default_model_is_not_tried(chat_gguf: Path, stub: Stub) -> None:
    Inspection(chat_gguf, KnownFiles(None), trial=stub(MUST_NOT_RUN)).require_model()


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"files": 3, "sound": []}',
        b'{"files": {"a": [1]}, "sound": {"b": 7}}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_a_damaged_record_costs_a_trial_and_no_more(path: Path, stub: Stub, tmp_path: Path, damage: bytes) -> None:
    store = tmp_path / "known.json"
    for record in (store, store.with_name(HASHES)):
        record.write_bytes(damage)
    known = KnownFiles(store)
    remember_as_sound(known, path)
    Inspection(path, KnownFiles(store), trial=stub(MUST_NOT_RUN)).require_model()
    assert set(json.loads(store.read_bytes())) == {"sound"}
    assert set(json.loads(store.with_name(HASHES).read_bytes())) >= {str(path)}


def test_a_record_that_cannot_be_stored_lives_in_memory(path: Path, stub: Stub, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    known = KnownFiles(tmp_path / "a file" / "known.json")
    remember_as_sound(known, path)
    Inspection(path, known, trial=stub(MUST_NOT_RUN)).require_model()


def test_records_that_are_written_at_once_stay_whole(tmp_path: Path) -> None:
    store = tmp_path / "known.json"

    def write(writer: int) -> None:
        known = KnownFiles(store)
        for number in range(20):
            known.remember(f"{writer}-{number}")

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # One may overwrite what another has just stored, which costs a trial; but the record is whole.
    assert len(json.loads(store.read_bytes())["sound"]) >= 20
    assert [entry.name for entry in tmp_path.iterdir()] == ["known.json"]


# --- texts that end llama.cpp's tokenisers


@pytest.mark.parametrize("run", ["a", " ", "9", "!", "漢", "é", "👩", "ab,"])
def test_long_runs_are_cut_and_nothing_is_lost(run: str) -> None:
    data = ("start " + run * 9000 + " end").encode()
    pieces = list(cut_long_runs(data))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 2 * LONGEST_RUN
    assert all(piece.decode() for piece in pieces)


def test_a_run_of_letters_does_not_end_the_process(tiny: Parts, tmp_path: Path) -> None:
    """With this way of splitting, 40,000 letters were one match of a regular expression, and the end of the process."""
    names = [
        *(chr(256 + byte) if byte < 33 or 126 < byte < 161 or byte == 173 else chr(byte) for byte in range(256)),
        "<|end|>",
    ]
    names = list(dict.fromkeys(names))
    count = len(names)
    tiny.metadata |= {
        "tokenizer.ggml.model": ("string", "gpt2"),
        "tokenizer.ggml.pre": ("string", "deepseek-v3"),
        "tokenizer.ggml.tokens": ("string", names),
        "tokenizer.ggml.token_type": ("int32", [1] * (count - 1) + [3]),
        "tokenizer.ggml.merges": ("string", ["a a"]),
        "tokenizer.ggml.bos_token_id": ("uint32", count - 1),
        "tokenizer.ggml.eos_token_id": ("uint32", count - 1),
    }
    del tiny.metadata["tokenizer.ggml.scores"]
    dims, kind, raw = tiny.tensors["token_embd.weight"]
    tiny.tensors["token_embd.weight"] = ((dims[0], count), kind, raw[: 4 * dims[0] * count])
    model = LlamaCppModel(tiny.write(tmp_path / "splits.gguf"), context_tokens=256, max_sequences=1)
    assert model.count_tokens("a" * 40_000) == 40_000
    model.close()
