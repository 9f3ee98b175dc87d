"""The contract of every vector store, and FAISS compared with plain numpy."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engine.embedding.base import Vectors
from engine.errors import ConfigError, VectorStoreError
from engine.vectorstore.base import Entry, VectorStore
from engine.vectorstore.faiss_store import FaissStore
from engine.vectorstore.memory import MemoryStore
from engine.vectorstore.registry import STORES, open_store

DIMENSION = 8


def unit_rows(count: int, seed: int = 0) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def entries(count: int, **payload: str) -> list[Entry]:
    return [Entry(f"e{i}", {"number": str(i), "parity": "odd" if i % 2 else "even", **payload}) for i in range(count)]


class VectorStoreContract:
    """What every strategy promises; subclasses give `store`, empty and of dimension `DIMENSION`."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        raise NotImplementedError

    def test_is_a_vector_store(self, store: VectorStore) -> None:
        assert isinstance(store, VectorStore)
        assert store.dimension == DIMENSION

    def test_an_empty_store_finds_nothing(self, store: VectorStore) -> None:
        assert store.search(unit_rows(1)[0], 5) == []
        assert (store.count(), store.ids(), store.delete(["x"])) == (0, set(), 0)

    def test_finds_each_vector_by_itself_with_its_payload(self, store: VectorStore) -> None:
        rows = unit_rows(20)
        store.add(entries(20), rows)
        for i, row in enumerate(rows):
            hit = store.search(row, 1)[0]
            assert hit.entry == entries(20)[i]
            assert hit.score == pytest.approx(1.0, abs=1e-5)

    def test_best_first_and_never_more_than_asked_or_stored(self, store: VectorStore) -> None:
        store.add(entries(20), unit_rows(20))
        query = unit_rows(1, seed=9)[0]
        scores = [hit.score for hit in store.search(query, 7)]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == 7
        assert len(store.search(query, 1000)) == 20
        assert store.search(query, 0) == []

    def test_an_entry_added_again_is_replaced(self, store: VectorStore) -> None:
        rows = unit_rows(3)
        store.add(entries(2), rows[:2])
        store.add([Entry("e0", {"new": "yes"})], rows[2:])
        assert store.count() == 2
        hit = store.search(rows[2], 1)[0]
        assert (hit.entry.id, dict(hit.entry.payload)) == ("e0", {"new": "yes"})
        assert all(hit.score < 0.999 for hit in store.search(rows[0], 2))

    def test_the_last_of_equal_identifiers_in_one_call_wins(self, store: VectorStore) -> None:
        rows = unit_rows(2)
        store.add([Entry("same", {"v": "1"}), Entry("same", {"v": "2"})], rows)
        assert store.count() == 1
        assert store.search(rows[1], 1)[0].entry.payload["v"] == "2"

    def test_deleted_entries_are_not_found(self, store: VectorStore) -> None:
        rows = unit_rows(10)
        store.add(entries(10), rows)
        assert store.delete(["e3", "e4", "e4", "unknown"]) == 2
        assert store.ids() == {f"e{i}" for i in range(10) if i not in (3, 4)}
        assert "e3" not in {hit.entry.id for hit in store.search(rows[3], 10)}

    def test_a_filter_never_costs_results(self, store: VectorStore) -> None:
        """The only match is the farthest of all: a store that filters after a short search would miss it."""
        rows = unit_rows(200)
        query = unit_rows(1, seed=5)[0]
        farthest = int(np.argmin(rows @ query))
        store.add([Entry(f"e{i}", {"rare": str(i == farthest)}) for i in range(200)], rows)
        assert [hit.entry.id for hit in store.search(query, 3, {"rare": "True"})] == [f"e{farthest}"]

    def test_a_filter_needs_every_value_exactly(self, store: VectorStore) -> None:
        store.add(entries(10, kind="faq"), unit_rows(10))
        query = unit_rows(1)[0]
        assert {hit.entry.id for hit in store.search(query, 10, {"parity": "odd", "kind": "faq"})} == {
            f"e{i}" for i in (1, 3, 5, 7, 9)
        }
        assert store.search(query, 10, {"parity": "odd", "kind": "chunk"}) == []
        assert store.search(query, 10, {"missing": ""}) == []
        assert len(store.search(query, 10, {})) == 10

    @pytest.mark.parametrize("shape", [(2, DIMENSION), (1, DIMENSION + 1), (DIMENSION,)])
    def test_wrong_shapes_are_refused_and_leave_nothing(self, store: VectorStore, shape: tuple[int, ...]) -> None:
        with pytest.raises(VectorStoreError):
            store.add(entries(1), np.ones(shape, dtype=np.float32))
        assert store.count() == 0

    @pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 3.0])
    def test_vectors_that_have_no_cosine_are_refused(self, store: VectorStore, value: float) -> None:
        with pytest.raises(VectorStoreError):
            store.add(entries(1), np.full((1, DIMENSION), value, dtype=np.float32))
        with pytest.raises(VectorStoreError):
            store.search(np.full(DIMENSION, value, dtype=np.float32), 1)

    def test_a_query_of_another_length_is_refused(self, store: VectorStore) -> None:
        with pytest.raises(VectorStoreError):
            store.search(np.ones(DIMENSION + 1, dtype=np.float32), 1)

    def test_odd_texts_survive(self, store: VectorStore) -> None:
        odd = Entry("id\n'\"; DROP", {"a": "\x00\ud800🙂", "": "empty name"})
        store.add([odd], unit_rows(1))
        store.save()
        assert store.search(unit_rows(1)[0], 1)[0].entry == odd

    def test_a_closed_store_refuses(self, store: VectorStore) -> None:
        store.close()
        store.close()
        with pytest.raises(VectorStoreError):
            store.search(unit_rows(1)[0], 1)
        with pytest.raises(VectorStoreError):
            store.add(entries(1), unit_rows(1))

    def test_threads_may_write_and_search_at_the_same_time(self, store: VectorStore) -> None:
        rows = unit_rows(40)
        failures: list[BaseException] = []

        def work(part: int) -> None:
            try:
                for i in range(part, 40, 4):
                    store.add([Entry(f"t{i}", {})], rows[i : i + 1])
                    store.search(rows[i], 5)
                    store.save()
            except BaseException as exc:
                failures.append(exc)
                raise

        threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not failures
        assert store.ids() == {f"t{i}" for i in range(40)}


class TestMemory(VectorStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return open_store("memory", tmp_path, DIMENSION, "encoder")


class TestFaiss(VectorStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        return open_store("faiss", tmp_path / "collection", DIMENSION, "encoder")

    def test_what_was_saved_is_there_when_opened_again(self, store: VectorStore, tmp_path: Path) -> None:
        rows = unit_rows(10)
        store.add(entries(10), rows)
        store.delete(["e9"])
        store.save()
        store.add([Entry("unsaved", {})], rows[9:])
        store.close()
        again = open_store("faiss", tmp_path / "collection", DIMENSION, "encoder")
        assert again.ids() == {f"e{i}" for i in range(9)}
        assert again.search(rows[4], 1)[0].entry == entries(10)[4]
        again.add([Entry("later", {})], rows[9:])
        assert again.search(rows[9], 1)[0].entry.id == "later"


def test_unknown_kinds_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store("pinecone", tmp_path, DIMENSION, "encoder")
    assert all(kind in str(caught.value.hint) for kind in STORES)


@given(
    st.integers(0, 2**16),
    st.lists(st.tuples(st.sampled_from(["add", "delete"]), st.integers(0, 30)), max_size=60),
    st.integers(1, 12),
    st.sampled_from([None, {"parity": "odd"}, {"parity": "even", "number": "4"}]),
)
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_faiss_finds_what_numpy_finds(
    tmp_path: Path, seed: int, steps: list[tuple[str, int]], limit: int, where: dict[str, str] | None
) -> None:
    """Any history of additions and removals, any limit and filter: the same entries with the same scores."""
    rows, labels = unit_rows(31, seed), entries(31)
    faiss, numpy = FaissStore(tmp_path / "never-saved", DIMENSION, "encoder"), MemoryStore(DIMENSION)
    for action, i in steps:
        for store in (faiss, numpy):
            if action == "add":
                store.add([labels[i]], rows[i : i + 1])
            else:
                store.delete([labels[i].id])
    query = unit_rows(1, seed + 1)[0]
    found, expected = faiss.search(query, limit, where), numpy.search(query, limit, where)
    assert [hit.entry for hit in found] == [hit.entry for hit in expected]
    np.testing.assert_allclose([hit.score for hit in found], [hit.score for hit in expected], atol=1e-5)
