"""Pages over a real engine and a real home, with the echoing chat model and the hashing embedder in place of model files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.resources import close_engine, shared_engine
from engine.container import Engine
from engine.domain import (
    Adapter,
    AgentConfig,
    Document,
    FaqPair,
    FaqStatus,
    Message,
    Page,
    new_id,
    utc_now,
)

OpenPage = Callable[[str], AppTest]

HOSTILE = '![x](http://evil.example/x.png) <img src="http://evil.example/y.png"> [click](http://evil.example/) :red[no] $x$'
CITED = {"document": HOSTILE, "page": 1, "quote": HOSTILE, "score": 0.5}
SENTENCE = "Full-time employees are entitled to {days} days of paid annual leave."
SCRIPT = "from app.components.boundary import boundary\nfrom app.pages import {page}\nwith boundary():\n    {page}.render()\n"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The engine that the pages share, over a home of its own. Its worker does not run: jobs stay as the test puts them."""
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NEXUS_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("NEXUS_DEFAULT_MODEL", "fake/echo")
    monkeypatch.setenv("NEXUS_DEFAULT_ENCODER", "hashing")
    monkeypatch.setattr(Engine, "start", lambda self: None)
    close_engine()
    yield shared_engine()
    close_engine()


@pytest.fixture
def hostile() -> str:
    """Text as somebody writes it who wants the browser to load something."""
    return HOSTILE


@pytest.fixture
def open_page(engine: Engine) -> OpenPage:
    """Opens a page by the name of its module and runs it once."""
    return lambda page: AppTest.from_string(SCRIPT.format(page=page), default_timeout=30).run()


@pytest.fixture
def handbook(engine: Engine) -> list[FaqPair]:
    """A collection `Handbook`: two documents, one of them hostile, and six pairs in all states."""
    stored = engine.repositories
    collection = stored.collections.ensure("Handbook")
    documents = [_document(1, "handbook.pdf"), _document(2, "![n](http://evil.example/n.png).md")]
    texts = ["\n".join(SENTENCE.format(days=25 + number) for number in range(4)), HOSTILE]
    for document, text in zip(documents, texts, strict=True):
        stored.documents.add(document, [Page(1, text)], [], collection_id=collection.id)
    statuses = [FaqStatus.PENDING, FaqStatus.APPROVED, FaqStatus.REJECTED, FaqStatus.PENDING]
    pairs = [_pair(collection.id, documents[0], number, status) for number, status in enumerate(statuses)]
    pairs += [_hostile_pair(collection.id, documents[1], status) for status in (FaqStatus.PENDING, FaqStatus.APPROVED)]
    stored.faqs.add(pairs)
    return pairs


@pytest.fixture
def everything(engine: Engine, handbook: list[FaqPair]) -> Engine:
    """The handbook, an adapter, conversations, an agent with a lead, an evaluation, and jobs in several states."""
    stored = engine.repositories
    collection = stored.collections.by_name("Handbook")
    stored.adapters.add(_adapter(engine, collection.id))
    agent = AgentConfig(new_id(), "Front desk", HOSTILE, collection.id, ("name", "email"), utc_now())
    stored.agents.add(agent)
    for conversation in (stored.conversations.start("chat", HOSTILE), stored.conversations.start("agent", HOSTILE, agent.id)):
        stored.conversations.append(conversation.id, Message("user", HOSTILE))
        stored.conversations.append(
            conversation.id, Message("assistant", HOSTILE), {"model": "fake/echo", "citations": [CITED]}
        )
    stored.leads.merge(agent.id, conversation.id, {"name": "=HYPERLINK()", "email": "ada@example.org"})
    stored.evaluations.add(
        {"examples": 3, "held_out": True, "targets": [_scores("base", 0.1), _scores("adapter:taught", 0.9)]},
        collection_id=collection.id,
        job_id=None,
    )
    _jobs(engine)
    return engine


def _jobs(engine: Engine) -> None:
    failed = engine.jobs.submit("extract", {"collection": "Handbook", "files": [{"name": HOSTILE, "path": "x"}]})
    engine.jobs.claim("host:1:test", ["extract"])
    error = {"code": "document_unreadable", "message": "scan.pdf is encrypted", "hint": "Save it unlocked.", "retryable": False}
    engine.jobs.fail(failed.id, "host:1:test", error)
    running = engine.jobs.submit("finetune", {"name": "second", "collection": "Handbook"})
    engine.jobs.claim("host:1:test", ["finetune"])
    engine.jobs.report(running.id, "host:1:test", 0.4, "Step 4 of 10")
    for step in range(4):
        engine.jobs.emit(running.id, {"step": step + 1, "steps": 10, "loss": 3.0 - step, "eval_loss": None})


def _document(number: int, name: str) -> Document:
    return Document(f"{number:064x}", name, "application/pdf", 1000 * number, 1, utc_now())


def _pair(collection_id: str, document: Document, number: int, status: FaqStatus) -> FaqPair:
    quote = SENTENCE.format(days=25 + number)
    return FaqPair(
        id=new_id(),
        collection_id=collection_id,
        question=f"How many days of leave in year {number}?",
        answer=f"{25 + number} days",
        quote=quote,
        document_id=document.id,
        document=document.name,
        page=1,
        heading="Leave",
        score=0.5 + number / 10,
        status=status,
        reason="",
        model="fake/echo",
        created_at=utc_now(),
    )


def _hostile_pair(collection_id: str, document: Document, status: FaqStatus) -> FaqPair:
    return FaqPair(
        id=new_id(),
        collection_id=collection_id,
        question=HOSTILE,
        answer=HOSTILE,
        quote=HOSTILE,
        document_id=document.id,
        document=document.name,
        page=1,
        heading=HOSTILE,
        score=0.9,
        status=status,
        reason=HOSTILE,
        model="fake/echo",
        created_at=utc_now(),
    )


def _adapter(engine: Engine, collection_id: str) -> Adapter:
    return Adapter(
        id=new_id(),
        name="taught",
        base_model="fake/echo",
        path=engine.settings.adapters_dir / "taught" / "adapter.gguf",
        created_at=utc_now(),
        collection_id=collection_id,
        card={
            "curve": [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 0.04}],
            "dataset": {"train": {"examples": 12}},
            "evaluation": {"loss": 0.04, "steps": 2, "ending": "no gain"},
            "samples": [
                {"step": 2, "answers": [{"question": HOSTILE, "answer": "At nine.", "expected": HOSTILE, "taught": True}]}
            ],
            "parity": {"top1_agreement": 0.995, "mean_kl": 0.001},
            "durations": {"train_s": 60.0, "parity_s": 5.0},
        },
    )


def _scores(target: str, value: float) -> dict[str, str | float | int]:
    figures = dict.fromkeys(("exact_match", "token_f1", "similarity"), value)
    return {"target": target, "examples": 3, **figures, "latency_p50_s": 0.5, "latency_p95_s": 0.9, "errors": 0}
