"""Choosing the model: every page that has a model at work lets the person choose it, the default one first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.compare import CompareEvent
from engine.container import Engine
from engine.domain import AnswerDelta, FaqPair, ModelInfo, new_id
from engine.llm.fake import FakeChatModel
from engine.model_registry.registry import ModelRegistry
from engine.training.adapters.offering import Offering

OpenPage = Callable[[str], AppTest]

OTHER = "fake/other"


@pytest.fixture(autouse=True)
def two_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder holds one more chat model, and an encoder, which is no choice."""
    other = ModelInfo(OTHER, Path("other.gguf"), "chat", "llama", "Llama", 1, "F16", 512, 1, True, "")
    encoder = ModelInfo("finder", Path("finder"), "encoder", "bert", "BERT", 1, "F32", 512, 1, False, "")
    monkeypatch.setattr(ModelRegistry, "list", lambda _: [other, encoder])


def press(page: AppTest, label: str) -> AppTest:
    """Press the button with this label."""
    return next(button for button in page.button if button.label == label).click().run()


@pytest.mark.parametrize(
    ("page", "key"),
    [
        ("documents", "upload-model"),
        ("finetune", "finetune-base"),
        ("finetune", "compare-model"),
        ("evaluate", "evaluate-model"),
    ],
)
def test_the_default_model_is_the_first_choice(page: str, key: str, handbook: list[FaqPair], open_page: OpenPage) -> None:
    picker = open_page(page).selectbox(key=key)
    assert picker.options == ["fake/echo (default)", OTHER]
    assert picker.value == "fake/echo"


@pytest.mark.parametrize(("chosen", "stored"), [("fake/echo", None), (OTHER, OTHER)])
def test_extraction_with_a_model(
    chosen: str, stored: str | None, engine: Engine, handbook: list[FaqPair], open_page: OpenPage
) -> None:
    page = open_page("documents")
    page.file_uploader[0].set_value([("a.md", b"# A\n\nText.", "text/markdown")])
    page.selectbox(key="upload-model").set_value(chosen).run()
    press(page, "Extract FAQ pairs")
    assert engine.jobs.list("extract")[0].payload["model"] == stored


def test_the_language_of_the_pairs(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("documents")
    picker = page.selectbox(key="upload-language")
    assert picker.options[0] == "as the document"
    assert picker.value is None
    assert {"English", "German", "Japanese"} <= set(picker.options)
    page.file_uploader[0].set_value([("a.md", b"# A\n\nText.", "text/markdown")])
    picker.set_value("de").run()
    press(page, "Extract FAQ pairs")
    assert not page.error
    assert engine.jobs.list("extract")[0].payload["language"] == "de"


def test_only_languages_that_the_model_knows_can_be_chosen(
    engine: Engine, handbook: list[FaqPair], open_page: OpenPage
) -> None:
    models = {"fake/echo": FakeChatModel(), OTHER: FakeChatModel(languages=("en", "fr"))}
    engine.made["models"] = type("Models", (), {"get": lambda self, name: models[name], "close": lambda self: None})()
    page = open_page("documents")
    page.selectbox(key="upload-language").set_value("de").run()
    page.selectbox(key="upload-model").set_value(OTHER).run()
    picker = page.selectbox(key="upload-language")
    assert picker.options == ["as the document", "English", "French"]
    assert picker.value is None
    assert not page.exception


def test_fine_tune_on_a_base(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("finetune")
    page.selectbox(key="finetune-base").set_value(OTHER)
    next(box for box in page.text_input if box.label == "Name of the adapter").set_value("quick one").run()
    press(page, "Start fine-tuning")
    assert engine.jobs.list("finetune")[0].payload["base"] == OTHER


def test_evaluate_a_model(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("evaluate")
    page.selectbox(key="evaluate-model").set_value(OTHER).run()
    press(page, "Start evaluation")
    assert engine.jobs.list("evaluate")[0].payload["model"] == OTHER


def test_an_agent_with_a_model(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("agents")
    page.selectbox(key="agent-responder").set_value(OTHER)
    next(box for box in page.text_input if box.label == "Name").set_value("Front desk").run()
    press(page, "Create agent")
    assert not page.error
    assert engine.agents.list()[0].model == OTHER


def test_ask_a_model_or_an_adapter_with_its_base(
    monkeypatch: pytest.MonkeyPatch, everything: Engine, open_page: OpenPage
) -> None:
    asked: list[dict[str, object]] = []

    def ask(self: Engine, *_: str, **choice: object) -> Iterator[AnswerDelta]:
        asked.append(choice)
        return iter(())

    monkeypatch.setattr(Engine, "ask", ask)
    page = open_page("ask")
    for chosen in ("Base model", OTHER, "taught"):
        page.selectbox(key="ask-responder").set_value(chosen).run()
        page.chat_input[0].set_value("How many days?").run()
    assert [(choice["model"], choice["adapter"]) for choice in asked] == [
        (None, None),
        (OTHER, None),
        ("fake/echo", "taught"),
    ]


def test_compare_a_model_or_an_adapter_with_its_base(
    monkeypatch: pytest.MonkeyPatch, everything: Engine, open_page: OpenPage
) -> None:
    compared: list[tuple[object, object]] = []

    def compare(
        self: Engine, question: str, collection: str, adapter: str | None, *, model: str | None, allow_mismatch: bool
    ) -> Iterator[CompareEvent]:
        compared.append((model, adapter))
        return iter(())

    monkeypatch.setattr(Engine, "compare", compare)
    page = open_page("finetune")
    page.selectbox(key="compare-model").set_value(OTHER).run()
    page.chat_input(key="compare-input").set_value("How many days?").run()
    page.selectbox(key="compare-adapter").set_value("taught").run()
    page.chat_input(key="compare-input").set_value("How many days?").run()
    assert not [box for box in page.selectbox if box.key == "compare-model"]
    assert compared == [(OTHER, None), (None, "taught")]


def test_who_answers_is_remembered_from_page_to_page(everything: Engine) -> None:
    page = AppTest.from_string(
        "import streamlit as st\n"
        "from app.components.pickers import responder_picker\n"
        "name = st.text_input('page', 'first')\n"
        "responder_picker('Who answers', key=name)\n"
    ).run()
    page.selectbox(key="first").set_value("taught").run()
    page.text_input[0].set_value("second").run()
    assert page.selectbox(key="second").value == "taught"


def test_an_adapter_that_failed_its_check_is_offered_only_to_who_asks_for_it(everything: Engine, open_page: OpenPage) -> None:
    stored = everything.repositories.adapters
    stored.add(replace(stored.by_name("taught"), id=new_id(), name="odd", status="mismatch"))
    page = open_page("finetune")
    picker = page.selectbox(key="compare-adapter")
    assert picker.options == ["None", "taught"]
    page.checkbox(key="chat-adapter-mismatched").check().run()
    assert "⚠ odd (not as trained)" in page.selectbox(key="chat-adapter").options
    page.selectbox(key="chat-adapter").set_value("odd").run()
    page.chat_input(key="chat-input").set_value("Hello").run()
    assert not page.error
    said = [text.value for text in [*page.caption, *page.warning, *page.info]]
    assert any("does not answer here exactly as it was trained" in text for text in said)


def test_an_adapter_whose_base_has_changed_is_not_offered(everything: Engine, open_page: OpenPage) -> None:
    stored = everything.repositories.adapters
    card = {"base": {"sha256": "a" * 64}}
    stored.add(replace(stored.by_name("taught"), id=new_id(), name="old", base_model="base", card=card))
    everything.made["offering"] = Offering({"base": "b" * 64}.get)
    page = open_page("ask")
    assert not any("old" in option for option in page.selectbox(key="ask-responder").options)
    assert any("base has changed since: old" in caption.value for caption in page.caption)
