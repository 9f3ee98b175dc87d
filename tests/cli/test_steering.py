"""What the command line says of a fine-tune that another process works on, and how it is steered."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import Result

from engine.cli.finetuning import outcome
from engine.domain import Adapter, Job, JobState, JobWish, Json, utc_now

Nexus = Callable[..., Result]
OWNER = "elsewhere:1:test"


def running(home: Any) -> Job:
    job = home.engine.jobs.submit("finetune", {"name": "one"})
    assert home.engine.jobs.claim(OWNER, ["finetune"]) is not None
    return job


def test_watching_tells_answers_and_notices_once(home: Any, nexus: Nexus) -> None:
    job = running(home)
    sample = {"question": "When do you open?", "answer": "At\n9.", "expected": "At 10.", "taught": False}
    home.engine.jobs.emit(job.id, {"step": 4, "loss": 1.0, "samples": [sample]})
    home.engine.jobs.emit(job.id, {"notice": "Memory ran out at step 3."})
    home.engine.jobs.emit(job.id, {"step": 5, "loss": 1.0})
    home.engine.jobs.succeed(job.id, OWNER, {})
    watched = nexus("jobs", "watch", job.id)
    assert watched.exit_code == 0
    assert watched.stderr.count("step 4  When do you open? → At 9.") == 1
    assert watched.stderr.count("Memory ran out at step 3.") == 1
    assert "When do you open" not in nexus("jobs", "watch", job.id, "--json").stdout


def test_a_new_adapter_is_told_in_a_few_lines() -> None:
    card: dict[str, Json] = {
        "evaluation": {"steps": 24, "ending": "learnt", "loss": 0.0221, "held_out_loss": None},
        "parity": {"top1_agreement": 0.995, "decided": 200},
    }
    adapter = Adapter("a", "mine", "base", Path("adapter.gguf"), utc_now(), card=card)
    assert dict(outcome(adapter)) == {
        "steps": "24, learnt",
        "loss": "0.022",
        "served": "ready: as trained in 99.5% of 200 tokens",
        "more": "nexus adapters show mine",
    }


def test_pause_and_stop_ask_a_running_one(home: Any, nexus: Nexus) -> None:
    job = running(home)
    asked = json.loads(nexus("jobs", "pause", job.id, "--json").stdout)
    assert (asked["state"], asked["wish"]) == ("running", "pause")
    asked = json.loads(nexus("jobs", "stop", job.id, "--json").stdout)
    assert (asked["state"], asked["wish"]) == ("running", "stop")
    assert home.engine.jobs.get(job.id).wish is JobWish.STOP


def test_a_paused_one_is_cancelled(home: Any, nexus: Nexus) -> None:
    job = running(home)
    home.engine.jobs.park(job.id, OWNER, "Paused at step 3 of 8.")
    watched = nexus("jobs", "watch", job.id)
    assert watched.exit_code == 1
    assert "Paused at step 3" in watched.stdout
    cancelled = nexus("jobs", "cancel", job.id)
    assert cancelled.exit_code == 0
    assert "Nothing to stop" not in cancelled.stderr
    assert home.engine.jobs.get(job.id).state is JobState.ABORTED


def test_what_cannot_be_paused_is_refused_with_what_to_do(home: Any, nexus: Nexus) -> None:
    job = home.engine.jobs.submit("extract", {})
    refused = nexus("jobs", "pause", job.id, "--json")
    assert refused.exit_code == 1
    error = json.loads(refused.stdout)["error"]
    assert error["code"] == "conflict"
    assert "Cancel it" in error["hint"]
