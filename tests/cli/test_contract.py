"""The commands, options and exit codes that scripts rely on."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from engine.cli.root import root
from engine.container import Engine

CONTRACT = {
    "doctor": set(),
    "app": {"--port"},
    "models list": set(),
    "models info": set(),
    "models add": set(),
    "models remove": set(),
    "models pull": set(),
    "models optimise": {"--format"},
    "models restore": set(),
    "adapters list": set(),
    "adapters show": set(),
    "adapters export": {"--form", "--quantisation", "--out", "--to-models"},
    "adapters import": {"--name", "--base"},
    "adapters delete": set(),
    "documents list": {"--collection"},
    "documents show": {"--collection", "--page"},
    "documents remove": {"--collection"},
    "documents warnings": {"--collection"},
    "faq extract": {"--collection", "--model", "--max", "--language"},
    "faq list": {"--collection", "--status", "--document", "--min-score", "--max-score", "--flagged", "--duplicates"},
    "faq import": {"--collection"},
    "faq find": {"--collection", "--status", "--document", "--min-score", "--max-score", "--flagged", "--duplicates"},
    "faq show": {"--collection"},
    "faq approve": {"--collection", "--all", "--min-score", "--document"},
    "faq reject": {"--collection", "--all", "--min-score", "--document", "--reason"},
    "faq reopen": {"--collection"},
    "faq edit": {"--collection", "--question", "--answer", "--quote"},
    "faq undo": {"--collection"},
    "faq export": {"--collection", "--format", "--out", "--status", "--document", "--min-score"},
    "ask": {"--collection", "--model", "--adapter", "--allow-mismatch"},
    "finetune": {
        *("--collection", "--dataset", "--name", "--base", "--preset"),
        *("--column", "--holdout", "--paraphrases", "--follow-ups", "--unanswerable", "--preview"),
        *("--set", "--strategy", "--estimate", "--probe"),
    },
    "chat": {"--model", "--adapter", "--conversation", "--allow-mismatch"},
    "compare": {"--collection", "--adapter", "--allow-mismatch"},
    "agent create": {"--collection", "--fields", "--allow-mismatch"},
    "agent list": set(),
    "agent delete": set(),
    "agent chat": {"--conversation"},
    "leads list": {"--agent"},
    "leads export": {"--agent"},
    "evaluate": {"--collection", "--dataset", "--targets"},
    "jobs list": set(),
    "jobs show": set(),
    "jobs watch": set(),
    "jobs cancel": set(),
    "jobs resume": set(),
    "jobs pause": set(),
    "jobs stop": set(),
}
HEAVY = (
    "torch",
    "transformers",
    "llama_cpp",
    "faiss",
    "streamlit",
    "opik",
    "litellm",
    "sqlmodel",
    "duckdb",
    "pydantic",
    "pandas",
)


def options_of(path: str) -> set[str]:
    command = typer.main.get_command(root)
    for name in path.split():
        command = command.commands[name]
    return {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("path", CONTRACT)
def test_every_command_has_its_options_and_the_common_ones(path: str) -> None:
    assert options_of(path) >= CONTRACT[path] | {"--home", "--json"}


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from engine.cli.root import root; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not set(HEAVY) & set(shown.stdout.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["jobs", "show"],
        ["jobs", "list", "--no-such-option"],
        ["faq", "list"],
        ["faq", "export", "--collection", "c", "--out", "f", "--format", "xml"],
        ["faq", "reject", "--collection", "cards"],
        ["faq", "approve", "pair-0", "--all", "--collection", "cards"],
        ["faq", "edit", "pair-0", "--collection", "cards"],
        ["finetune", "--name", "a"],
        ["finetune", "--name", "a", "--collection", "c", "--dataset", "d"],
        ["finetune", "--name", "a", "--collection", "c", "--preset", "endless"],
        ["evaluate", "--targets", "base"],
        ["app", "--port", "70000"],
    ],
)
def test_wrong_usage_ends_with_2(nexus: Callable[..., Result], arguments: list[str]) -> None:
    result = nexus(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["faq", "list", "--collection", "nowhere"], "not_found"),
        (["faq", "approve", "pair-9", "--collection", "cards"], "not_found"),
        (["faq", "show", "pair-9", "--collection", "cards"], "not_found"),
        (["faq", "undo", "--collection", "nowhere"], "not_found"),
        (["faq", "import", "/no/such/file.csv", "--collection", "cards"], "invalid_input"),
        (["faq", "import", __file__, "--collection", "a/b"], "invalid_input"),
        (["faq", "extract", "/no/such/file.pdf", "--collection", "cards"], "invalid_input"),
        (["faq", "extract", __file__, "--collection", "a/b"], "invalid_input"),
        (["faq", "extract", __file__, "--collection", "cards", "--language", "klingon"], "invalid_input"),
        (["faq", "extract", __file__, "--collection", "cards", "--model", "openai/"], "invalid_input"),
        (["chat", "hello", "--model", "/x"], "invalid_input"),
        (["jobs", "show", "nothing"], "not_found"),
        (["jobs", "resume", "nothing"], "not_found"),
        (["jobs", "pause", "nothing"], "not_found"),
        (["jobs", "stop", "nothing"], "not_found"),
        (["models", "info", "nothing"], "not_found"),
        (["models", "pull", "owner/name"], "offline"),
        (["models", "pull", "no name"], "invalid_input"),
        (["agent", "chat", "nobody", "hello"], "not_found"),
        (["agent", "delete", "nobody"], "not_found"),
        (["leads", "list", "--agent", "nobody"], "not_found"),
        (["ask", "What?", "--collection", "nowhere"], "not_found"),
        (["finetune", "--name", "a", "--collection", "nowhere"], "not_found"),
        (["evaluate", "--targets", "base,adapter:none", "--collection", "cards"], "not_found"),
        (["evaluate", "--targets", "guess", "--collection", "cards"], "invalid_input"),
    ],
)
def test_a_refusal_ends_with_1_and_says_why_as_json(nexus: Callable[..., Result], arguments: list[str], code: str) -> None:
    result = nexus(*arguments, "--json")
    assert result.exit_code == 1
    error = json.loads(result.stdout)["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["hint"] is None or error["hint"]


def test_a_language_that_the_model_does_not_know_is_refused_before_there_is_a_job(
    nexus: Callable[..., Result], home: Any, chat_gguf: Path
) -> None:
    """The default model's file says that it knows English only."""
    result = nexus("faq", "extract", __file__, "--collection", "cards", "--model", chat_gguf.stem, "--language", "de", "--json")
    error = json.loads(result.stdout)["error"]
    assert (result.exit_code, error["code"]) == (1, "invalid_input")
    assert "not trained for German" in error["message"]
    assert "English" in error["hint"]
    assert home.engine.jobs.list() == []


def test_a_model_that_nobody_has_is_refused_before_there_is_a_job(nexus: Callable[..., Result], home: Any) -> None:
    for name in ("openai/", "local/nothing", "nothing"):
        assert nexus("faq", "extract", __file__, "--collection", "cards", "--model", name).exit_code == 1
    assert home.engine.jobs.list() == []


@pytest.mark.parametrize("name", ["SmolLM2-135M-Instruct.Q4_1", "all-MiniLM-L6-v2"])
def test_a_default_model_is_not_removed(
    nexus: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("NEXUS_MODELS_DIR", str(tmp_path))  # never the real ones
    result = nexus("models", "remove", name, "--json")
    assert result.exit_code == 1
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "conflict"
    assert "NEXUS_DEFAULT_MODEL" in error["hint"]


def test_a_refusal_without_json_is_on_stderr_only(nexus: Callable[..., Result]) -> None:
    result = nexus("faq", "list", "--collection", "nowhere")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "Error: no collection 'nowhere'" in result.stderr
    assert "Hint: Known collections: cards." in result.stderr


def test_what_the_system_refuses_is_an_error_of_storage(nexus: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/secret")

    monkeypatch.setattr(Engine, "leads", refuse)
    result = nexus("leads", "list", "--json")
    assert result.exit_code == 1
    error = json.loads(result.stdout)["error"]
    assert (error["code"], error["message"]) == ("storage", "/secret: Permission denied")
    assert error["hint"]


@pytest.mark.parametrize("arguments", [["faq", "list", "--collection", "cards"], ["faq", "list", "--collection", "nowhere"]])
def test_a_reader_that_leaves_early_is_not_told_about_it(home: Any, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-c", "from engine.cli import main; main()", "--home", str(home.path), *arguments, "--json"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(writing)
    assert ended.returncode == 1
    assert ended.stderr == ""


def test_the_common_options_may_stand_before_or_after_the_command(nexus: Callable[..., Result], home: Any) -> None:
    before = nexus("--json", "faq", "list", "--collection", "cards")
    after = nexus("faq", "list", "--collection", "cards", "--json")
    assert before.stdout == after.stdout
    elsewhere = CliRunner().invoke(root, ["jobs", "list", "--json", "--home", str(home.path / "other")])
    assert elsewhere.exit_code == 0
    assert (home.path / "other" / "nexus.db").is_file()


@pytest.mark.parametrize("arguments", [["--home", "", "jobs", "list"], ["jobs", "list", "--home", " "]])
def test_an_empty_home_is_no_folder(arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(root, arguments)
    assert result.exit_code == 2
    said = " ".join(result.stderr.replace("│", "").split())  # Typer draws a box around it
    assert "--home" in said
    assert "Name a folder" in said
    assert list(tmp_path.iterdir()) == []


def test_a_setting_that_makes_no_sense_is_explained(nexus: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_MAX_SEQUENCES", "many")
    result = nexus("jobs", "list", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "configuration"
