"""Every page, over an empty home and over one with data; and text from outside, which must stay text."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from app.navigation import ENTRIES
from app.resources import close_engine, shared_engine
from engine.container import Engine
from engine.domain import FaqPair, utc_now
from engine.errors import StorageError

PAGES = [entry.module for entry in ENTRIES]
FAULT = "Something went wrong"
ACTIVE_MARKDOWN = re.compile(r"(?<!\\)(\]\(|<img|:red\[|\$x\$)")

OpenPage = Callable[[str], AppTest]


def markdown_of(page: AppTest) -> list[str]:
    """Everything on the page that is read as Markdown."""
    kinds = (page.markdown, page.caption, page.error, page.warning, page.info, page.success, page.title, page.subheader)
    labels = [block.label for block in page.expander] + [button.label for button in page.button]
    return [str(element.value) for kind in kinds for element in kind] + labels


@pytest.mark.parametrize("page", PAGES)
def test_page_of_an_empty_home(page: str, open_page: OpenPage) -> None:
    shown = open_page(page)
    assert not shown.exception
    assert [error.value for error in shown.error] == []
    assert len(shown.title) == 1


@pytest.mark.parametrize("page", PAGES)
def test_page_of_a_home_with_data(page: str, everything: Engine, open_page: OpenPage) -> None:
    shown = open_page(page)
    assert not shown.exception
    assert not [error.value for error in shown.error if FAULT in error.value]


@pytest.mark.parametrize("page", PAGES)
def test_text_from_outside_is_not_markup(page: str, everything: Engine, open_page: OpenPage) -> None:
    found = [text for text in markdown_of(open_page(page)) if ACTIVE_MARKDOWN.search(text)]
    assert found == []


def test_hostile_text_is_there_to_be_escaped(everything: Engine, open_page: OpenPage) -> None:
    shown = open_page("documents")
    assert any(r"\]\(" in text for text in markdown_of(shown))


def test_first_page_has_navigation_and_what_to_do_next(engine: Engine) -> None:
    shown = AppTest.from_file("../../app/shell/main.py", default_timeout=30).run()
    assert not shown.exception
    assert shown.title[0].value == "AI Nexus"
    assert any("Add documents" in text for text in markdown_of(shown))


def test_home_follows_the_state(handbook: list[FaqPair], open_page: OpenPage) -> None:
    shown = open_page("home")
    figures = {metric.label: metric.value for metric in shown.metric}
    assert figures["Documents"] == "2"
    assert figures["FAQ pairs"] == "6"
    assert figures["Approved"] == "2"
    checklist = [text for text in markdown_of(shown) if "check_circle" in text]
    assert len(checklist) == 2
    assert any("radio_button_unchecked" in text and "Fine-tune" in text for text in markdown_of(shown))


def test_pages_do_not_import_heavy_libraries() -> None:
    names = ", ".join(f"app.pages.{page}" for page in PAGES)
    heavy = "{'torch', 'transformers', 'llama_cpp', 'faiss', 'sentence_transformers', 'litellm', 'opik', 'peft', 'pymupdf'}"
    code = f"import sys, engine.container, {names}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"


def test_a_home_that_cannot_be_opened_is_explained(
    monkeypatch: pytest.MonkeyPatch, engine: Engine, open_page: OpenPage
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StorageError("cannot write the home", hint="Choose another folder.")

    close_engine()
    monkeypatch.setattr(Engine, "__init__", refuse)
    shown = open_page("home")
    assert "Cannot write the home" in shown.error[0].value
    assert "Choose another folder" in shown.error[0].value


def test_one_engine_for_all_runs(engine: Engine) -> None:
    assert shared_engine() is engine


def test_settings_never_show_a_key(monkeypatch: pytest.MonkeyPatch, open_page: OpenPage) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    shown = open_page("settings")
    table = shown.table[0].value
    assert list(table[table["Variable"] == "OPENAI_API_KEY"]["State"]) == ["present"]
    everywhere = markdown_of(shown) + [frame.value.to_string() for frame in [*shown.dataframe, *shown.table]]
    assert not any("sk-very-secret" in text for text in everywhere)


def test_settings_say_what_was_spent_this_month(engine: Engine, open_page: OpenPage) -> None:
    engine.repositories.spending.reserve("openai/one", 1.25, utc_now(), None)
    assert any("1.2500 USD" in text and "no budget" in text for text in markdown_of(open_page("settings")))
