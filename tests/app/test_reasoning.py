"""A model's reasoning on the chat page: folded up while it comes and when the conversation is opened again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from streamlit.testing.v1 import AppTest

from engine.chat import ChatDelta
from engine.container import Engine
from engine.domain import Completion, FinishReason, Message

OpenPage = Callable[[str], AppTest]


def reasoned(page: AppTest) -> list[str]:
    """The texts in the expanders named so."""
    return [text.value for block in page.expander if block.label == "Reasoning" for text in block.text]


def test_reasoning_is_folded_up_above_the_answer(
    monkeypatch: pytest.MonkeyPatch, engine: Engine, hostile: str, open_page: OpenPage
) -> None:
    conversation = engine.repositories.conversations.start("chat", "Sure?").id

    def chat(*_: object, **__: object) -> Iterator[ChatDelta]:
        for thought in (hostile, " and", " more"):
            yield ChatDelta("", conversation, reasoning=thought)
        for word in ("Quite", " sure."):
            yield ChatDelta(word, conversation)
        completion = Completion("Quite sure.", FinishReason.STOP, "fake/echo", reasoning=f"{hostile} and more")
        engine.repositories.conversations.append(conversation, Message("assistant", "Quite sure."), {"reasoning": "stored"})
        yield ChatDelta("", conversation, completion)

    monkeypatch.setattr(Engine, "chat", chat)
    page = open_page("finetune")
    page.chat_input(key="chat-input").set_value("Sure?").run()
    assert not page.exception
    assert reasoned(page) == ["stored"]  # a new conversation is shown from the start
    page.chat_input(key="chat-input").set_value("Really?").run()
    assert not page.exception
    assert reasoned(page) == ["stored", f"{hostile} and more"]
    assert [text.value for text in page.text].count("Quite sure.") == 2


def test_an_answer_without_reasoning_has_no_place_for_it(engine: Engine, open_page: OpenPage) -> None:
    page = open_page("finetune")
    page.chat_input(key="chat-input").set_value("Sure?").run()
    assert not page.exception
    assert [block for block in page.expander if block.label == "Reasoning"] == []
