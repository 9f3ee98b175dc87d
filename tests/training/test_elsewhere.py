"""A fine-tune that is prepared here and done elsewhere: the folder has all that it needs, wherever it is."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli.root import root
from engine.config import Settings
from engine.container import Engine
from engine.errors import ConflictError
from engine.training import worker
from engine.training.run_folder import read_artifact

RUN = CliRunner()


def test_a_prepared_folder_is_trained_where_it_was_moved_to(
    tmp_path: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"question": f"What is item {i}?", "answer": f"It is {'very ' * (i % 5)}small."} for i in range(8)]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv("NEXUS_MODELS_DIR", str(tiny_gguf.parent))
    monkeypatch.setenv("NEXUS_DEFAULT_MODEL", "tiny")
    here = tmp_path / "here"
    arguments = ["finetune", "--name", "a", "--dataset", str(pairs), "--strategy", "peft", "--set", "max_steps=2"]
    ended = RUN.invoke(root, [*arguments, "--prepare", str(here), "--home", str(tmp_path / "home"), "--json"])
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout)["command"].startswith("accelerate launch -m engine.training.worker")

    with Engine(Settings(home=tmp_path / "home", models_dir=tiny_gguf.parent, default_model="tiny")) as engine:
        assert engine.jobs.list() == []
        with pytest.raises(ConflictError, match="already"):
            engine.prepare_finetune(here, "a", dataset=pairs)

    there = here.rename(tmp_path / "there")
    worker.run(there, lambda event: None)
    card = read_artifact(there / "output").card
    assert (card["name"], len(card["curve"]), card["parity"]["ok"]) == ("a", 2, True)
    assert not here.exists()
