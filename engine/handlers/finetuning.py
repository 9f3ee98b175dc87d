"""Fine-tune a LoRA adapter on a collection's pairs or on a dataset file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from engine.chat import mismatch
from engine.domain import Adapter, FaqPair, FaqStatus, Json, utc_now
from engine.errors import ConflictError, InputError, ModelFileError
from engine.evaluation.split import held_out
from engine.handlers.parts import Parts
from engine.jobs import JobContext
from engine.llm.llamacpp.model_files.inspection import remember_as_sound
from engine.llm.llamacpp.model_files.known_files import RECORD, KnownFiles
from engine.observability.tracing import span, traced
from engine.requests import FinetuneRequest
from engine.training import config, dataset_files
from engine.training.data import TrainingExample, examples_from_pairs
from engine.training.finetune import FinetuneSpec
from engine.training.finetune import finetune as run_finetune
from engine.training.run_folder import write_whole
from engine.training.trainer import AdapterArtifact

SELECTION_FILE = "selection.json"
"""In the run's folder: what the job learns and what it keeps back."""

TRAINING_SHARE = 0.9
"""Part of the progress bar that the steps take; the rest is writing the adapter and checking it."""


@dataclass(frozen=True, slots=True)
class _Data:
    """What to learn, and which pairs of which collection were kept back. `rows` are examples as chat messages."""

    rows: tuple[dict[str, Json], ...]
    collection_id: str | None = None
    held_out: tuple[str, ...] = ()
    notice: str | None = None

    @property
    def examples(self) -> tuple[TrainingExample, ...]:
        """The rows as examples."""
        return tuple(example for row in self.rows for example in dataset_files.examples_from_row(row))


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
    _require_free(parts, request.name, context.job.id)
    data = _frozen_data(parts, request, parts.settings.runs_dir / context.job.id)
    spec = FinetuneSpec(
        name=request.name,
        base=base,
        examples=data.examples,
        config=config.preset(request.preset),
        id=context.job.id,
        served=parts.weights.served(base, parts.settings.weights, lambda: context.cancel.cancelled),
    )
    context.progress(0.0, f"Preparing to train on {len(data.rows)} examples")
    artifact = run_finetune(
        spec,
        runs_dir=parts.settings.runs_dir,
        cache_dir=parts.settings.cache_dir,
        adapters_dir=parts.settings.adapters_dir,
        on_event=_Relay(context),
        cancel=context.cancel,
    )
    adapter = _list(parts, request, data, artifact, base, context.job.id)
    return {
        "adapter": adapter.name,
        "base": adapter.base_model,
        "path": str(adapter.path),
        "examples": len(data.rows),
        "held_out": len(data.held_out),
        "notice": mismatch(adapter) or data.notice,
        **{key: adapter.card[key] for key in ("parity", "evaluation", "durations") if key in adapter.card},
    }


def trained_questions(parts: Parts, adapter: Adapter) -> set[str]:
    """The questions that an adapter of this home was trained on; empty where that is not known."""
    file = parts.settings.runs_dir / (adapter.job_id or "unknown") / SELECTION_FILE
    if not file.is_file():
        return set()
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    return {example.question for row in rows for example in dataset_files.examples_from_row(row)}


def _frozen_data(parts: Parts, request: FinetuneRequest, run_dir: Path) -> _Data:
    """The job's data, chosen at its first run: pairs that change later must not change what a resumed run learns."""
    file = run_dir / SELECTION_FILE
    if file.is_file():
        stored = json.loads(file.read_text(encoding="utf-8"))
        return _Data(tuple(stored["rows"]), stored["collection_id"], tuple(stored["held_out"]), stored["notice"])
    with span("finetune.data"):
        try:
            data = _data(parts, request)
        except InputError:
            _discard_upload(parts, request)
            raise
    write_whole(file, json.dumps(asdict(data), ensure_ascii=False))
    _discard_upload(parts, request)
    return data


def _discard_upload(parts: Parts, request: FinetuneRequest) -> None:
    if request.dataset is not None:
        parts.uploads.discard(request.dataset)


def _data(parts: Parts, request: FinetuneRequest) -> _Data:
    if request.dataset is not None:
        examples = dataset_files.read_examples(parts.uploads.path(request.dataset))
        return _Data(tuple(example.to_json() for example in examples))
    collection = parts.repositories.collections.by_name(cast(str, request.collection))
    pairs, notice = trainable(parts.repositories.faqs.list(collection.id))
    if not pairs:
        raise ConflictError(f"the collection {collection.name!r} has no pairs to learn", hint="Extract or approve some.")
    kept_back = tuple(pair.id for pair in held_out(pairs, request.holdout))
    learnt = examples_from_pairs((pair.question, pair.answer) for pair in pairs if pair.id not in kept_back)
    return _Data(tuple(example.to_json() for example in learnt), collection.id, kept_back, notice)


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


def _require_free(parts: Parts, name: str, job_id: str) -> None:
    """Raise ConflictError when the name belongs to an adapter that another job has made."""
    if parts.repositories.adapters.exists(name) and parts.repositories.adapters.by_name(name).job_id != job_id:
        raise ConflictError(f"there is an adapter {name!r} already", hint="Choose another name.")


def _list(parts: Parts, request: FinetuneRequest, data: _Data, artifact: AdapterArtifact, base: Path, job_id: str) -> Adapter:
    """Store the adapter's row; after a crash between its files and its row, this is all that is left to do."""
    try:
        _require_free(parts, request.name, job_id)
    except ConflictError:
        shutil.rmtree(artifact.gguf_path.parent, ignore_errors=True)
        raise
    if parts.repositories.adapters.exists(request.name):
        return parts.repositories.adapters.by_name(request.name)
    ids: list[Json] = list(data.held_out)
    adapter = Adapter(
        id=artifact.id,
        name=request.name,
        base_model=base.stem,
        path=artifact.gguf_path,
        created_at=utc_now(),
        job_id=job_id,
        collection_id=data.collection_id,
        card={**artifact.card, "held_out": ids},
    )
    parts.repositories.adapters.add(adapter)
    _vouch_for(parts, base, artifact.gguf_path)
    return adapter


def _vouch_for(parts: Parts, base: Path, adapter: Path) -> None:
    """Spare an adapter its first load in a process of its own: training has just compared its answers with the base."""
    with suppress(ModelFileError):
        remember_as_sound(KnownFiles(parts.settings.cache_dir / RECORD), base, adapter)
