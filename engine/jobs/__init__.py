"""Background work that survives everything: the queue (SQLite), the worker that runs it, and what a handler is given.

Lives here: states and their transitions, claiming, heartbeats, retries with back-off, cancelling, recovery after a crash.
Does not live here: what a job does. Handlers are functions that the composition root registers by kind.
"""

from engine.jobs.queue import JobQueue
from engine.jobs.worker import Handler, JobContext, Worker

__all__ = ["Handler", "JobContext", "JobQueue", "Worker"]
