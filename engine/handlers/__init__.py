"""What each kind of job does: the functions that the worker runs.

Lives here: one handler a file. A handler validates its payload, calls the capabilities step by step, stores each step's
result at once and reports progress; it may be run again after a crash and goes on from what is stored.

Does not live here: the queue and the worker (`engine.jobs`), and the capabilities themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.domain import Json
from engine.handlers.parts import Parts
from engine.jobs import Handler, JobContext

__all__ = ["Parts", "handlers"]


def handlers(parts: Parts) -> Mapping[str, Handler]:
    """The handler of each kind of job, over the parts of an engine.

    A handler is imported when its first job runs: they bring heavy libraries, and a process that only looks needs none.
    """

    def extract(context: JobContext) -> Mapping[str, Json]:
        from engine.handlers.extraction import extract

        return extract(parts, context)

    def ingest(context: JobContext) -> Mapping[str, Json]:
        from engine.handlers.ingestion import ingest

        return ingest(parts, context)

    def finetune(context: JobContext) -> Mapping[str, Json]:
        from engine.handlers.finetuning import finetune

        return finetune(parts, context)

    def rehearse(context: JobContext) -> Mapping[str, Json]:
        from engine.handlers.rehearsing import rehearse

        return rehearse(parts, context)

    def evaluate(context: JobContext) -> Mapping[str, Json]:
        from engine.handlers.evaluation import evaluate

        return evaluate(parts, context)

    def optimise(context: JobContext) -> Mapping[str, Json]:
        from engine.handlers.models import optimise

        return optimise(parts, context)

    def add_model(context: JobContext) -> Mapping[str, Json]:
        from engine.handlers.models import add_model

        return add_model(parts, context)

    def export_adapter(context: JobContext) -> Mapping[str, Json]:
        from engine.handlers.adapters import export_adapter

        return export_adapter(parts, context)

    def import_adapter(context: JobContext) -> Mapping[str, Json]:
        from engine.handlers.adapters import import_adapter

        return import_adapter(parts, context)

    return {
        "extract": extract,
        "ingest": ingest,
        "finetune": finetune,
        "evaluate": evaluate,
        "optimise": optimise,
        "add-model": add_model,
        "rehearse": rehearse,
        "export-adapter": export_adapter,
        "import-adapter": import_adapter,
    }
