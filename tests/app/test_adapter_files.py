"""Adapters on the page: how each stands, exporting one, taking in another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.container import Engine
from engine.domain import ModelInfo, new_id
from engine.model_registry.registry import ModelRegistry

OpenPage = Callable[[str], AppTest]


@pytest.fixture(autouse=True)
def base_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The base of the adapters is in the models folder."""
    base = ModelInfo("fake/echo", Path("echo.gguf"), "chat", "llama", "Llama", 1, "F16", 512, 1, True, "")
    monkeypatch.setattr(ModelRegistry, "info", lambda self, name: base)


def test_what_failed_its_check_says_so(everything: Engine, open_page: OpenPage) -> None:
    assert not any("as it was trained, so" in warning.value for warning in open_page("finetune").warning)
    stored = everything.repositories.adapters
    stored.add(replace(stored.by_name("taught"), id=new_id(), name="odd", status="mismatch"))
    assert any("does not answer here as it was trained" in warning.value for warning in open_page("finetune").warning)


@pytest.mark.parametrize(
    ("choice", "form", "to_models"), [("peft", "peft", False), ("merged", "merged", False), ("models", "merged", True)]
)
def test_export(choice: str, form: str, to_models: bool, everything: Engine, open_page: OpenPage) -> None:
    page = open_page("finetune")
    adapter = everything.repositories.adapters.by_name("taught")
    page.radio(key=f"export-as-{adapter.id}").set_value(choice).run()
    if form == "merged":
        page.selectbox(key=f"export-format-{adapter.id}").set_value("Q4_K_M").run()
    page.button(key=f"export-{adapter.id}").click().run()
    assert not page.exception
    payload = everything.jobs.list("export-adapter")[0].payload
    assert (payload["name"], payload["form"], payload["to_models"]) == ("taught", form, to_models)
    assert payload["quantisation"] == ("Q4_K_M" if form == "merged" else "Q8_0")
    assert payload["out"] == str(everything.settings.home / "exports")


def test_import_an_upload(everything: Engine, open_page: OpenPage) -> None:
    page = open_page("finetune")
    uploader = next(one for one in page.file_uploader if one.key == "import-file")
    uploader.set_value([("foreign.gguf", b"GGUF", "application/octet-stream")])
    page.text_input(key="import-name").set_value("foreign").run()
    page.button(key="import-adapter").click().run()
    assert not page.exception
    assert not page.error
    payload = everything.jobs.list("import-adapter")[0].payload
    assert (payload["name"], payload["path"]) == ("foreign", None)


def test_import_of_a_path_that_is_not_there_is_refused_in_words(everything: Engine, open_page: OpenPage) -> None:
    page = open_page("finetune")
    page.text_input(key="import-path").set_value("/nowhere/adapter")
    page.text_input(key="import-name").set_value("foreign").run()
    page.button(key="import-adapter").click().run()
    assert any("There is no" in error.value for error in page.error)
    assert not everything.jobs.list("import-adapter")
