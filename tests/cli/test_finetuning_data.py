"""What `nexus finetune` is told about its data, and its preview, which trains nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Nexus = Callable[..., Result]
ESCAPE = "\x1b[2J"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "faq.csv"
    rows = [("Wann oeffnet ihr?", "Um neun."), ("Was kostet es?", "Zehn Euro."), (f"Was{ESCAPE} ist das?", "Ein Test.")]
    path.write_text("Titel;Text\n" + "".join(f"{question};{answer}\n" for question, answer in rows))
    return path


@pytest.mark.models
def test_a_preview_prints_what_is_read_and_what_is_learnt(nexus: Nexus, table: Path, chat_gguf: Path) -> None:
    named = ["--column", "question=titel", "--column", "answer=Text"]
    result = nexus("finetune", "--name", "a", "--dataset", str(table), "--preview", *named)
    assert result.exit_code == 0, result.output
    assert "read   │ Wann oeffnet ihr?<|im_end|>" in result.stdout
    assert "learnt │ Um neun.<|im_end|>" in result.stdout
    assert ESCAPE not in result.stdout
    assert "Only 3 examples" in result.stderr
    found = json.loads(nexus("finetune", "--name", "a", "--dataset", str(table), "--preview", *named, "--json").stdout)
    assert (found["learnt"], found["held_out"], found["duplicates"]) == (3, 0, 0)
    assert {"text": "Um neun.", "learnt": True, "special": False} in found["examples"][0]["pieces"]


@pytest.mark.models
def test_a_preview_makes_no_job(nexus: Nexus, home: object, chat_gguf: Path) -> None:
    result = nexus("finetune", "--name", "a", "--collection", "cards", "--preview", "--json")
    assert json.loads(result.stdout)["learnt"] == 3
    assert home.engine.jobs.list() == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--column", "title=Titel"], "does not say what a column is"),
        (["--column", "question=Titel"], "the column answer is missing; the columns are 'Titel', 'Text'"),
        (["--column", "question=Frage"], "there is no column 'Frage' for the question"),
    ],
)
def test_columns_that_make_no_sense(nexus: Nexus, table: Path, arguments: list[str], says: str) -> None:
    result = nexus("finetune", "--name", "a", "--dataset", str(table), "--preview", "--json", *arguments)
    error = json.loads(result.stdout)["error"]
    assert (result.exit_code, error["code"]) == (1, "invalid_input")
    assert says in error["message"]
