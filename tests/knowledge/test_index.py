"""The search index follows the database, whatever happens to its files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.cancellation import CancelToken
from engine.config import Settings
from engine.db.repositories import Repositories
from engine.domain import Collection, CollectionStatus, Document, FaqPair, FaqStatus, new_id, utc_now
from engine.embedding.base import Embedder, Vectors
from engine.embedding.fake import HashingEmbedder
from engine.embedding.registry import create_embedder
from engine.errors import CancelledError, EmbeddingError, NotFoundError, StorageError
from engine.knowledge.documents import DocumentLibrary
from engine.knowledge.index import KnowledgeIndex
from engine.vectorstore.faiss_store import FaissStore

GUIDE = """# Parcels

Parcels arrive within five days. Express parcels arrive the next morning.

# Returns

Send goods back within thirty days. The refund goes to the card that paid.

# Pianos

Order number PX-4471 is a grand piano with eighty-eight keys.
"""


class CountingEmbedder(HashingEmbedder):
    """Remembers what it was asked to embed."""

    def __init__(self, name: str = "counting") -> None:
        super().__init__(name)
        self.texts: list[str] = []

    def _embed_batch(self, texts: list[str]) -> Vectors:
        self.texts += texts
        return super()._embed_batch(texts)


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def guide(repositories: Repositories, settings: Settings, shop: Collection, tmp_path: Path) -> Document:
    path = tmp_path / "guide.md"
    path.write_text(GUIDE)
    return DocumentLibrary(repositories, settings).add(path, shop.id)


@pytest.fixture
def make_index(repositories: Repositories, settings: Settings) -> Callable[[Embedder], KnowledgeIndex]:
    return lambda embedder: KnowledgeIndex(repositories, lambda: embedder, FaissStore, settings)


@pytest.fixture
def index(make_index: Callable[[Embedder], KnowledgeIndex], embedder: Embedder) -> KnowledgeIndex:
    return make_index(embedder)


def pair_of(shop: Collection, document: Document, question: str, answer: str) -> FaqPair:
    return FaqPair(
        id=new_id(),
        collection_id=shop.id,
        question=question,
        answer=answer,
        quote="Parcels arrive within five days.",
        document_id=document.id,
        document=document.name,
        page=1,
        heading="Parcels",
        score=1.0,
        status=FaqStatus.APPROVED,
        reason="",
        model="",
        created_at=utc_now(),
    )


class TestSync:
    def test_indexes_chunks_and_approved_pairs_only(
        self, index: KnowledgeIndex, repositories: Repositories, shop: Collection, guide: Document
    ) -> None:
        approved = pair_of(shop, guide, "How long do parcels take?", "Five days.")
        pending = replace(pair_of(shop, guide, "Pending?", "Yes."), status=FaqStatus.PENDING)
        repositories.faqs.add([approved, pending])
        chunks = len(repositories.documents.chunk_ids(shop.id))
        assert index.sync(shop.id).total == chunks + 1
        assert repositories.collections.get(shop.id).status is CollectionStatus.READY
        found = index.search(shop.id, "How long do parcels take?", 5, kind="faq")
        assert [(passage.source_id, passage.answer, passage.text) for passage in found] == [
            (approved.id, "Five days.", "Parcels arrive within five days.")
        ]

    def test_does_nothing_the_second_time(
        self, index: KnowledgeIndex, embedder: CountingEmbedder, shop: Collection, guide: Document
    ) -> None:
        first = index.sync(shop.id)
        embedded = len(embedder.texts)
        second = index.sync(shop.id)
        assert first.added == first.total == embedded > 0
        assert (second.added, second.removed, second.total) == (0, 0, first.total)
        assert len(embedder.texts) == embedded

    def test_an_edited_pair_is_embedded_again_and_the_old_wording_goes(
        self, index: KnowledgeIndex, repositories: Repositories, shop: Collection, guide: Document
    ) -> None:
        pair = pair_of(shop, guide, "Do you sell zebras?", "No.")
        repositories.faqs.add([pair])
        index.sync(shop.id)
        repositories.faqs.change([pair.id], "edit", lambda pair: replace(pair, question="Do you sell giraffes?"))
        report = index.sync(shop.id)
        assert (report.added, report.removed) == (1, 1)
        assert index.search(shop.id, "giraffes", 1, kind="faq")[0].question == "Do you sell giraffes?"

    def test_a_removed_document_is_not_found_again(
        self, index: KnowledgeIndex, repositories: Repositories, settings: Settings, shop: Collection, guide: Document
    ) -> None:
        assert index.search(shop.id, "grand piano", 3)
        DocumentLibrary(repositories, settings).remove(guide.id, shop.id)
        assert index.search(shop.id, "grand piano", 3) == []
        assert repositories.collections.get(shop.id).status is CollectionStatus.EMPTY

    def test_reports_progress_to_the_end(self, index: KnowledgeIndex, shop: Collection, guide: Document) -> None:
        seen: list[float] = []
        index.sync(shop.id, progress=lambda fraction, _: seen.append(fraction))
        assert seen == sorted(seen)
        assert seen[-1] == 1.0

    def test_cancelled(self, index: KnowledgeIndex, repositories: Repositories, shop: Collection, guide: Document) -> None:
        cancel = CancelToken()
        cancel.cancel()
        before = repositories.collections.get(shop.id).status
        with pytest.raises(CancelledError):
            index.sync(shop.id, cancel=cancel)
        assert repositories.collections.get(shop.id).status is before, "being stopped is no failure"
        assert index.sync(shop.id).total > 0
        assert repositories.collections.get(shop.id).status is CollectionStatus.READY

    def test_unknown_collection(self, index: KnowledgeIndex) -> None:
        with pytest.raises(NotFoundError):
            index.sync("absent")

    def test_another_process_sees_what_was_indexed(
        self, make_index: Callable[[Embedder], KnowledgeIndex], shop: Collection, guide: Document
    ) -> None:
        make_index(CountingEmbedder()).sync(shop.id)
        fresh = CountingEmbedder()
        assert make_index(fresh).sync(shop.id).added == 0
        assert fresh.texts == []


class TestFaults:
    def test_damaged_vectors_are_rebuilt(
        self,
        index: KnowledgeIndex,
        make_index: Callable[[Embedder], KnowledgeIndex],
        settings: Settings,
        shop: Collection,
        guide: Document,
    ) -> None:
        total = index.sync(shop.id).total
        for path in (settings.vectors_dir / shop.id).rglob("*.faiss"):
            path.write_bytes(path.read_bytes()[:20])
        report = make_index(HashingEmbedder("counting")).sync(shop.id)
        assert (report.rebuilt, report.added) == (True, total)

    def test_another_encoder_means_a_rebuild(
        self, index: KnowledgeIndex, make_index: Callable[[Embedder], KnowledgeIndex], shop: Collection, guide: Document
    ) -> None:
        index.sync(shop.id)
        report = make_index(HashingEmbedder("wider", dimension=512)).sync(shop.id)
        assert report.rebuilt
        assert report.added == report.total

    def test_vectors_deleted_by_hand(
        self, index: KnowledgeIndex, settings: Settings, shop: Collection, guide: Document
    ) -> None:
        index.sync(shop.id)
        for path in (settings.vectors_dir / shop.id).glob("manifest.json"):
            path.unlink()
        assert index.search(shop.id, "grand piano", 1)[0].document == "guide.md"

    def test_a_failing_encoder_leaves_the_status_failed(
        self, make_index: Callable[[Embedder], KnowledgeIndex], repositories: Repositories, shop: Collection, guide: Document
    ) -> None:
        class Broken(HashingEmbedder):
            def _embed_batch(self, texts: list[str]) -> Vectors:
                raise EmbeddingError("no")

        with pytest.raises(EmbeddingError):
            make_index(Broken()).sync(shop.id)
        assert repositories.collections.get(shop.id).status is CollectionStatus.FAILED

    def test_a_full_disk_while_saving_is_made_up_for(
        self, index: KnowledgeIndex, shop: Collection, guide: Document, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: FaissStore) -> None:
            raise StorageError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(FaissStore, "save", full)
            with pytest.raises(StorageError):
                index.sync(shop.id)
        index.close()
        assert index.sync(shop.id).added > 0
        assert index.search(shop.id, "refund card", 1)


class TestSearch:
    def test_exact_terms_are_found_by_keyword(self, index: KnowledgeIndex, shop: Collection, guide: Document) -> None:
        best = index.search(shop.id, "What is PX-4471?", 1)[0]
        assert "grand piano" in best.text
        assert (best.document, best.page, best.heading_path) == ("guide.md", best.page, ("Pianos",))

    def test_text_is_verbatim_and_scores_are_cosines(
        self, index: KnowledgeIndex, repositories: Repositories, shop: Collection, guide: Document
    ) -> None:
        for passage in index.search(shop.id, "refund parcels", 5):
            assert passage.page is not None
            assert passage.text in repositories.documents.page(guide.id, passage.page).text
            assert -1.0 <= passage.score <= 1.0

    @pytest.mark.parametrize("question", ["", "?", '" OR * NEAR(', "the of and", "x" * 5000, "水"])
    def test_any_question_is_harmless(self, index: KnowledgeIndex, shop: Collection, guide: Document, question: str) -> None:
        assert len(index.search(shop.id, question, 2)) <= 2

    def test_an_empty_collection_has_no_passages(self, index: KnowledgeIndex, shop: Collection) -> None:
        assert index.search(shop.id, "anything", 5) == []

    def test_collections_do_not_see_each_other(
        self, index: KnowledgeIndex, repositories: Repositories, shop: Collection, guide: Document
    ) -> None:
        index.sync(shop.id)
        assert index.search(repositories.collections.ensure("other").id, "grand piano", 5) == []

    @pytest.mark.models
    def test_a_paraphrase_is_found_by_meaning(
        self, make_index: Callable[[Embedder], KnowledgeIndex], models_dir: Path, shop: Collection, guide: Document
    ) -> None:
        index = make_index(create_embedder("all-MiniLM-L6-v2", models_dir))
        best = index.search(shop.id, "How do I get my money back?", 1)[0]
        assert best.heading_path == ("Returns",)
        assert np.isclose(best.score, 0.3, atol=0.3)
