"""Each capability leaves one trace, with a span for each step, and is counted."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.cancellation import CancelToken
from engine.config import Settings
from engine.container import Engine
from engine.embedding.fake import HashingEmbedder
from engine.errors import CancelledError, ModelError
from engine.rag import RagPipeline

QUESTION = "How long is the warranty of a kettle?"

RETRIEVAL = ["rag.retrieval", "knowledge.sync", "knowledge.search"]
ASK = [
    "ask",
    "ask.validate",
    "rag.answer",
    *RETRIEVAL,
    "rag.reviewed",
    "rag.evidence",
    "knowledge.search",
    "rag.write",
    "rag.check",
]
AGENT = [
    "agent.turn",
    "agent.validate",
    "agent.configuration",
    "agent.history",
    "agent.lead_data",
    "agent.lead",
    "agent.answer",
]


@pytest.fixture
def engine(settings: Settings, tmp_path: Path) -> Iterator[Engine]:
    """An engine with a guide, the fake model and an encoder that only counts words; its model may write."""
    with Engine(settings.model_copy(update={"default_model": "fake/echo"})) as engine:
        engine.made["embedder"] = HashingEmbedder()
        engine.made["rag"] = RagPipeline(
            engine.index, lambda: engine.embedder, engine.model, parameters=lambda name: 8_000_000_000
        )
        guide = tmp_path / "guide.md"
        guide.write_text("# Warranty\n\nEvery kettle has a warranty of 5 years from the day of purchase.\n")
        engine.documents.add(guide, engine.repositories.collections.ensure("shop").id)
        engine.index.sync(engine.collection("shop").id)
        engine.create_agent("clerk", "shop")
        yield engine


CAPABILITIES: dict[str, tuple[Callable[[Engine], Iterator[object]], list[str]]] = {
    "ask": (lambda engine: engine.ask(QUESTION, "shop"), [*ASK, "ask.store"]),
    "chat": (lambda engine: engine.chat("Hello"), ["chat", "chat.route", "chat.history", "chat.answer", "chat.store"]),
    "compare": (lambda engine: engine.compare(QUESTION, "shop"), ["compare", "compare.base", "compare.rag", *ASK]),
    "agent": (
        lambda engine: engine.agent_reply("clerk", f"My name is Ana. {QUESTION}"),
        [*AGENT, *ASK[2:], "agent.history", "agent.reply"],
    ),
}


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_one_trace_with_a_span_for_each_step(engine: Engine, capability: str) -> None:
    run, steps = CAPABILITIES[capability]
    list(run(engine))
    engine.close()
    rows = [json.loads(line) for path in engine.settings.events_dir.glob("traces-*.jsonl") for line in path.open()]
    [root] = [row for row in rows if row["parent_id"] is None and row["name"] == steps[0]]
    names = [row["name"] for row in rows if row["trace_id"] == root["trace_id"]]
    assert sorted(names) == sorted(steps)
    prepared = {"documents.add", "knowledge.sync", "agent.create"}
    assert {row["name"] for row in rows if row["parent_id"] is None} == {root["name"], *prepared}, (
        "no trace of its own beside it"
    )


def test_a_chat_that_is_closed_early_is_one_trace_too(engine: Engine) -> None:
    stream = engine.chat("one two three")
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    engine.close()
    rows = [json.loads(line) for path in engine.settings.events_dir.glob("traces-*.jsonl") for line in path.open()]
    [stored] = [row for row in rows if row["name"] == "chat.store"]
    assert stored["parent_id"] is not None


def value(engine: Engine, metric: str, labels: str) -> float:
    return next((row.value for row in engine.metrics.snapshot() if (row.metric, row.labels) == (metric, labels)), 0.0)


def test_an_agents_tokens_are_counted(engine: Engine) -> None:
    list(engine.agent_reply("clerk", QUESTION))
    assert value(engine, "nexus_generations_total", "model=fake/echo, outcome=found, target=agent") == 1
    assert value(engine, "nexus_tokens_total", "direction=out, model=fake/echo, target=agent") > 0


def test_answers_that_fail_are_counted(engine: Engine) -> None:
    stopped = CancelToken()
    stopped.cancel()
    with pytest.raises(CancelledError):
        list(engine.ask(QUESTION, "shop", cancel=stopped))
    engine.model().close()
    with pytest.raises(ModelError):
        list(engine.chat("Hello"))
    assert value(engine, "nexus_generations_total", "model=fake/echo, outcome=cancelled, target=rag") == 1
    assert value(engine, "nexus_generations_total", "model=fake/echo, outcome=model, target=base") == 1
