"""What commands do and print, over a real home, as far as no model is needed."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from engine.agents import AgentDelta, SmartAgent
from engine.chat import ChatDelta
from engine.container import Engine
from engine.domain import AgentReply, Completion, FaqStatus, FinishReason
from engine.jobs.owners import new_owner

PAIR_FIELDS = {"id", "question", "answer", "quote", "document", "page", "score", "status"}
Records = Callable[..., list[dict]]


def test_pairs_are_listed_one_a_line(records: Records) -> None:
    rows = records("faq", "list", "--collection", "cards")
    assert [row["id"] for row in rows] == ["pair-0", "pair-1", "pair-2"]
    assert all(row.keys() >= PAIR_FIELDS for row in rows)
    assert (
        rows[0] | {"question": "Question 0?", "page": 1, "score": 0.9, "status": "pending", "document": "cards.pdf"} == rows[0]
    )


def test_pairs_can_be_listed_by_status(records: Records) -> None:
    records("faq", "approve", "pair-1", "--collection", "cards")
    assert [row["id"] for row in records("faq", "list", "--collection", "cards", "--status", "approved")] == ["pair-1"]


@pytest.mark.parametrize("chosen", [[], ["--all"]])
def test_approving_without_names_means_all_that_wait(records: Records, home: Any, chosen: list[str]) -> None:
    records("faq", "reject", "pair-0", "--collection", "cards")
    (report,) = records("faq", "approve", *chosen, "--collection", "cards")
    assert report == {"collection": "cards", "approved": 2, "approved_in_all": 2, "pairs_in_all": 3}
    assert [pair.status for pair in home.engine.faqs("cards")] == ["rejected", "approved", "approved"]


def test_a_least_score_leaves_the_others_waiting(records: Records, home: Any) -> None:
    (report,) = records("faq", "approve", "--min-score", "0.8", "--collection", "cards")
    assert report["approved"] == 2
    assert home.engine.faqs("cards", FaqStatus.PENDING)[0].id == "pair-2"


def test_rejecting_all_touches_only_those_that_wait(records: Records, home: Any) -> None:
    records("faq", "approve", "pair-0", "--collection", "cards")
    (report,) = records("faq", "reject", "--all", "--collection", "cards")
    assert report["rejected"] == 2
    assert home.engine.faqs("cards", FaqStatus.APPROVED)[0].id == "pair-0"


def test_a_pair_is_edited(records: Records, home: Any) -> None:
    (edited,) = records("faq", "edit", "pair-0", "--collection", "cards", "--question", "How long?")
    assert edited["question"] == "How long?"
    assert home.engine.faqs("cards")[0].question == "How long?"


@pytest.mark.parametrize(("kind", "begins"), [("jsonl", '{"id"'), ("csv", "id,question"), ("md", "# ")])
def test_export_writes_what_was_not_rejected(records: Records, tmp_path: Path, kind: str, begins: str) -> None:
    records("faq", "reject", "pair-0", "--collection", "cards")
    out = tmp_path / f"pairs.{kind}"
    (report,) = records("faq", "export", "--collection", "cards", "--format", kind, "--out", str(out))
    assert report == {"out": str(out), "format": kind, "count": 2}
    text = out.read_text()
    assert text.startswith(begins)
    assert "Question 1?" in text
    assert "Question 0?" not in text


def test_export_into_a_folder_that_is_not_there_fails(nexus: Callable[..., Result], tmp_path: Path) -> None:
    out = tmp_path / "missing" / "pairs.csv"
    result = nexus("faq", "export", "--collection", "cards", "--format", "csv", "--out", str(out), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "storage"


def test_leads_are_listed_and_exported(records: Records, nexus: Callable[..., Result], home: Any) -> None:
    agent = home.agent("Iris")
    conversation = home.engine.repositories.conversations.start("agent", "hello", agent.id)
    home.engine.repositories.leads.merge(agent.id, conversation.id, {"name": '=HYPERLINK("x")', "phone": "+44 20 7946 0958"})
    (lead,) = records("leads", "list", "--agent", "Iris")
    assert lead["agent"] == "Iris"
    assert lead["fields"] == {"name": '=HYPERLINK("x")', "phone": "+44 20 7946 0958"}
    (row,) = csv.DictReader(io.StringIO(nexus("leads", "export").stdout))
    assert row["name"] == '\'=HYPERLINK("x")'
    assert row["phone"] == "+44 20 7946 0958"
    assert records("leads", "export", "--agent", "Iris") == [lead]


def test_leads_are_exported_to_a_file(records: Records, tmp_path: Path) -> None:
    out = tmp_path / "leads.csv"
    (report,) = records("leads", "export", "--out", str(out))
    assert report == {"out": str(out), "count": 0}
    assert out.read_text().startswith("agent,conversation")


def test_an_agent_says_what_its_check_left_standing(
    nexus: Callable[..., Result], home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = home.agent("Iris")

    def stream(*_: object, **__: object) -> Iterator[AgentDelta]:
        yield AgentDelta("It lasts 9 years.")
        yield AgentDelta("", AgentReply("It is valid for 3 years.", "c-1", {}))

    monkeypatch.setattr(SmartAgent, "stream", stream)
    text = nexus("agent", "chat", agent.name, "How long?").stdout
    assert "It is valid for 3 years." in text.splitlines()
    monkeypatch.setattr(SmartAgent, "stream", lambda *_, **__: iter([AgentDelta("Hello.", AgentReply("Hello.", "c-1", {}))]))
    assert nexus("agent", "chat", agent.name, "Hi").stdout.count("Hello.") == 1


def test_agents_are_listed_and_deleted(records: Records, home: Any) -> None:
    home.agent("Iris")
    (agent,) = records("agent", "list")
    assert (agent["name"], agent["collection"], agent["fields"]) == ("Iris", "cards", ["name", "phone"])
    assert records("agent", "delete", "Iris") == [{"deleted": "Iris"}]
    assert records("agent", "list") == []


def test_the_app_takes_uploads_as_large_as_documents_may_be(
    nexus: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("os.chdir", lambda _: None)
    monkeypatch.setattr("os.execve", lambda _program, arguments, _environment: started.append(arguments))
    monkeypatch.setenv("NEXUS_MAX_DOCUMENT_MB", "7.5")
    assert nexus("app", "--port", "9000").exit_code == 0
    assert {"--server.maxUploadSize=8", "--server.port=9000", "--server.address=127.0.0.1"} <= set(started[0])


def test_jobs_are_listed_shown_and_cancelled(records: Records, home: Any) -> None:
    job = home.engine.ingest("cards")
    assert [row["id"] for row in records("jobs", "list")] == [job.id]
    (shown,) = records("jobs", "show", job.id)
    assert (shown["kind"], shown["state"], shown["payload"]) == ("ingest", "queued", {"collection": "cards"})
    (cancelled,) = records("jobs", "cancel", job.id)
    assert cancelled["state"] == "cancelled"


def ended_job(home: Any, state: str) -> str:
    """A job that has ended like this."""
    jobs = home.engine.jobs
    job = home.engine.ingest("cards")
    if state == "cancelled":
        return jobs.cancel(job.id).id
    owner = new_owner()
    assert jobs.claim(owner, ["ingest"]) is not None
    if state == "succeeded":
        jobs.succeed(job.id, owner, {})
    elif state == "failed":
        jobs.fail(job.id, owner, {"code": "error", "message": "no", "hint": None, "retryable": False})
    else:
        jobs.abort(job.id, owner)
    assert jobs.get(job.id).state == state
    return job.id


@pytest.mark.parametrize("state", ["succeeded", "failed"])
def test_a_job_that_has_ended_cannot_be_cancelled_any_more(nexus: Callable[..., Result], home: Any, state: str) -> None:
    job = ended_job(home, state)
    result = nexus("jobs", "cancel", job, "--json")
    error = json.loads(result.stdout)["error"]
    assert result.exit_code == 1
    assert (error["code"], error["job"], error["state"]) == ("conflict", job, state)
    assert job in error["hint"]
    assert f"the job has {state} already" in nexus("jobs", "cancel", job).stderr
    assert home.engine.jobs.get(job).state == state


@pytest.mark.parametrize("state", ["cancelled", "aborted"])
def test_cancelling_a_job_that_was_stopped_already_says_so(nexus: Callable[..., Result], home: Any, state: str) -> None:
    result = nexus("jobs", "cancel", ended_job(home, state), "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["state"] == state
    assert "already" in result.stderr


def test_watching_a_job_that_has_ended_shows_it_and_its_state(nexus: Callable[..., Result], home: Any) -> None:
    job = home.engine.ingest("cards")
    home.engine.jobs.cancel(job.id)
    result = nexus("jobs", "watch", job.id, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["state"] == "cancelled"


def test_a_list_for_people_has_columns(nexus: Callable[..., Result]) -> None:
    header, *rows = nexus("faq", "list", "--collection", "cards").stdout.splitlines()
    assert header.split("\t")[:4] == ["id", "status", "score", "question"]
    assert rows[0].split("\t")[:4] == ["pair-0", "pending", "0.9", "Question 0?"]


def test_an_empty_list_says_so_on_stderr(nexus: Callable[..., Result]) -> None:
    result = nexus("agent", "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no agents" in result.stderr


@pytest.mark.parametrize("repo", ["no name", "owner/name"])
def test_a_download_is_announced_only_when_there_is_one(nexus: Callable[..., Result], repo: str) -> None:
    result = nexus("models", "pull", repo)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error")
    assert "Downloading" not in result.stderr


def test_a_home_without_a_log_file_is_mentioned_once(home: Any) -> None:
    (home.path / "logs" / "nexus.log").unlink()
    (home.path / "logs").rmdir()
    (home.path / "logs").write_text("in the way")
    command = [sys.executable, "-c", "from engine.cli import main; main()", "--home", str(home.path), "faq", "list"]
    ended = subprocess.run([*command, "--collection", "cards"], capture_output=True, text=True, timeout=120, check=True)
    assert ended.stderr.count("no log file") == 1
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.models
def test_models_describe_themselves(records: Records, models_dir: Path) -> None:
    names = {row["name"]: row for row in records("models", "list")}
    assert names["all-MiniLM-L6-v2"]["kind"] == "encoder"
    (info,) = records("models", "info", "SmolLM2-135M-Instruct.Q4_1")
    assert (info["family"], info["quantisation"], info["adapters"]) == ("Llama", "Q4_1", [])
    assert len(info["sha256"]) == 64


@pytest.mark.models
def test_doctor_finds_nothing_missing(records: Records, models_dir: Path) -> None:
    (report,) = records("doctor")
    assert report["ok"] is True
    assert all(check.keys() >= {"name", "ok", "detail", "hint", "required"} for check in report["checks"])


def test_doctor_ends_with_1_where_the_models_are_missing(
    nexus: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXUS_MODELS_DIR", str(tmp_path / "empty"))
    result = nexus("doctor", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["ok"] is False


def test_bulk_approval_leaves_flagged_pairs(records: Records, home: Any) -> None:
    records("faq", "edit", "pair-0", "--collection", "cards", "--answer", "It lasts 999 years.")
    (report,) = records("faq", "approve", "--collection", "cards")
    assert report["approved"] == 2
    flagged = home.engine.faqs("cards")[0]
    assert (flagged.status, "999" in flagged.reason) == (FaqStatus.PENDING, True)


def test_reasoning_goes_beside_the_answer(nexus: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    def chat(*_: object, **__: object) -> Iterator[ChatDelta]:
        yield ChatDelta("", "c", reasoning="Two and two ")
        yield ChatDelta("", "c", reasoning="are four.")
        yield ChatDelta("Four.", "c", Completion("Four.", FinishReason.STOP, "m", reasoning="Two and two are four."))

    monkeypatch.setattr(Engine, "chat", chat)
    shown = nexus("chat", "2 + 2?")
    assert shown.stdout == "Four.\n"
    assert shown.stderr.startswith("Two and two are four.\n")
    record = json.loads(nexus("--json", "chat", "2 + 2?").stdout)
    assert (record["answer"], record["reasoning"]) == ("Four.", "Two and two are four.")


def test_an_answer_without_reasoning_has_no_such_field(nexus: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ChatDelta("Four.", "c", Completion("Four.", FinishReason.STOP, "m"))
    monkeypatch.setattr(Engine, "chat", lambda *_, **__: iter([answer]))
    assert "reasoning" not in json.loads(nexus("--json", "chat", "2 + 2?").stdout)


def test_a_model_that_llama_cpp_could_not_take_is_not_added(
    nexus: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gguf import GGUFWriter

    monkeypatch.setenv("NEXUS_MODELS_DIR", str(tmp_path / "models"))
    writer = GGUFWriter(tmp_path / "odd.gguf", "llama")
    writer.add_tensor("token_embd.weight", np.zeros((4, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    result = nexus("models", "add", str(tmp_path / "odd.gguf"), "--json")
    error = json.loads(result.stdout)["error"]
    assert (result.exit_code, error["code"]) == (1, "model_file")
    assert error["hint"]
    assert not (tmp_path / "models").exists()


@pytest.mark.models
def test_an_encoder_or_an_unknown_format_is_not_converted(nexus: Callable[..., Result], models_dir: Path) -> None:
    for arguments, code in (
        (("all-MiniLM-L6-v2",), "conflict"),
        (("SmolLM2-135M-Instruct.Q4_1", "--format", "q9"), "invalid_input"),
    ):
        result = nexus("models", "optimise", *arguments, "--json")
        assert result.exit_code == 1
        assert json.loads(result.stdout)["error"]["code"] == code


@pytest.mark.models
def test_a_model_is_restored_and_removed_with_what_is_known_of_it(
    nexus: Callable[..., Result], chat_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXUS_MODELS_DIR", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.gguf").symlink_to(chat_gguf)
    assert json.loads(nexus("models", "restore", "mine", "--json").stdout)["used_as"] == "as-is"
    assert json.loads(nexus("models", "info", "mine", "--json").stdout)["weights"]["reason"] == "chosen by a person"
    assert nexus("models", "remove", "mine").exit_code == 0
    assert list((tmp_path / "models" / ".optimised").iterdir()) == []
