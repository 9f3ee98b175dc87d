"""With the real encoder, over the sample documents."""

from pathlib import Path

import pytest

from engine.config import PROJECT_ROOT, Settings
from engine.db.repositories import Repositories
from engine.db.session import Database
from engine.domain import Document, FaqPair, FaqStatus, utc_now
from engine.embedding.registry import create_embedder
from engine.knowledge.documents import DocumentLibrary
from engine.knowledge.index import KnowledgeIndex
from engine.llm.llamacpp import LlamaCppModel
from engine.rag import NOT_FOUND, RagPipeline
from engine.vectorstore.faiss_store import FaissStore

HANDBOOK = PROJECT_ROOT / "data" / "samples" / "aurora-kettle-handbook.pdf"

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def asked(models_dir: Path, chat_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RagPipeline, RagPipeline, str]:
    """Pipelines over the handbook: one that quotes, as the small default model asks for, and one that lets it write."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    repositories = Repositories.over(Database(settings.database))
    collection = repositories.collections.ensure("kettles")
    handbook = DocumentLibrary(repositories, settings).add(HANDBOOK, collection.id)
    repositories.faqs.add([_pair(collection.id, handbook)])
    embedder = create_embedder("all-MiniLM-L6-v2", models_dir)
    index = KnowledgeIndex(repositories, lambda: embedder, FaissStore, settings)
    model = LlamaCppModel(chat_gguf, context_tokens=2048, max_sequences=2)
    quoting = RagPipeline(index, lambda: embedder, lambda name: model)
    writing = RagPipeline(index, lambda: embedder, lambda name: model, parameters=lambda name: 10**10)
    return quoting, writing, collection.id


def _pair(collection_id: str, handbook: Document) -> FaqPair:
    return FaqPair(
        id="pair",
        collection_id=collection_id,
        question="Can children under 8 years use the kettle?",
        answer="Better no children under 8 years, dear customer.",
        quote="Children under 8 years should not use the kettle.",
        document_id=handbook.id,
        document=handbook.name,
        page=3,
        heading="Safety",
        score=1.0,
        status=FaqStatus.APPROVED,
        reason="",
        model="",
        created_at=utc_now(),
    )


def test_a_reworded_question_gets_the_reviewed_answer(asked: tuple[RagPipeline, RagPipeline, str]) -> None:
    quoting, _, collection = asked
    assert (
        quoting.answer("May children under 8 years use the kettle?", collection).text
        == "Better no children under 8 years, dear customer."
    )


def test_a_wider_question_does_not(asked: tuple[RagPipeline, RagPipeline, str]) -> None:
    """The questions are at 0.94; only the number tells them apart."""
    quoting, _, collection = asked
    assert "under 8 years" in quoting.answer("Can children use the kettle?", collection).text


@pytest.mark.parametrize(
    ("question", "expected", "page"),
    [
        ("Who founded the company?", "Ingrid Solberg", 1),
        ("What does express delivery cost?", "12.50 euros", 2),
        ("Do gift cards expire?", "3 years", 1),
        ("Is there a guarantee for the heating element?", "8 years", 3),
        ("Can I bring back my old kettle?", "free of charge", 4),
    ],
)
def test_answers_from_the_right_page(
    asked: tuple[RagPipeline, RagPipeline, str], question: str, expected: str, page: int
) -> None:
    quoting, _, collection = asked
    answer = quoting.answer(question, collection)
    assert expected in answer.text
    assert page in {citation.page for citation in answer.citations}


@pytest.mark.parametrize(
    "question", ["What is the capital of France?", "Can I pay with Bitcoin?", "Do you sell toasters?", "How do I bake bread?"]
)
def test_says_when_the_handbook_does_not(asked: tuple[RagPipeline, RagPipeline, str], question: str) -> None:
    quoting, _, collection = asked
    assert quoting.answer(question, collection).text == NOT_FOUND


def test_what_the_small_model_writes_is_covered_or_replaced(asked: tuple[RagPipeline, RagPipeline, str]) -> None:
    _, writing, collection = asked
    answer = writing.answer("Who founded the company?", collection, timeout_s=120)
    assert "Solberg" in answer.text
    assert answer.usage.completion_tokens > 0
    assert any("Ingrid Solberg" in citation.quote for citation in answer.citations)
