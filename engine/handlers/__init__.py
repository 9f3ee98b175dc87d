"""What each kind of job does: the functions that the worker runs.

Lives here: one handler a file. A handler validates its payload, calls the capabilities step by step, stores each step's
result at once and reports progress; it may be run again after a crash and goes on from what is stored.

Does not live here: the queue and the worker (`engine.jobs`), and the capabilities themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from engine.handlers.evaluation import evaluate
from engine.handlers.extraction import extract
from engine.handlers.finetuning import finetune
from engine.handlers.ingestion import ingest
from engine.handlers.parts import Parts
from engine.jobs import Handler

__all__ = ["Parts", "handlers"]


def handlers(parts: Parts) -> Mapping[str, Handler]:
    """The handler of each kind of job, over the parts of an engine."""
    return {
        "extract": partial(extract, parts),
        "ingest": partial(ingest, parts),
        "finetune": partial(finetune, parts),
        "evaluate": partial(evaluate, parts),
    }
