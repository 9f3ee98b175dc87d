"""Choosing what a fine-tune learns, and looking at it before."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.components.dataset_preview import KINDS, example_html
from app.resources import close_engine, shared_engine
from engine.container import Engine
from engine.domain import FaqPair
from engine.machine import Machine
from engine.training.config import PRESETS
from engine.training.datasets.encoding import Piece
from engine.training.datasets.preview import ShownExample

OpenPage = Callable[[str], AppTest]

TABLE = b"Nr;Titel;Antwort\n1;When do you open?;At nine.\n2;What does it cost?;Ten euros.\n"


def press(page: AppTest, label: str) -> AppTest:
    button = next(button for button in page.button if button.label == label)
    assert not button.disabled
    return button.click().run()


def slide(page: AppTest, label: str, value: int) -> None:
    next(slider for slider in page.slider if slider.label == label).set_value(value).run()


def name_it(page: AppTest) -> None:
    next(box for box in page.text_input if box.label == "Name of the adapter").set_value("mine").run()


def hand_over(page: AppTest, name: str, data: bytes) -> None:
    page.segmented_control[0].set_value("A dataset file").run()
    next(box for box in page.file_uploader if box.label == "JSON or CSV file").set_value([(name, data, "text/csv")])
    page.run()


def columns(page: AppTest) -> dict[str, str | None]:
    return {box.label: box.value for box in page.selectbox if box.label.startswith("Column")}


def test_what_is_made_of_the_pairs_goes_with_the_job(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("finetune")
    slide(page, "Other wordings of each question", 2)
    slide(page, "Also in a conversation", 50)
    slide(page, "Questions without an answer", 10)
    slide(page, "Kept back for evaluation", 20)
    name_it(page)
    press(page, "Start fine-tuning")
    assert not page.error
    (job,) = engine.jobs.list("finetune")
    wanted = {"paraphrases": 2, "follow_ups": 0.5, "unanswerable": 0.1, "holdout": 0.2, "collection": "Handbook"}
    assert {name: job.payload[name] for name in wanted} == wanted


def test_several_gpus_can_share_the_work(
    engine: Engine, handbook: list[FaqPair], open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not any(box.label == "GPUs that share the work" for box in open_page("finetune").number_input)
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nfor gpu in 1 2 3; do echo 'card, 24576, 20000, 580'; done\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(engine, "machine", Machine(engine.settings.home))
    page = open_page("finetune")
    (box,) = (box for box in page.number_input if box.label == "GPUs that share the work")
    assert (box.value, box.max) == (None, 3)
    box.set_value(2).run()
    name_it(page)
    press(page, "Start fine-tuning")
    (job,) = engine.jobs.list("finetune")
    assert job.payload["processes"] == 2


def test_what_a_preset_does_is_said_as_it_is_set(handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("finetune")
    for name, config in PRESETS.items():
        next(control for control in page.segmented_control if control.label == "Preset").set_value(name)
        page.run()
        (told,) = (caption.value for caption in page.caption if f" {config.epochs} passes" in caption.value)
        assert f"rank {config.rank}" in told
        assert ("as soon as they are learnt" in told) is (config.stop_at_loss > 0)


def test_it_says_what_is_missing_before_it_can_start(handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("finetune")
    start = next(button for button in page.button if button.label == "Start fine-tuning")
    assert start.disabled
    assert "name" in start.help
    name_it(page)
    assert not next(button for button in page.button if button.label == "Start fine-tuning").disabled


def test_columns_are_found_or_chosen(engine: Engine, open_page: OpenPage) -> None:
    page = open_page("finetune")
    name_it(page)
    hand_over(page, "faq.csv", TABLE)
    assert columns(page)["Column of the answers"] == "Antwort"
    assert columns(page)["Column of the questions"] is None
    assert next(button for button in page.button if button.label == "Start fine-tuning").disabled
    next(box for box in page.selectbox if box.label == "Column of the questions").set_value("Titel").run()
    press(page, "Start fine-tuning")
    assert not page.error
    (job,) = engine.jobs.list("finetune")
    assert job.payload["columns"] == {"question": "Titel", "answer": "Antwort"}
    assert job.payload["dataset"]["name"] == "faq.csv"


def test_conversations_need_no_columns(engine: Engine, open_page: OpenPage) -> None:
    page = open_page("finetune")
    row = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
    name_it(page)
    hand_over(page, "chat.jsonl", row)
    assert columns(page) == {}
    assert not next(button for button in page.button if button.label == "Start fine-tuning").disabled


def test_a_file_that_cannot_be_read_says_so(engine: Engine, open_page: OpenPage) -> None:
    page = open_page("finetune")
    hand_over(page, "faq.csv", b"\xff\xfe\x00")
    assert "not UTF" in page.error[0].value


def test_a_preview_has_nothing_live_in_it(hostile: str) -> None:
    text = f"{hostile}</span><script>alert(1)</script>"
    pieces = (Piece("<|im_start|>", False, True), Piece(text, False), Piece(text, True))
    html = example_html(ShownExample(pieces, "pair", 3, 1))
    assert html.count("<span") == html.count("</span>") == 3
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("&lt;script&gt;alert(1)") == 2
    assert "&lt;|im_start|&gt;" in html


@pytest.fixture
def with_model(engine: Engine, chat_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The same home, with the default chat model as a file."""
    (engine.settings.models_dir / chat_gguf.name).symlink_to(chat_gguf)
    monkeypatch.setenv("NEXUS_DEFAULT_MODEL", chat_gguf.stem)
    close_engine()
    return shared_engine()


@pytest.mark.models
def test_the_preview_shows_what_the_model_sees_until_something_changes(
    handbook: list[FaqPair], with_model: Engine, open_page: OpenPage
) -> None:
    page = open_page("finetune")
    slide(page, "Other wordings of each question", 0)
    press(page, "Preview the data")
    assert not page.error
    shown = "".join(element.proto.body for element in page.get("html"))
    assert "How many days of leave in year 1?" in shown
    assert "&lt;|im_start|&gt;" in shown
    assert "<img" not in shown
    metrics = {metric.label: metric.value for metric in page.metric}
    assert (metrics["Learnt"], metrics["Kept back"]) == ("2", "0")
    assert any("Only 2 examples" in caption.value for caption in page.caption)
    slide(page, "Other wordings of each question", 6)
    assert "Learnt" not in {metric.label for metric in page.metric}
    press(page, "Preview the data")
    assert any(KINDS["query"] in caption.value for caption in page.caption)
    assert with_model.jobs.list() == []
