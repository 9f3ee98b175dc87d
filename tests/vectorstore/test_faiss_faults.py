"""What a crash, damage, a full disk or a second process does to a FAISS collection: nothing that was saved is lost."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.config import PROJECT_ROOT
from engine.embedding.base import Vectors
from engine.errors import NexusError, StorageError, VectorStoreError
from engine.vectorstore import generations
from engine.vectorstore.base import Entry
from engine.vectorstore.faiss_store import FaissStore
from engine.vectorstore.registry import discard_store

ROWS: Vectors = np.eye(8, dtype=np.float32)


def reopen(folder: Path, *, dimension: int = 8, encoder: str = "encoder") -> FaissStore:
    return FaissStore(folder, dimension, encoder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved collection of two entries, a and b."""
    store = reopen(tmp_path / "collection")
    store.add([Entry("a", {"n": "1"}), Entry("b", {"n": "2"})], ROWS[:2])
    store.save()
    return tmp_path / "collection"


def generation(folder: Path) -> Path:
    found = list(folder.glob("gen-*"))
    assert len(found) == 1
    return found[0]


def rewrite_manifest(folder: Path, **values: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | values))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated index": lambda folder: truncate(generation(folder) / "vectors.faiss"),
    "truncated entries": lambda folder: truncate(generation(folder) / "entries.json"),
    "missing index": lambda folder: (generation(folder) / "vectors.faiss").unlink(),
    "missing entries": lambda folder: (generation(folder) / "entries.json").unlink(),
    "empty manifest": lambda folder: (folder / "manifest.json").write_bytes(b""),
    "manifest of another kind": lambda folder: (folder / "manifest.json").write_text("[1]"),
    "manifest with a number for a name": lambda folder: rewrite_manifest(folder, generation=7),
    "manifest that leaves the folder": lambda folder: rewrite_manifest(folder, generation="gen-/../../other"),
    "a later format": lambda folder: rewrite_manifest(folder, format=99),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_found_when_opened_and_says_to_rebuild(folder: Path, damage: Callable[[Path], object]) -> None:
    damage(folder)
    with pytest.raises(VectorStoreError) as caught:
        reopen(folder)
    assert "Rebuild" in str(caught.value.hint)


def test_a_single_flipped_bit_is_found(folder: Path) -> None:
    path = generation(folder) / "vectors.faiss"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(VectorStoreError, match="checksum"):
        reopen(folder)


def test_files_that_do_not_belong_together_are_refused(folder: Path) -> None:
    """Right checksums are not enough: the entries must be those of the vectors."""
    import hashlib

    entries = b'[[0, "a", {}]]'
    (generation(folder) / "entries.json").write_bytes(entries)
    rewrite_manifest(folder, entries_sha256=hashlib.sha256(entries).hexdigest())
    with pytest.raises(VectorStoreError, match="belong together"):
        reopen(folder)


@pytest.mark.parametrize(("dimension", "encoder"), [(9, "encoder"), (8, "other")])
def test_another_encoder_is_refused(folder: Path, dimension: int, encoder: str) -> None:
    with pytest.raises(VectorStoreError, match="was made with encoder"):
        reopen(folder, dimension=dimension, encoder=encoder)


def test_a_damaged_collection_can_be_discarded_and_rebuilt(folder: Path) -> None:
    truncate(generation(folder) / "vectors.faiss")
    discard_store(folder)
    store = reopen(folder, encoder="other")
    assert store.count() == 0
    store.add([Entry("new", {})], ROWS[:1])
    store.save()
    assert reopen(folder, encoder="other").ids() == {"new"}


def test_an_open_store_sees_that_it_was_discarded(folder: Path) -> None:
    store = reopen(folder)
    discard_store(folder)
    assert store.search(ROWS[0], 5) == []


CHILD = """
import os, signal, sys
from pathlib import Path
import numpy as np
from engine.vectorstore import generations
from engine.vectorstore.base import Entry
from engine.vectorstore.faiss_store import FaissStore
folder, mode = Path(sys.argv[1]), sys.argv[2]
rows = np.eye(8, dtype=np.float32)
if mode.startswith("kill"):
    step = {"kill-index": 1, "kill-entries": 2, "kill-manifest": 3}[mode]
    real, calls = generations._write_durably, []
    def dying(path, content):
        calls.append(path)
        if len(calls) == step:
            path.write_bytes(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        real(path, content)
    generations._write_durably = dying
store = FaissStore(folder, 8, "encoder")
for i in range(int(sys.argv[3])):
    store.add([Entry(f"{mode}-{i}", {})], rows[i % 8 : i % 8 + 1])
    store.save()
"""


def child(folder: Path, mode: str, count: int) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(PROJECT_ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", CHILD, str(folder), mode, str(count)], env=environment)


@pytest.mark.parametrize("mode", ["kill-index", "kill-entries", "kill-manifest"])
def test_killed_between_write_and_rename_keeps_what_was_saved(folder: Path, mode: str) -> None:
    assert child(folder, mode, 1).wait(60) == -signal.SIGKILL
    assert len(list(folder.glob("gen-*"))) == 2, "the child died in the middle of a save"
    store = reopen(folder)
    assert store.ids() == {"a", "b"}
    store.add([Entry("c", {})], ROWS[2:3])
    store.save()
    assert reopen(folder).ids() == {"a", "b", "c"}
    generation(folder)  # What the dead process left was cleared away.


def test_two_processes_that_write_at_the_same_time_lose_nothing(folder: Path) -> None:
    children = [child(folder, name, 15) for name in ("left", "right")]
    assert [process.wait(90) for process in children] == [0, 0]
    assert reopen(folder).ids() == {"a", "b"} | {f"{name}-{i}" for name in ("left", "right") for i in range(15)}


def test_a_full_disk_keeps_what_was_saved_and_the_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = reopen(folder)
    store.add([Entry("c", {})], ROWS[2:3])

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(generations, "_write_durably", full)
        with pytest.raises(StorageError, match="No space"):
            store.save()
    generation(folder)  # Nothing half-written stays.
    assert reopen(folder).ids() == {"a", "b"}
    store.save()
    assert reopen(folder).ids() == {"a", "b", "c"}


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError) as caught:
        reopen(tmp_path / "file" / "collection").save()
    assert isinstance(caught.value, NexusError)


class TestTwoHandles:
    """Two stores on one folder, as the app and the command line beside it."""

    def test_a_save_is_noticed_at_the_next_search(self, folder: Path) -> None:
        reader, writer = reopen(folder), reopen(folder)
        writer.add([Entry("c", {})], ROWS[2:3])
        assert reader.search(ROWS[2], 1)[0].entry.id != "c"
        writer.save()
        assert reader.search(ROWS[2], 1)[0].entry.id == "c"
        assert (reader.count(), reader.ids()) == (3, {"a", "b", "c"})

    def test_neither_loses_the_others_entries(self, folder: Path) -> None:
        left, right = reopen(folder), reopen(folder)
        left.add([Entry("l", {})], ROWS[3:4])
        right.add([Entry("r", {})], ROWS[4:5])
        right.delete(["a"])
        left.save()
        right.save()
        assert left.ids() == right.ids() == reopen(folder).ids() == {"b", "l", "r"}

    def test_own_unsaved_changes_survive_a_reload(self, folder: Path) -> None:
        left, right = reopen(folder), reopen(folder)
        left.add([Entry("l", {"kept": "yes"})], ROWS[3:4])
        left.delete(["b"])
        right.add([Entry("r", {})], ROWS[4:5])
        right.save()
        assert left.ids() == {"a", "l", "r"}
        assert left.search(ROWS[3], 1)[0].entry.payload == {"kept": "yes"}

    def test_the_later_save_wins_for_the_same_entry(self, folder: Path) -> None:
        left, right = reopen(folder), reopen(folder)
        left.add([Entry("a", {"by": "left"})], ROWS[5:6])
        right.add([Entry("a", {"by": "right"})], ROWS[6:7])
        left.save()
        right.save()
        hits = reopen(folder).search(ROWS[6], 1)
        assert (hits[0].entry.payload["by"], reopen(folder).count()) == ("right", 2)

    def test_a_save_without_changes_writes_nothing(self, folder: Path) -> None:
        before = (folder / "manifest.json").read_bytes()
        reopen(folder).save()
        assert (folder / "manifest.json").read_bytes() == before

    def test_an_empty_collection_can_be_saved(self, tmp_path: Path) -> None:
        reopen(tmp_path / "empty").save()
        with pytest.raises(VectorStoreError):
            reopen(tmp_path / "empty", encoder="other")
