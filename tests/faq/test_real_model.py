"""The whole pipeline with the default models, on one passage."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.config import Settings
from engine.domain import Chunk, FaqStatus
from engine.embedding.registry import create_embedder
from engine.errors import InputError
from engine.faq.curation import Curator
from engine.faq.extraction import extract_pairs
from engine.faq.translating import languages_of
from engine.faq.types import Origin
from engine.ingest import locate_quote
from engine.llm.base import ChatModel
from engine.llm.registry import create_chat_model

PAGE = """Kiln rental
The pottery studio opens at 8:30 on weekdays.
Members can book the small kiln for six hours.
Glazed pieces stand on the middle shelf, and raw clay never goes beside them.
Write your name under every piece that you bring to the studio.
Kiln: Small; Price: 18 EUR; Highest temperature: 1060 °C
Q: May I bring my own clay?
A: Yes, if it is marked for firing at 1060 °C or more."""


@pytest.fixture(scope="module")
def model(chat_gguf: Path) -> Iterator[ChatModel]:
    from engine.llm.llamacpp import LlamaCppModel

    model = LlamaCppModel(chat_gguf, context_tokens=4096)
    yield model
    model.close()


@pytest.mark.models
def test_the_default_model_words_no_pairs_in_a_language_that_it_does_not_know(
    chat_gguf: Path, models_dir: Path, chunk_of: Callable[..., Chunk]
) -> None:
    """Nothing is loaded for this: the file's header says what the model was trained for."""
    settings = Settings(models_dir=models_dir)
    model = create_chat_model(chat_gguf.stem, settings=settings, resolve=lambda name: chat_gguf)
    with pytest.raises(InputError, match="was not trained for German"):
        list(extract_pairs([chunk_of(PAGE, "Kiln rental")], model=model, output_language="de"))
    assert languages_of(model) == {"en": "English"}
    written = chunk_of("Q: May I bring my own clay?\nA: Yes, if it is marked.")
    assert list(extract_pairs([written], model=model, output_language="en")) == list(extract_pairs([written], model=model))
    model.close()


@pytest.mark.models
@pytest.mark.slow
def test_the_default_models_find_proved_pairs(model: ChatModel, models_dir: Path, chunk_of: Callable[..., Chunk]) -> None:
    embedder = create_embedder("all-MiniLM-L6-v2", models_dir)
    chunk = chunk_of(PAGE, "Kiln rental")
    curator = Curator(embedder, [chunk], {1: PAGE})
    pairs = [pair for _, candidates in extract_pairs([chunk], model=model) for pair in curator.curate(candidates)]
    accepted = [pair for pair in pairs if pair.status is FaqStatus.PENDING]

    assert all(locate_quote(PAGE, pair.candidate.quote) for pair in accepted)
    found = {pair.candidate.question: pair.candidate.answer for pair in accepted}
    assert found["May I bring my own clay?"].startswith("Yes, if it is marked")
    assert found["How much does the Small kiln cost?"] == "18 EUR"
    assert "The pottery studio opens at 8:30 on weekdays." in found.values()
    assert any(pair.candidate.origin is Origin.MODEL for pair in pairs), "sentences that no rule fits go to the model"
    assert len(accepted) >= 5
