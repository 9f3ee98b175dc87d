"""The job that trains: what it tells of each step. How it trains is in tests/training."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.db.session import Database
from engine.domain import Json
from engine.errors import CancelledError
from engine.handlers.finetuning import Relay, figures, notices_of
from engine.jobs import JobContext, JobQueue
from engine.training.trainer import AdapterArtifact


def test_a_step_in_words_has_the_figures_that_there_are() -> None:
    row = {"step": 3, "loss": 1.23456, "eval_loss": None, "learning_rate": 2e-4, "memory": 1_900_000_000, "samples": []}
    assert figures(row) == ["loss 1.235", "rate 2.0e-04", "1.9 GB"]
    assert figures({"gpu_temperature": 61, "gpu_memory": 4e9}) == ["GPU 4.0 GB", "61 °C"]


def test_what_was_too_long_to_be_learnt_in_full_is_told() -> None:
    learnt: dict[str, Json] = {"examples": 4, "truncated": 3, "skipped": 0}
    card: dict[str, Json] = {"dataset": {"train": learnt}, "config": {"max_sequence_length": 128}}
    artifact = AdapterArtifact("a", Path("a"), Path("b"), card)
    (notice,) = notices_of(artifact)
    assert notice.startswith("3 of the examples were longer than 128 tokens and were cut")
    learnt["truncated"], learnt["skipped"] = 0, 2
    (notice,) = notices_of(artifact)
    assert notice.startswith("2 of the examples were left out")


@contextmanager
def full_disk() -> Iterator[None]:
    """A disk on which no file grows."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestRelay:
    @pytest.fixture
    def context(self, tmp_path: Path) -> JobContext:
        self.queue = JobQueue(Database(tmp_path / "nexus.db"))
        job = self.queue.submit("finetune", {})
        self.queue.claim("me:1:a", ["finetune"])
        return JobContext(job, self.queue, "me:1:a")

    def test_steps_become_progress_and_events(self, context: JobContext) -> None:
        Relay(context)({"event": "progress", "step": 5, "steps": 10, "loss": 0.5, "eta_s": 12.0})
        stored = self.queue.get(context.job.id)
        assert stored.message == "Step 5 of 10, loss 0.500"
        assert (stored.progress, stored.eta_s) == (0.45, 12.0)
        assert self.queue.events(context.job.id) == [{"step": 5, "steps": 10, "loss": 0.5, "eta_s": 12.0}]

    def test_a_full_disk_costs_reports_but_not_the_training(self, context: JobContext) -> None:
        relay = Relay(context)
        with full_disk():
            relay({"event": "progress", "step": 1, "steps": 10, "loss": 0.5})
            relay({"event": "message", "text": "There is no checkpoint.", "notice": True})
        relay({"event": "progress", "step": 2, "steps": 10, "loss": 0.4})
        assert [event["step"] for event in self.queue.events(context.job.id)] == [2]

    def test_a_cancelled_job_hears_of_it_at_the_next_event(self, context: JobContext) -> None:
        context.cancel.cancel()
        with pytest.raises(CancelledError):
            Relay(context)({"event": "progress", "step": 1, "steps": 10, "loss": 0.5})
