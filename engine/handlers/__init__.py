"""What each kind of job does: the functions that the worker runs.

Lives here: one handler a file. A handler validates its payload, calls the capabilities step by step, stores each step's
result at once and reports progress; it may be run again after a crash and goes on from what is stored.

Does not live here: the queue and the worker (`engine.jobs`), and the capabilities themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

from engine.domain import Json
from engine.handlers.parts import Parts
from engine.jobs import Handler, JobContext

__all__ = ["Parts", "handler_of", "handlers"]

KINDS: Mapping[str, tuple[str, str]] = {
    "extract": ("extraction", "extract"),
    "ingest": ("ingestion", "ingest"),
    "finetune": ("finetuning", "finetune"),
    "rehearse": ("rehearsing", "rehearse"),
    "evaluate": ("evaluation", "evaluate"),
    "optimise": ("models", "optimise"),
    "add-model": ("models", "add_model"),
    "export-adapter": ("adapters", "export_adapter"),
    "import-adapter": ("adapters", "import_adapter"),
}
"""The handler of each kind of job: its module in this package, and its function there."""


def handlers(parts: Parts) -> Mapping[str, Handler]:
    """The handler of each kind of job, over the parts of an engine.

    A handler is imported when its first job runs: they bring heavy libraries, and a process that only looks needs none.
    """

    def over(kind: str) -> Handler:
        return lambda context: handler_of(kind)(parts, context)

    return {kind: over(kind) for kind in KINDS}


def handler_of(kind: str) -> Callable[[Parts, JobContext], Mapping[str, Json]]:
    """The function that does jobs of a kind; imports its module."""
    module, name = KINDS[kind]
    return cast(Callable[[Parts, JobContext], Mapping[str, Json]], getattr(import_module(f"{__name__}.{module}"), name))
