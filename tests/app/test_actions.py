"""What the buttons of the pages do, seen through the engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.components.text import plain
from engine.container import Engine
from engine.domain import FaqPair, FaqStatus, JobState

OpenPage = Callable[[str], AppTest]


def press(page: AppTest, label: str) -> AppTest:
    """Press the button with this label."""
    button = next(button for button in page.button if button.label == label)
    assert not button.disabled
    return button.click().run()


def labels(page: AppTest) -> list[str]:
    """The labels of all buttons."""
    return [button.label for button in page.button]


def test_upload_makes_one_job_for_each_file(engine: Engine, open_page: OpenPage) -> None:
    engine.repositories.collections.ensure("Handbook")
    page = open_page("documents")
    page.file_uploader[0].set_value([("a.md", b"# A\n\nText.", "text/markdown"), ("b ![x](y).txt", b"Text.", "text/plain")])
    page.run()
    press(page, "Extract FAQ pairs")
    jobs = engine.jobs.list("extract")
    assert {job.payload["collection"] for job in jobs} == {"Handbook"}
    assert len(jobs) == 2
    assert {job.state for job in jobs} == {JobState.QUEUED}
    assert not page.error
    assert page.file_uploader[0].value == []


def test_a_refused_upload_says_why_and_makes_no_job(engine: Engine, open_page: OpenPage) -> None:
    engine.repositories.collections.ensure("Handbook")
    page = open_page("documents")
    page.file_uploader[0].set_value([("empty.md", b"", "text/markdown")])
    page.run()
    press(page, "Extract FAQ pairs")
    assert "empty" in page.error[0].value
    assert engine.jobs.list() == []


def test_approve_all_pending(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = press(open_page("documents"), "Approve all 2 pending shown")
    assert not page.error
    states = [pair.status for pair in engine.faqs("Handbook")]
    assert states.count(FaqStatus.APPROVED) == 4
    assert states.count(FaqStatus.REJECTED) == 1
    (left,) = engine.faqs("Handbook", FaqStatus.PENDING)
    assert left.reason, "a pair with a remark needs a closer look"
    assert [job.kind for job in engine.jobs.list()] == ["ingest"], "the index follows in the background"


def test_bulk_approval_takes_only_what_is_shown(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("documents")
    search = next(box for box in page.text_input if box.label == "Search")
    search.set_value("year 3").run()
    press(page, "Approve all 1 pending shown")
    approved = {pair.question for pair in engine.faqs("Handbook", FaqStatus.APPROVED)}
    assert "How many days of leave in year 3?" in approved
    assert "How many days of leave in year 0?" not in approved


def test_remove_a_document_with_its_pairs(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("documents")
    page.session_state["documents-tabs"] = "Documents"
    page.run()
    page.button(key=f"remove-{handbook[0].document_id}").click().run()
    collection = engine.collection("Handbook")
    assert (collection.document_count, collection.faq_count) == (1, 2)


def test_cancel_and_resume_a_job(engine: Engine, open_page: OpenPage) -> None:
    job = engine.jobs.submit("extract", {"collection": "Handbook"})
    page = open_page("documents")
    page.button(key=f"cancel-{job.id}").click().run()
    assert engine.jobs.get(job.id).state is JobState.CANCELLED
    page.button(key=f"resume-{job.id}").click().run()
    assert engine.jobs.get(job.id).state is JobState.QUEUED


def test_a_running_job_shows_progress_attempts_and_losses(everything: Engine, open_page: OpenPage) -> None:
    page = open_page("finetune")
    assert any("Fine" in text.value and "second" in text.value for text in page.markdown)
    assert "Cancel" in labels(page)
    assert len(page.get("progress")) == 1
    assert page.get("vega_lite_chart") or page.get("arrow_vega_lite_chart")


def test_a_failed_job_shows_its_error_and_can_be_resumed(everything: Engine, open_page: OpenPage) -> None:
    page = open_page("documents")
    assert any(r"scan\.pdf is encrypted" in error.value and "Save it unlocked" in error.value for error in page.error)
    assert "Resume" in labels(page)


def test_start_a_fine_tune(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("finetune")
    next(box for box in page.text_input if box.label == "Name of the adapter").set_value("quick one").run()
    press(page, "Start fine-tuning")
    job = engine.jobs.list("finetune")[0]
    assert job.payload["name"] == "quick one"
    assert job.payload["collection"] == "Handbook"
    assert job.payload["preset"] == "quick"


def test_a_taken_adapter_name_is_refused_in_words(everything: Engine, open_page: OpenPage) -> None:
    before = len(everything.jobs.list("finetune"))
    page = open_page("finetune")
    next(box for box in page.text_input if box.label == "Name of the adapter").set_value("taught").run()
    press(page, "Start fine-tuning")
    assert any("Choose another name" in error.value for error in page.error)
    assert len(everything.jobs.list("finetune")) == before


def test_start_an_evaluation(everything: Engine, open_page: OpenPage) -> None:
    page = press(open_page("evaluate"), "Start evaluation")
    assert not page.error
    job = everything.jobs.list("evaluate")[0]
    assert job.payload["targets"] == ["base", "rag", "adapter:taught"]
    assert job.payload["limit"] == 30


def test_chat_is_answered_and_kept(engine: Engine, open_page: OpenPage) -> None:
    page = open_page("finetune")
    page.chat_input(key="chat-input").set_value("What is a LoRA?").run()
    assert not page.error
    stored = engine.repositories.conversations
    conversation = stored.list("chat")[0]
    assert [turn.message.content for turn in stored.history(conversation.id)] == ["What is a LoRA?"] * 2
    assert any("What is a LoRA" in label for label in labels(page))
    press(page, "Delete")
    assert stored.list("chat") == []


def test_an_open_conversation_goes_on(engine: Engine, open_page: OpenPage) -> None:
    page = open_page("finetune")
    page.chat_input(key="chat-input").set_value("First").run()
    page.chat_input(key="chat-input").set_value("Second").run()
    stored = engine.repositories.conversations
    assert len(stored.list("chat")) == 1
    assert len(stored.history(stored.list("chat")[0].id)) == 4


def test_delete_an_agent(everything: Engine, open_page: OpenPage) -> None:
    agent = everything.repositories.agents.by_name("Front desk")
    page = open_page("agents")
    page.button(key=f"delete-agent-{agent.id}").click().run()
    assert everything.repositories.agents.list() == []


def test_delete_an_adapter(everything: Engine, open_page: OpenPage) -> None:
    adapter = everything.repositories.adapters.by_name("taught")
    adapter.path.parent.mkdir(parents=True)
    adapter.path.write_bytes(b"GGUF")
    page = open_page("finetune")
    page.button(key=f"delete-adapter-{adapter.id}").click().run()
    assert not page.error
    assert everything.repositories.adapters.list() == []
    assert not adapter.path.exists()


def test_leads_are_shown(everything: Engine, open_page: OpenPage) -> None:
    page = open_page("agents")
    leads = page.dataframe[-1].value
    assert list(leads["email"]) == ["ada@example.org"]


def test_the_default_model_is_not_removed(engine: Engine, open_page: OpenPage) -> None:
    page = open_page("models")
    assert "Remove" in labels(page)
    assert next(button for button in page.button if button.label == "Remove").disabled


def test_add_a_model_that_is_not_there(engine: Engine, open_page: OpenPage) -> None:
    page = open_page("models")
    page.text_input[0].set_value("/no/such/model.gguf").run()
    press(page, "Copy it into the models folder")
    assert "no file" in page.error[0].value


@pytest.mark.models
def test_a_model_is_added_by_a_job_that_the_page_shows(engine: Engine, open_page: OpenPage, chat_gguf: Path) -> None:
    page = open_page("models")
    page.text_input[0].set_value(str(chat_gguf)).run()
    press(page, "Copy it into the models folder")
    assert not page.error
    (job,) = engine.jobs.list("add-model")
    assert job.state is JobState.QUEUED
    assert any(plain(chat_gguf.name) in text.value for text in page.markdown)
    page.button(key=f"cancel-{job.id}").click().run()
    assert engine.jobs.get(job.id).state is JobState.CANCELLED


@pytest.mark.models
def test_a_model_is_measured_by_a_job_that_the_page_shows(engine: Engine, open_page: OpenPage, chat_gguf: Path) -> None:
    (engine.settings.models_dir / chat_gguf.name).symlink_to(chat_gguf)
    page = press(open_page("models"), "Measure")
    assert not page.error
    (job,) = engine.jobs.list("optimise")
    assert next(button for button in page.button if button.label == "Measure").disabled
    assert f"cancel-{job.id}" in {button.key for button in page.button}
    owner = "test"
    assert engine.jobs.claim(owner, ["optimise"], job.id) is not None
    reason = "bf16 is 0.5 × as fast"
    engine.jobs.succeed(job.id, owner, {"model": chat_gguf.stem, "format": "as-is", "reason": reason})
    page.run()
    assert any(plain(reason) in caption.value for caption in page.caption)
    assert not next(button for button in page.button if button.label == "Measure").disabled


def test_a_damaged_model_is_named(engine: Engine, open_page: OpenPage) -> None:
    (engine.settings.models_dir / "broken.gguf").write_bytes(b"GGUF" + bytes(20))
    page = open_page("models")
    assert any(r"broken\.gguf" in error.value for error in page.error)


def test_monitor_lists_jobs_and_metrics(everything: Engine, open_page: OpenPage) -> None:
    page = open_page("monitor")
    frames = [frame.value for frame in page.dataframe]
    jobs = next(frame for frame in frames if "State" in frame)
    assert set(jobs["State"]) == {"failed", "running"}
    metrics = next(frame for frame in frames if "Metric" in frame)
    assert "nexus_process_memory_bytes" in set(metrics["Metric"])


@pytest.mark.parametrize("name", ["", "   "])
def test_an_agent_needs_a_name(name: str, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("agents")
    next(box for box in page.text_input if box.label == "Name").set_value(name).run()
    assert next(button for button in page.button if button.label == "Create agent").disabled
