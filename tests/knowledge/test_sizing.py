"""Passages are sized in a model's tokens, and stay as they are when another model becomes the default."""

from pathlib import Path

import pytest

from engine.config import Settings
from engine.db.repositories import Repositories
from engine.db.session import Database
from engine.domain import Collection
from engine.errors import ModelError, NotFoundError
from engine.ingest import estimate_tokens
from engine.knowledge.documents import DocumentLibrary
from engine.knowledge.sizing import ESTIMATED, ModelSizings, Sizing
from engine.llm.base import ChatModel
from engine.llm.fake import FakeChatModel
from engine.wiring import Wiring

PARAGRAPHS = "\n\n".join(f"Paragraph {n} says that parcel {n} is delivered within {n} working days." for n in range(60))


@pytest.fixture
def guide(tmp_path: Path) -> Path:
    path = tmp_path / "guide.txt"
    path.write_text(PARAGRAPHS)
    return path


class Models:
    """Two chat models of this machine, of which the default can be changed; the second has longer tokens."""

    def __init__(self) -> None:
        self.default = "words"
        self.gone: set[str] = set()

    def __call__(self, name: str | None) -> ChatModel:
        if (wanted := name or self.default) in self.gone:
            raise NotFoundError(f"no model {wanted}")
        return LongTokens(name=wanted) if wanted == "long" else FakeChatModel(name=wanted)


class LongTokens(FakeChatModel):
    def count_tokens(self, text: str) -> int:
        return len(text) // 20


class Broken(FakeChatModel):
    def count_tokens(self, text: str) -> int:
        raise ModelError("The file is damaged.")


@pytest.fixture
def models() -> Models:
    return Models()


@pytest.fixture
def library(repositories: Repositories, settings: Settings, models: Models) -> DocumentLibrary:
    return DocumentLibrary(repositories, settings.model_copy(update={"chunk_tokens": 60}), ModelSizings(models))


def texts(repositories: Repositories, document_id: str) -> list[str]:
    return [chunk.text for chunk in repositories.documents.chunks([document_id])]


def test_a_new_default_model_sizes_new_documents_alone(
    library: DocumentLibrary, repositories: Repositories, shop: Collection, models: Models, guide: Path, tmp_path: Path
) -> None:
    first = library.add(guide, shop.id)
    before = texts(repositories, first.id)
    models.default = "long"
    assert library.add(guide, repositories.collections.ensure("other").id).sized_by == "words", "the document is there"
    assert texts(repositories, first.id) == before
    (tmp_path / "news.txt").write_text(PARAGRAPHS + "\n\nMore.")
    second = library.add(tmp_path / "news.txt", shop.id)
    assert (first.sized_by, second.sized_by) == ("words", "long")
    assert repositories.documents.get(second.id).sized_by == "long"
    assert len(texts(repositories, second.id)) < len(before)


def test_a_new_version_is_cut_as_the_old_one_was(
    library: DocumentLibrary, repositories: Repositories, shop: Collection, models: Models, guide: Path
) -> None:
    before = texts(repositories, library.add(guide, shop.id).id)
    models.default = "long"
    guide.write_text(PARAGRAPHS + "\n\nMore.")
    changed = library.add(guide, shop.id)
    assert changed.sized_by == "words"
    assert texts(repositories, changed.id)[: len(before) - 1] == before[:-1]
    models.gone.add("words")
    guide.write_text(PARAGRAPHS + "\n\nMore still.")
    assert library.add(guide, shop.id).sized_by == "long", "where that model is gone, the default one serves"


def test_a_document_of_before_keeps_its_estimate(
    library: DocumentLibrary, repositories: Repositories, settings: Settings, shop: Collection, guide: Path
) -> None:
    DocumentLibrary(repositories, settings).add(guide, shop.id)
    guide.write_text(PARAGRAPHS + "\n\nMore.")
    assert library.add(guide, shop.id).sized_by == ""


def test_the_database_is_free_while_passages_are_cut(
    repositories: Repositories, settings: Settings, shop: Collection, guide: Path
) -> None:
    """Counting tokens may take its time; others must be able to write meanwhile."""
    names = iter(range(10_000))

    def count(text: str) -> int:
        Repositories.over(Database(settings.database)).collections.ensure(f"meanwhile {next(names)}")
        return estimate_tokens(text)

    DocumentLibrary(repositories, settings, lambda _: Sizing("counting", count)).add(guide, shop.id)
    assert len(repositories.collections.list()) > 1


class TestModelSizings:
    def test_model_file_is_missing(self) -> None:
        def none(name: str | None) -> ChatModel:
            raise NotFoundError(f"no model {name}")

        assert ModelSizings(none)("absent") is ESTIMATED
        assert ModelSizings(none)(None) is ESTIMATED

    def test_model_file_is_damaged(self) -> None:
        assert ModelSizings(lambda _: Broken())(None) is ESTIMATED

    @pytest.mark.parametrize("default", ["openai/gpt-4o", "absent"])
    def test_default_model_without_a_tokenizer_here(self, tmp_path: Path, default: str) -> None:
        settings = Settings(home=tmp_path / "home", models_dir=tmp_path / "models", default_model=default)
        with Wiring(settings) as wiring:
            assert ModelSizings(wiring.model)(None) is ESTIMATED

    def test_default_model(self, tmp_path: Path, models_dir: Path, guide: Path) -> None:
        settings = Settings(home=tmp_path / "home", models_dir=models_dir, chunk_tokens=40)
        with Wiring(settings) as wiring:
            shop = wiring.repositories.collections.ensure("shop")
            guide.write_text("配送には三日かかります。" * 200 + "🫖" * 400)
            document = wiring.documents.add(guide, shop.id)
            model = wiring.model()
            assert document.sized_by == model.name == settings.default_model
            sizes = [model.count_tokens(text) for text in texts(wiring.repositories, document.id)]
            assert max(sizes) <= 40
            assert len(sizes) > 20
