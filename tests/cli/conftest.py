"""Running commands in this process, over a home that has some content but no model in use."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from engine.cli.root import root
from engine.config import Settings
from engine.container import Engine
from engine.domain import AgentConfig, Collection, Document, FaqPair, FaqStatus, Page, new_id, utc_now

QUOTE = "A gift card is valid for 3 years."


@dataclass(frozen=True)
class Home:
    """A home with a collection of three pairs, made without a model."""

    engine: Engine
    path: Path
    collection: Collection
    pairs: tuple[FaqPair, ...]

    def agent(self, name: str) -> AgentConfig:
        """A new agent over the collection."""
        agent = AgentConfig(new_id(), name, "", self.collection.id, ("name", "phone"), utc_now())
        self.engine.repositories.agents.add(agent)
        return agent


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command sends warnings to the stderr of its time, which is gone after the test."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    for handler in [handler for handler in root.handlers if handler not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


@pytest.fixture
def home(settings: Settings) -> Iterator[Home]:
    with Engine(settings) as engine:
        collection = engine.repositories.collections.ensure("cards")
        document = Document("d" * 64, "cards.pdf", "application/pdf", 10, 1, utc_now())
        engine.repositories.documents.add(document, [Page(1, QUOTE)], [], collection_id=collection.id)
        pairs = tuple(pair(collection, document, number, score) for number, score in enumerate((0.9, 0.8, 0.4)))
        engine.repositories.faqs.add(pairs)
        yield Home(engine, settings.home, engine.collection("cards"), pairs)


def pair(collection: Collection, document: Document, number: int, score: float) -> FaqPair:
    return FaqPair(
        id=f"pair-{number}",
        collection_id=collection.id,
        question=f"Question {number}?",
        answer=QUOTE,
        quote=QUOTE,
        document_id=document.id,
        document=document.name,
        page=1,
        heading="",
        score=score,
        status=FaqStatus.PENDING,
        reason="",
        model="test",
        created_at=utc_now(),
    )


@pytest.fixture
def nexus(home: Home) -> Callable[..., Result]:
    """Run `nexus --home … ARGUMENTS`."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(root, ["--home", str(home.path), *arguments])

    return run


@pytest.fixture
def records(nexus: Callable[..., Result]) -> Callable[..., list[dict]]:
    """Run a command with --json that succeeds, and give the objects that it prints."""

    def run(*arguments: str) -> list[dict]:
        result = nexus(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    return run
