"""Fine-tune a LoRA adapter on a collection's pairs or on a dataset file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from engine.chat import mismatch
from engine.domain import Adapter, Collection, FaqPair, FaqStatus, Json, utc_now
from engine.errors import ConflictError
from engine.evaluation.split import held_out
from engine.handlers.parts import Parts
from engine.jobs import JobContext
from engine.observability.tracing import span, traced
from engine.requests import FinetuneRequest
from engine.training import config, dataset_files
from engine.training.data import TrainingExample, examples_from_pairs
from engine.training.finetune import FinetuneSpec
from engine.training.finetune import finetune as run_finetune
from engine.training.trainer import AdapterArtifact

TRAINING_SHARE = 0.9
"""Part of the progress bar that the steps take; the rest is writing the adapter and checking it."""


@dataclass(frozen=True, slots=True)
class _Data:
    """What to learn, and which pairs were kept back."""

    examples: tuple[TrainingExample, ...]
    collection: Collection | None = None
    held_out: tuple[str, ...] = ()
    notice: str | None = None


@traced("finetune", capture_input=False)
def finetune(parts: Parts, context: JobContext) -> Mapping[str, Json]:
    """Train in a child process, then list the adapter under its name.

    A second run goes on from the last checkpoint.

    Raises:
        ConflictError: there are no pairs, or the name was taken in the meantime.
        CancelledError: someone stopped the job; its checkpoints are kept.
        TrainingError: the child failed.
    """
    request = FinetuneRequest.model_validate(context.job.payload)
    base = parts.registry.path(request.base or parts.settings.default_model)
    data = _data(parts, request)
    spec = FinetuneSpec(
        name=request.name, base=base, examples=data.examples, config=config.preset(request.preset), id=context.job.id
    )
    context.progress(0.0, f"Preparing to train on {len(data.examples)} examples")
    artifact = run_finetune(
        spec,
        runs_dir=parts.settings.runs_dir,
        cache_dir=parts.settings.cache_dir,
        adapters_dir=parts.settings.adapters_dir,
        on_event=_Relay(context),
        cancel=context.cancel,
    )
    adapter = _list(parts, request, data, artifact, base, context.job.id)
    if request.dataset is not None:
        parts.uploads.discard(request.dataset)
    return {
        "adapter": adapter.name,
        "base": adapter.base_model,
        "path": str(adapter.path),
        "examples": len(data.examples),
        "held_out": len(data.held_out),
        "notice": mismatch(adapter) or data.notice,
        **{key: adapter.card[key] for key in ("parity", "evaluation", "durations") if key in adapter.card},
    }


def _data(parts: Parts, request: FinetuneRequest) -> _Data:
    with span("finetune.data"):
        if request.dataset is not None:
            return _Data(dataset_files.read_examples(parts.uploads.path(request.dataset)))
        collection = parts.repositories.collections.by_name(cast(str, request.collection))
        pairs, notice = trainable(parts.repositories.faqs.list(collection.id))
        if not pairs:
            raise ConflictError(f"the collection {collection.name!r} has no pairs to learn", hint="Extract or approve some.")
        kept_back = tuple(pair.id for pair in held_out(pairs, request.holdout))
        examples = examples_from_pairs((pair.question, pair.answer) for pair in pairs if pair.id not in kept_back)
        return _Data(examples, collection, kept_back, notice)


def trainable(pairs: Sequence[FaqPair]) -> tuple[list[FaqPair], str | None]:
    """The approved pairs; where nobody has approved any yet, those that wait for review, and a notice that says so."""
    approved = [pair for pair in pairs if pair.status is FaqStatus.APPROVED]
    if approved:
        return approved, None
    pending = [pair for pair in pairs if pair.status is FaqStatus.PENDING]
    return pending, "No pair was approved yet, so all pairs that wait for review were used." if pending else None


class _Relay:
    """Passes the events of the child on to the job's row: steps with their losses, and messages in between."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._done = 0.0

    def __call__(self, event: Mapping[str, Json]) -> None:
        if event.get("event") != "progress":
            self._context.progress(self._done, str(event.get("text", "")))
            return
        self._context.emit({key: value for key, value in event.items() if key != "event"})
        step, steps = cast(int, event["step"]), max(1, cast(int, event["steps"]))
        loss = event.get("loss")
        shown = f", loss {loss:.3f}" if isinstance(loss, float) else ""
        self._done = TRAINING_SHARE * step / steps
        self._context.progress(self._done, f"Step {step} of {steps}{shown}")


def _list(parts: Parts, request: FinetuneRequest, data: _Data, artifact: AdapterArtifact, base: Path, job_id: str) -> Adapter:
    """Store the adapter's row; after a crash between its files and its row, this is all that is left to do."""
    if parts.repositories.adapters.exists(request.name):
        existing = parts.repositories.adapters.by_name(request.name)
        if existing.job_id == job_id:
            return existing
        raise ConflictError(f"there is an adapter {request.name!r} already", hint="Choose another name.")
    ids: list[Json] = list(data.held_out)
    adapter = Adapter(
        id=artifact.id,
        name=request.name,
        base_model=base.stem,
        path=artifact.gguf_path,
        created_at=utc_now(),
        job_id=job_id,
        collection_id=None if data.collection is None else data.collection.id,
        card={**artifact.card, "held_out": ids},
    )
    parts.repositories.adapters.add(adapter)
    return adapter
