"""`nexus jobs …`: background work, past and present."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli import shapes
from engine.cli.command import Run, command
from engine.cli.following import watch, work_on
from engine.domain import Job, JobState
from engine.errors import ConflictError

group = typer.Typer(help="List, watch, pause, stop and resume jobs.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's identifier.")]


@command(group, "list")
def list_jobs(
    run: Run,
    kind: Annotated[str | None, typer.Option(help="Only jobs of this kind, such as extract or finetune.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
) -> None:
    """List jobs, newest first."""
    run.engine.jobs.recover()
    rows = [shapes.job(job) for job in run.engine.jobs.list(kind, limit)]
    run.out.records(rows, ("id", "kind", "state", "progress", "message"), empty="There are no jobs.")


@command(group, "show")
def show(run: Run, job_id: JobId) -> None:
    """Show a job."""
    run.out.record(shapes.job(run.engine.jobs.get(job_id)))


@command(group, "watch")
def watch_job(run: Run, job_id: JobId) -> None:
    """Follow a job until it ends; with --json, a line for each change. Ends with 1 when the job does not succeed."""

    def changed(job: Job) -> None:
        if run.out.as_json:
            run.out.record(shapes.job(job))

    ended = watch(run, run.engine.jobs.get(job_id), changed)
    if not run.out.as_json:
        run.out.record(shapes.job(ended))
    if ended.state is not JobState.SUCCEEDED:
        raise typer.Exit(1)


@command(group, "cancel")
def cancel(run: Run, job_id: JobId) -> None:
    """Cancel a job that waits or is paused, or ask a running one to stop; what it has done is kept.

    Ends with 1 for one that has ended.
    """
    before = run.engine.jobs.get(job_id)
    job = run.engine.jobs.cancel(job_id)
    if job.state in (JobState.SUCCEEDED, JobState.FAILED):
        _refuse_to_cancel(run, job)
    if before.state.ended and before.state is not JobState.PAUSED:
        run.out.note(f"Nothing to stop: the job was {job.state} already.")
    run.out.record(shapes.job(job))


def _refuse_to_cancel(run: Run, job: Job) -> None:
    hint = f"Try it again with `nexus jobs resume {job.id}`."
    if job.state is JobState.SUCCEEDED:
        hint = f"See its result with `nexus jobs show {job.id}`."
    message = f"the job has {job.state} already, so there is nothing to cancel"
    run.out.error({"code": ConflictError.code, "message": message, "hint": hint, "job": job.id, "state": job.state})
    raise typer.Exit(1)


@command(group, "pause")
def pause(run: Run, job_id: JobId) -> None:
    """Pause a fine-tune: it writes a checkpoint and frees its memory, and `nexus jobs resume` goes on from there."""
    run.out.record(shapes.job(run.engine.jobs.pause(job_id)))


@command(group, "stop")
def stop(run: Run, job_id: JobId) -> None:
    """End a fine-tune now and keep what it has learnt as an adapter. One that is paused does that here and now."""
    run.engine.jobs.recover()
    paused = run.engine.jobs.get(job_id).state is JobState.PAUSED
    job = run.engine.jobs.stop(job_id)
    run.out.record(shapes.job(work_on(run, job) if paused else job))


@command(group, "resume")
def resume(run: Run, job_id: JobId) -> None:
    """Go on with a job that failed, was stopped, paused or interrupted, here and now."""
    run.engine.jobs.recover()
    job = run.engine.jobs.get(job_id)
    waiting = job.state in (JobState.QUEUED, JobState.RUNNING)
    run.out.record(shapes.job(work_on(run, job if waiting else run.engine.jobs.resume(job_id))))
