"""The queue's transitions, from one process and from several."""

import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlmodel import select

from engine.db.session import Database
from engine.db.tables import JobRow
from engine.domain import JobState, utc_now
from engine.errors import ConflictError, InputError, NotFoundError
from engine.jobs import JobQueue, events
from engine.jobs.owners import new_owner

ERROR = InputError("no good", hint="better").info()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "nexus.db")


@pytest.fixture
def queue(database: Database) -> JobQueue:
    return JobQueue(database)


def make_stale(database: Database, job_id: str) -> None:
    with database.write() as session:
        row = session.get(JobRow, job_id)
        row.heartbeat_at = utc_now() - timedelta(hours=1)


def test_a_job_goes_from_queued_to_succeeded(queue: JobQueue) -> None:
    job = queue.submit("extract", {"n": 1})
    assert job.state is JobState.QUEUED
    claimed = queue.claim("me:1:a", ["extract"])
    assert claimed is not None
    assert (claimed.id, claimed.state, claimed.attempts) == (job.id, JobState.RUNNING, 1)
    queue.report(job.id, "me:1:a", 0.5, "half")
    assert queue.get(job.id).progress == 0.5
    queue.succeed(job.id, "me:1:a", {"pairs": 3})
    done = queue.get(job.id)
    assert (done.state, done.result, done.progress) == (JobState.SUCCEEDED, {"pairs": 3}, 1.0)
    assert done.finished_at is not None


def test_jobs_are_taken_in_order_and_only_of_known_kinds(queue: JobQueue) -> None:
    first, second = queue.submit("a", {}), queue.submit("a", {})
    queue.submit("unknown", {})
    taken = [queue.claim("me:1:a", ["a"]) for _ in range(3)]
    assert [job.id if job else None for job in taken] == [first.id, second.id, None]


def test_two_jobs_with_the_same_lock_never_run_together(queue: JobQueue) -> None:
    first = queue.submit("train", {}, lock="gpu")
    second = queue.submit("train", {}, lock="gpu")
    other = queue.submit("extract", {})
    assert queue.claim("me:1:a", ["train", "extract"]).id == first.id
    assert queue.claim("me:1:b", ["train", "extract"]).id == other.id
    assert queue.claim("me:1:c", ["train", "extract"]) is None
    queue.succeed(first.id, "me:1:a", {})
    assert queue.claim("me:1:c", ["train", "extract"]).id == second.id


def test_who_lost_a_job_cannot_end_it(queue: JobQueue, database: Database) -> None:
    job = queue.submit("a", {})
    queue.claim("gone:1:a", ["a"])
    make_stale(database, job.id)
    queue.recover()
    queue.claim("new:1:b", ["a"])
    queue.succeed(job.id, "gone:1:a", {"wrong": True})
    assert queue.get(job.id).state is JobState.RUNNING
    assert queue.beat(job.id, "gone:1:a") is False
    assert queue.beat(job.id, "new:1:b") is True


def test_a_queued_job_is_cancelled_and_a_running_one_is_asked_to_stop(queue: JobQueue) -> None:
    waiting, running = queue.submit("b", {}), queue.submit("a", {})
    queue.claim("me:1:a", ["a"])
    assert queue.cancel(waiting.id).state is JobState.CANCELLED
    assert queue.cancel(running.id).state is JobState.RUNNING
    assert queue.beat(running.id, "me:1:a") is False
    queue.abort(running.id, "me:1:a")
    assert queue.get(running.id).state is JobState.ABORTED
    assert queue.cancel(running.id).state is JobState.ABORTED


def test_only_an_ended_job_that_did_not_succeed_can_be_resumed(queue: JobQueue) -> None:
    job = queue.submit("a", {})
    with pytest.raises(ConflictError):
        queue.resume(job.id)
    queue.claim("me:1:a", ["a"])
    queue.fail(job.id, "me:1:a", ERROR)
    failed = queue.get(job.id)
    assert failed.error == {"code": "invalid_input", "message": "no good", "hint": "better", "retryable": False}
    resumed = queue.resume(job.id)
    assert (resumed.state, resumed.attempts, resumed.error) == (JobState.QUEUED, 0, None)
    queue.claim("me:1:a", ["a"])
    queue.succeed(job.id, "me:1:a", {})
    with pytest.raises(ConflictError):
        queue.resume(job.id)


def test_a_silent_job_is_queued_again_until_it_has_used_its_attempts(queue: JobQueue, database: Database) -> None:
    job = queue.submit("a", {}, max_attempts=2)
    for expected in (JobState.QUEUED, JobState.FAILED):
        queue.claim("elsewhere:1:a", ["a"])
        make_stale(database, job.id)
        assert [changed.id for changed in queue.recover()] == [job.id]
        assert queue.get(job.id).state is expected
    assert queue.get(job.id).error["code"] == "interrupted"


def test_a_live_job_is_left_alone(queue: JobQueue) -> None:
    job = queue.submit("a", {})
    queue.claim("elsewhere:1:a", ["a"])
    assert list(queue.recover()) == []
    assert queue.get(job.id).state is JobState.RUNNING


def test_a_silent_job_that_was_to_stop_is_aborted(queue: JobQueue, database: Database) -> None:
    job = queue.submit("a", {})
    queue.claim("elsewhere:1:a", ["a"])
    queue.cancel(job.id)
    make_stale(database, job.id)
    queue.recover()
    assert queue.get(job.id).state is JobState.ABORTED


def test_a_requeued_job_waits_for_its_delay(queue: JobQueue) -> None:
    job = queue.submit("a", {})
    queue.claim("me:1:a", ["a"])
    queue.requeue(job.id, "me:1:a", "later", delay_s=3600)
    assert queue.get(job.id).state is JobState.QUEUED
    assert queue.claim("me:1:a", ["a"]) is None


def test_events_are_kept_in_order(queue: JobQueue) -> None:
    job = queue.submit("a", {})
    for step in range(3):
        queue.emit(job.id, {"step": step})
    assert queue.events(job.id) == [{"step": 0}, {"step": 1}, {"step": 2}]


def test_who_follows_a_job_reads_each_report_once(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "REPORTS_AT_ONCE", 2)
    job, other = queue.submit("a", {}), queue.submit("a", {})
    for step in range(4):
        queue.emit(job.id, {"step": step})
        queue.emit(other.id, {"step": -step})
    first = list(queue.events_after(job.id))
    assert [data["step"] for _, data in first] == [0, 1, 2, 3]
    assert list(queue.events_after(job.id, first[-1][0])) == []
    queue.emit(job.id, {"step": 4})
    assert [data["step"] for _, data in queue.events_after(job.id, first[-1][0])] == [4]


def test_an_unknown_job_is_not_found(queue: JobQueue) -> None:
    for call in (queue.get, queue.cancel, queue.resume):
        with pytest.raises(NotFoundError):
            call("nothing")


CLAIMER = """
import sys
from pathlib import Path
from engine.db.session import Database
from engine.jobs import JobQueue, events

queue = JobQueue(Database(Path(sys.argv[1])))
while (job := queue.claim("host:1:x", ["a"])) is not None:
    print(job.id)
"""


def test_of_several_processes_only_one_gets_each_job(database: Database, queue: JobQueue) -> None:
    submitted = {queue.submit("a", {}).id for _ in range(40)}
    command = [sys.executable, "-c", CLAIMER, str(database.path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    taken = [job_id for process in processes for job_id in process.communicate(timeout=60)[0].split()]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(taken) == 40
    assert set(taken) == submitted


class QueueMachine(RuleBasedStateMachine):
    """Whatever is done in whatever order, states change only along the arrows, and a lock is held by one job."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(Path(self.folder.name) / "nexus.db")
        self.queue = JobQueue(self.database)
        self.ids: list[str] = []

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    def pick(self, index: int) -> str | None:
        return self.ids[index % len(self.ids)] if self.ids else None

    @rule(locked=st.booleans())
    def submit(self, locked: bool) -> None:
        self.ids.append(self.queue.submit("a", {}, lock="gpu" if locked else None).id)

    @rule(owner=st.sampled_from("pq"))
    def claim(self, owner: str) -> None:
        job = self.queue.claim(owner, ["a"])
        assert job is None or job.state is JobState.RUNNING

    @rule(
        index=st.integers(0, 9),
        owner=st.sampled_from("pq"),
        how=st.sampled_from(["succeed", "fail", "abort", "requeue", "cancel"]),
    )
    def end(self, index: int, owner: str, how: str) -> None:
        job_id = self.pick(index)
        if job_id is None:
            return
        before = self.queue.get(job_id).state
        match how:
            case "succeed":
                self.queue.succeed(job_id, owner, {})
            case "fail":
                self.queue.fail(job_id, owner, ERROR)
            case "abort":
                self.queue.abort(job_id, owner)
            case "requeue":
                self.queue.requeue(job_id, owner, "again")
            case _:
                self.queue.cancel(job_id)
        after = self.queue.get(job_id).state
        if before is JobState.QUEUED:
            assert after is (JobState.CANCELLED if how == "cancel" else JobState.QUEUED)
        elif before is not JobState.RUNNING:
            assert after is before

    @invariant()
    def one_holder_of_the_lock(self) -> None:
        with self.database.read() as session:
            running = len(session.exec(select(JobRow).where(JobRow.state == JobState.RUNNING, JobRow.lock == "gpu")).all())
        assert running <= 1


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_a_live_process_keeps_its_job_even_after_a_long_silence(queue: JobQueue, database: Database) -> None:
    job = queue.submit("a", {})
    queue.claim(new_owner(), ["a"])
    make_stale(database, job.id)
    assert list(queue.recover()) == []


def test_a_process_that_only_has_the_same_number_does_not_keep_a_job(queue: JobQueue) -> None:
    job = queue.submit("a", {})
    host, pid, _, tail = new_owner().split(":")
    queue.claim(f"{host}:{pid}:1.00:{tail}", ["a"])
    assert [lost.id for lost in queue.recover()] == [job.id]
