"""What people ask of a job besides to cancel it: paused, ended with what it has, and what becomes of a wish."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from engine.db.session import Database
from engine.db.tables import JobRow
from engine.domain import Job, JobState, JobWish, utc_now
from engine.errors import CancelledError, ConflictError, InputError, JobPaused, NotFoundError
from engine.jobs import JobContext, JobQueue, Worker

ME = "me:1:a"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "nexus.db")


@pytest.fixture
def queue(database: Database) -> JobQueue:
    return JobQueue(database)


@pytest.fixture
def running(queue: JobQueue) -> Job:
    job = queue.submit("finetune", {}, lock="gpu")
    claimed = queue.claim(ME, ["finetune"])
    assert claimed is not None
    return queue.get(job.id)


class TestQueue:
    def test_a_waiting_job_is_paused_at_once_and_resumed(self, queue: JobQueue) -> None:
        job = queue.submit("finetune", {})
        assert queue.pause(job.id).state is JobState.PAUSED
        assert queue.claim(ME, ["finetune"]) is None
        assert queue.pause(job.id).state is JobState.PAUSED
        assert queue.resume(job.id).state is JobState.QUEUED
        assert queue.claim(ME, ["finetune"]) is not None

    def test_a_running_job_is_asked_to_pause_and_its_lock_is_free_then(self, queue: JobQueue, running: Job) -> None:
        other = queue.submit("finetune", {}, lock="gpu")
        asked = queue.pause(running.id)
        assert (asked.state, asked.wish) == (JobState.RUNNING, JobWish.PAUSE)
        assert queue.beat(running.id, ME) is True  # it goes on until it has paused
        assert queue.claim(ME, ["finetune"]) is None
        queue.park(running.id, ME, "Paused at step 3")
        parked = queue.get(running.id)
        assert (parked.state, parked.wish, parked.message) == (JobState.PAUSED, None, "Paused at step 3")
        taken = queue.claim(ME, ["finetune"])
        assert taken is not None
        assert taken.id == other.id

    def test_who_lost_a_job_cannot_park_it(self, queue: JobQueue, running: Job) -> None:
        queue.park(running.id, "other:1:b", "x")
        assert queue.get(running.id).state is JobState.RUNNING

    def test_a_paused_job_counts_as_unfinished_and_keeps_its_upload(self, queue: JobQueue) -> None:
        job = queue.submit("finetune", {"dataset": {"path": "x.jsonl", "name": "x"}})
        queue.pause(job.id)
        assert [one.id for one in queue.unfinished("finetune")] == [job.id]
        assert queue.staged_paths() == {"x.jsonl"}

    def test_a_paused_job_can_be_cancelled(self, queue: JobQueue) -> None:
        job = queue.submit("finetune", {})
        queue.pause(job.id)
        assert queue.cancel(job.id).state is JobState.ABORTED

    def test_stop_asks_a_running_job_and_wakes_a_paused_one(self, queue: JobQueue, running: Job) -> None:
        assert queue.stop(running.id).wish is JobWish.STOP
        queue.park(running.id, ME, "Paused")
        woken = queue.stop(running.id)
        assert (woken.state, woken.wish) == (JobState.QUEUED, JobWish.STOP)
        assert queue.claim(ME, ["finetune"]).wish is JobWish.STOP
        queue.succeed(running.id, ME, {})
        assert queue.get(running.id).wish is None

    def test_cancelling_goes_before_every_other_wish(self, queue: JobQueue, running: Job) -> None:
        queue.cancel(running.id)
        for ask in (queue.pause, queue.stop):
            with pytest.raises(ConflictError, match="cancelled"):
                ask(running.id)

    def test_resuming_forgets_the_wish(self, queue: JobQueue, running: Job) -> None:
        queue.stop(running.id)
        queue.fail(running.id, ME, InputError("x").info())
        assert queue.resume(running.id).wish is None

    @pytest.mark.parametrize("ask", ["pause", "stop"])
    def test_what_cannot_be_asked(self, queue: JobQueue, ask: str) -> None:
        with pytest.raises(NotFoundError):
            getattr(queue, ask)("nothing")
        extraction, ended = queue.submit("extract", {}), queue.submit("finetune", {})
        queue.cancel(ended.id)
        for job in (extraction, ended):
            with pytest.raises(ConflictError):
                getattr(queue, ask)(job.id)
        assert queue.get(extraction.id).state is JobState.QUEUED
        assert queue.get(ended.id).state is JobState.CANCELLED

    def test_what_has_not_begun_has_nothing_to_keep(self, queue: JobQueue) -> None:
        job = queue.submit("finetune", {})
        with pytest.raises(ConflictError, match="has not begun"):
            queue.stop(job.id)
        queue.pause(job.id)
        with pytest.raises(ConflictError, match="has not begun"):
            queue.stop(job.id)

    @pytest.mark.parametrize(("wish", "expected"), [("pause", JobState.PAUSED), ("stop", JobState.QUEUED)])
    def test_a_wish_outlives_the_process(
        self, queue: JobQueue, database: Database, running: Job, wish: str, expected: JobState
    ) -> None:
        getattr(queue, wish)(running.id)
        with database.write() as session:
            session.get(JobRow, running.id).heartbeat_at = utc_now() - timedelta(hours=1)
        queue.recover()
        found = queue.get(running.id)
        assert found.state is expected
        assert found.wish is (JobWish.STOP if wish == "stop" else None)

    def test_the_time_that_is_left_is_the_jobs_own_word(self, queue: JobQueue, running: Job) -> None:
        queue.report(running.id, ME, 0.5, "half", left_s=42.0)
        assert queue.get(running.id).eta_s == 42.0
        queue.report(running.id, ME, 0.5, "writing")
        assert queue.get(running.id).left_s is None


class TestWorker:
    def run_with(self, queue: JobQueue, ask: Callable[[str], object], end: type[CancelledError]) -> Job:
        """Run a job whose handler ends as soon as it hears of a wish, which comes while it runs."""

        def handler(context: JobContext) -> dict[str, object]:
            ask(context.job.id)
            heard = threading.Event()
            for _ in range(2000):
                if context.wish is not None or context.cancel.cancelled:
                    raise end("heard")
                heard.wait(0.01)
            return {}

        job = queue.submit("finetune", {})
        ended = Worker(queue, {"finetune": handler}, heartbeat_s=0.02).run_one(job.id)
        assert ended is not None
        return ended

    def test_a_handler_hears_of_a_pause_and_the_job_is_parked(self, queue: JobQueue) -> None:
        ended = self.run_with(queue, queue.pause, JobPaused)
        assert (ended.state, ended.message, ended.error) == (JobState.PAUSED, "heard", None)

    def test_a_job_that_is_cancelled_while_it_pauses_is_aborted(self, queue: JobQueue) -> None:
        def both(job_id: str) -> None:
            queue.pause(job_id)
            queue.cancel(job_id)

        assert self.run_with(queue, both, JobPaused).state is JobState.ABORTED
