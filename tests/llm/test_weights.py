"""Copies of a model in other weight formats: made whole or not at all, used, remembered, undone."""

import os
import resource
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from engine.domain import Message
from engine.errors import CancelledError, ConflictError, InputError, StorageError
from engine.llm.base import GenerationParams
from engine.llm.llamacpp import LlamaCppModel
from engine.llm.llamacpp.context import ContextShape, DecodingContext, Row
from engine.llm.llamacpp.library import AbortSwitch
from engine.llm.llamacpp.loaded import LoadedModel
from engine.llm.llamacpp.model_files.known_files import RECORD, KnownFiles
from engine.llm.llamacpp.tokens import Vocabulary
from engine.llm.llamacpp.weights import copies
from engine.llm.llamacpp.weights.copies import WeightCopies
from engine.llm.llamacpp.weights.formats import fastest_format
from engine.llm.llamacpp.weights.record import read_records
from engine.machine import Hardware, inspect_hardware
from engine.model_registry.gguf_file import read_gguf
from engine.model_registry.registry import ModelRegistry
from engine.training.adapters.parity import kl_divergence

pytestmark = pytest.mark.models

QUESTION = (Message("user", "Which city is the capital of France?"),)
FEW = GenerationParams(max_tokens=8, temperature=0.0)


def roomy() -> Hardware:
    """A machine that computes BF16, with memory for everything."""
    found = inspect_hardware()
    return replace(found, cpu_flags=("avx2", "avx512_bf16"), memory_available=64 << 30, gpus=(), llama_cpp_gpu=False)


@dataclass(frozen=True)
class Place:
    """A models folder with the default model, and its copies."""

    model: Path
    cache: Path

    @property
    def copies(self) -> WeightCopies:
        """As another process would open them."""
        return WeightCopies(self.cache, roomy)

    @property
    def files(self) -> list[str]:
        """What is in the folder of the copies, but for records."""
        return sorted(path.name for path in (self.model.parent / ".optimised").glob("*") if path.suffix != ".json")


def place(folder: Path, chat_gguf: Path) -> Place:
    (folder / "models").mkdir(parents=True)
    model = folder / "models" / chat_gguf.name
    model.symlink_to(chat_gguf)
    return Place(model, folder / "cache")


@pytest.fixture
def fresh(tmp_path: Path, chat_gguf: Path) -> Place:
    return place(tmp_path, chat_gguf)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, chat_gguf: Path) -> tuple[Place, list[Path]]:
    """A copy, made by two at the same time; and what each of them was given to load."""
    where = place(tmp_path_factory.mktemp("weights"), chat_gguf)
    with ThreadPoolExecutor(2) as pool:
        given = list(pool.map(lambda _: where.copies.served(where.model, "q8_0"), range(2)))
    return where, given


@pytest.fixture
def copied(made: tuple[Place, list[Path]], tmp_path: Path) -> Place:
    """A place of its own with that copy."""
    folder = tmp_path / "place"
    shutil.copytree(made[0].model.parent, folder / "models", symlinks=True, copy_function=_link)
    return Place(folder / "models" / made[0].model.name, folder / "cache")


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source) if source.endswith("-q8_0.gguf") else shutil.copy2(source, target, follow_symlinks=False)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """A disk on which no file grows beyond this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("source", "flags", "on_gpu", "expected"),
    [
        ("Q4_1", ("avx2", "avx512_bf16"), False, "bf16"),
        ("Q5_K", ("avx2", "amx_bf16"), False, "bf16"),
        ("F32", ("asimd", "bf16"), False, "bf16"),
        ("Q4_1", ("avx2",), False, "q8_0"),
        ("Q4_1", ("asimd",), False, "q8_0"),
        ("Q4_1", (), False, None),
        ("Q4_0", ("avx2", "avx512_bf16"), False, None),
        ("BF16", ("avx2", "avx512_bf16"), False, None),
        ("Q4_1", ("avx2", "avx512_bf16"), True, None),
    ],
)
def test_the_fastest_format_follows_from_file_and_processor(
    source: str, flags: tuple[str, ...], on_gpu: bool, expected: str | None
) -> None:
    assert fastest_format(source, flags, on_gpu=on_gpu) == expected


def test_two_at_once_get_one_whole_copy(made: tuple[Place, list[Path]]) -> None:
    where, (first, second) = made
    assert first == second != where.model
    assert where.files == [first.name]
    assert read_gguf(first).commonest_type() == "Q8_0"
    assert len(read_gguf(first).tensors) == len(read_gguf(where.model).tensors)


def test_a_copy_is_remembered_with_what_was_measured(copied: Place) -> None:
    record = copied.copies.record(copied.model)
    assert record is not None
    assert record.format == "q8_0"
    assert all(speed.one > 0 and speed.many > speed.one for speed in record.speeds.values())
    assert record.gains["alone"] > 0
    assert copied.copies.served(copied.model).name == record.copy_name
    assert copied.copies.served(copied.model, "as-is") == copied.model


def test_copies_are_not_models_of_their_own(copied: Place) -> None:
    assert [model.path for model in ModelRegistry(copied.model.parent).list()] == [copied.model]


def predictions(model: Path) -> np.ndarray:
    """Logits after each token of a text; shape (tokens, vocabulary)."""
    tokens = Vocabulary(model).tokenise("The museum opens at nine. It is closed on Mondays, and entry is free for children.")
    weights = LoadedModel(model, gpu_layers=0)
    context = DecodingContext(weights, ContextShape(256, 1, 64, 2), None, AbortSwitch())
    context.decode([Row(token, at, 0, True) for at, token in enumerate(tokens)])
    logits = np.stack([context.logits(at).copy() for at in range(len(tokens))])
    context.close()
    weights.close()
    return logits


def test_a_copy_is_the_same_model_up_to_rounding(copied: Place) -> None:
    divergence = kl_divergence(predictions(copied.model), predictions(copied.copies.served(copied.model)))
    assert 0 < divergence.mean() < 0.03  # measured: 0.008; Q4_0, another model, has 0.3


def test_a_copy_answers_in_place_of_the_model_and_takes_its_adapters(copied: Place, adapter: Path) -> None:
    copy = copied.copies.served(copied.model)
    model = LlamaCppModel(copied.model, context_tokens=512, max_sequences=2, weights=lambda _stop: copy)
    try:
        answer = model.complete(QUESTION, FEW)
        assert answer.text
        assert answer.model == copied.model.stem
        assert model.complete(QUESTION, replace(FEW, adapter=adapter)).text != answer.text
    finally:
        model.close()


def test_restoring_deletes_the_copy_and_is_remembered(copied: Place) -> None:
    record = copied.copies.restore(copied.model)
    assert record.format == "as-is"
    assert set(record.speeds) == {"as-is", "q8_0"}
    assert copied.files == []
    assert copied.copies.served(copied.model) == copied.model


def test_a_file_of_the_same_name_is_another_model(copied: Place) -> None:
    copied.model.unlink()
    copied.model.write_bytes(b"GGUF of another model")
    assert copied.copies.record(copied.model) is None
    assert copied.copies.served(copied.model) == copied.model


def test_removing_leaves_nothing(copied: Place) -> None:
    copied.model.unlink()
    copied.copies.remove(copied.model)
    assert list((copied.model.parent / ".optimised").iterdir()) == []


def test_a_copy_that_is_cut_short_is_not_used(copied: Place) -> None:
    (copied.model.parent / ".optimised" / copied.files[0]).unlink()
    (copied.model.parent / ".optimised" / "x-q8_0.gguf").write_bytes(b"GGUF")
    poor = WeightCopies(copied.cache, lambda: replace(roomy(), memory_available=100 << 20))
    assert poor.served(copied.model) == copied.model


def test_a_copy_that_cannot_be_loaded_is_passed_over(chat_gguf: Path, tmp_path: Path, runtime: LlamaCppModel) -> None:
    garbage = tmp_path / "copy.gguf"
    garbage.write_bytes(b"GGUF" + b"\xff" * 4096)
    model = LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=1, weights=lambda _stop: garbage)
    try:
        assert model.complete(QUESTION, FEW).text == runtime.complete(QUESTION, FEW).text
    finally:
        model.close()


def test_a_full_disk_is_told_and_leaves_nothing(fresh: Place) -> None:
    with largest_file(30 << 20), pytest.raises(StorageError) as caught:
        fresh.copies.optimise(fresh.model, "q8_0")
    assert "space" in (caught.value.hint or "")
    assert fresh.files == []
    assert fresh.copies.record(fresh.model) is None


def test_what_takes_too_long_is_given_up_and_not_tried_again(fresh: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "INLINE_S", 0.0)
    assert fresh.copies.served(fresh.model) == fresh.model
    monkeypatch.undo()
    record = fresh.copies.record(fresh.model)
    assert record is not None
    assert record.format == "as-is"
    assert fresh.copies.served(fresh.model) == fresh.model
    assert fresh.files == []


def test_nothing_is_decided_when_the_model_is_closed_meanwhile(fresh: Place) -> None:
    assert fresh.copies.served(fresh.model, "auto", lambda: True) == fresh.model
    assert fresh.copies.record(fresh.model) is None
    assert fresh.files == []


def test_nothing_is_decided_when_somebody_asks_again_after_it_was_given_up(fresh: Place) -> None:
    KnownFiles(fresh.cache / RECORD).digest(fresh.model)  # so that the copy is what is given up
    given_up = iter([True])
    assert fresh.copies.served(fresh.model, "auto", lambda: next(given_up, False)) == fresh.model
    assert next(given_up, None) is None
    assert fresh.copies.record(fresh.model) is None
    assert fresh.files == []


def test_reading_a_model_can_be_given_up(fresh: Place) -> None:
    reads_on = iter([False, False])
    with pytest.raises(CancelledError):
        fresh.copies.optimise(fresh.model, "q8_0", stop=lambda: next(reads_on, True))
    assert KnownFiles(fresh.cache / RECORD).recall(fresh.model) is None
    assert fresh.files == []


def test_looking_for_a_copy_can_be_given_up(copied: Place) -> None:
    known = KnownFiles(copied.cache / RECORD)
    assert copied.copies.served(copied.model, "auto", lambda: True) == copied.model
    assert known.recall(copied.model) is None
    known.digest(copied.model)
    assert copied.copies.served(copied.model, "auto", lambda: True) == copied.model  # while the copy is tried
    assert copied.copies.served(copied.model) != copied.model


def test_no_copy_is_made_where_memory_or_the_size_of_the_model_speaks_against_it(
    fresh: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = WeightCopies(fresh.cache, lambda: replace(roomy(), memory_available=500 << 20))
    assert poor.served(fresh.model) == fresh.model
    monkeypatch.setattr(copies, "AUTO_PARAMETERS", 100_000_000)
    assert fresh.copies.served(fresh.model) == fresh.model
    assert not (fresh.model.parent / ".optimised").exists() or fresh.files == []


def test_a_models_folder_that_cannot_be_written_sends_copies_to_the_cache(fresh: Place) -> None:
    (fresh.model.parent / ".optimised").write_text("in the way")
    record = fresh.copies.restore(fresh.model)
    assert read_records(fresh.cache / "optimised") == [record]
    assert fresh.copies.record(fresh.model) == record


def test_odd_requests_are_refused(fresh: Place) -> None:
    with pytest.raises(InputError, match="no weight format"):
        fresh.copies.optimise(fresh.model, "q9")
    on_gpu = WeightCopies(fresh.cache, lambda: replace(roomy(), cpu_flags=()))
    with pytest.raises(ConflictError, match="needs no copy"):
        on_gpu.optimise(fresh.model)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"source_sha256": "../../x", "format": "bf16"}', '{"format": 3}'])
def test_damaged_records_are_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    assert read_records(tmp_path) == []


def test_a_copy_that_somebody_else_put_there_is_tried_first(copied: Place, tmp_path: Path) -> None:
    copy = copied.model.parent / ".optimised" / copied.files[0]
    size = copy.stat().st_size
    copy.unlink()
    copy.write_bytes(b"GGUF" + b"\xff" * 4096)
    os.truncate(copy, size)  # as long as the record says, and sparse
    assert WeightCopies(tmp_path / "other", roomy).served(copied.model) == copied.model
