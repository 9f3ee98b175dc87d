"""What a fine-tune learns: chosen once from a collection or a file, and kept with the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from engine.domain import Adapter, FaqPair, FaqStatus, Json
from engine.errors import ConflictError, InputError
from engine.evaluation.split import held_out
from engine.handlers.parts import Parts
from engine.observability.tracing import span
from engine.requests import FinetuneRequest
from engine.training import dataset_files
from engine.training.data import TrainingExample, examples_from_pairs
from engine.training.run_folder import write_whole

SELECTION_FILE = "selection.json"
"""In the run's folder: what the job learns and what it keeps back."""


@dataclass(frozen=True, slots=True)
class FinetuneData:
    """What to learn, and which pairs of which collection were kept back. `rows` are examples as chat messages."""

    rows: tuple[dict[str, Json], ...]
    collection_id: str | None = None
    held_out: tuple[str, ...] = ()
    notice: str | None = None

    @property
    def examples(self) -> tuple[TrainingExample, ...]:
        """The rows as examples."""
        return tuple(example for row in self.rows for example in dataset_files.examples_from_row(row))


def trained_questions(parts: Parts, adapter: Adapter) -> set[str]:
    """The questions that an adapter of this home was trained on; empty where that is not known."""
    file = parts.settings.runs_dir / (adapter.job_id or "unknown") / SELECTION_FILE
    if not file.is_file():
        return set()
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    return {example.question for row in rows for example in dataset_files.examples_from_row(row)}


def frozen_data(parts: Parts, request: FinetuneRequest, run_dir: Path) -> FinetuneData:
    """The job's data, chosen at its first run: pairs that change later must not change what a resumed run learns."""
    file = run_dir / SELECTION_FILE
    if file.is_file():
        stored = json.loads(file.read_text(encoding="utf-8"))
        return FinetuneData(tuple(stored["rows"]), stored["collection_id"], tuple(stored["held_out"]), stored["notice"])
    with span("finetune.data"):
        try:
            data = _chosen(parts, request)
        except InputError:
            _discard_upload(parts, request)
            raise
    write_whole(file, json.dumps(asdict(data), ensure_ascii=False))
    _discard_upload(parts, request)
    return data


def _discard_upload(parts: Parts, request: FinetuneRequest) -> None:
    if request.dataset is not None:
        parts.uploads.discard(request.dataset)


def _chosen(parts: Parts, request: FinetuneRequest) -> FinetuneData:
    if request.dataset is not None:
        examples = dataset_files.read_examples(parts.uploads.path(request.dataset))
        return FinetuneData(tuple(example.to_json() for example in examples))
    collection = parts.repositories.collections.by_name(cast(str, request.collection))
    pairs, notice = trainable(parts.repositories.faqs.list(collection.id))
    if not pairs:
        raise ConflictError(f"the collection {collection.name!r} has no pairs to learn", hint="Extract or approve some.")
    kept_back = tuple(pair.id for pair in held_out(pairs, request.holdout))
    learnt = examples_from_pairs((pair.question, pair.answer) for pair in pairs if pair.id not in kept_back)
    return FinetuneData(tuple(example.to_json() for example in learnt), collection.id, kept_back, notice)


def trainable(pairs: Sequence[FaqPair]) -> tuple[list[FaqPair], str | None]:
    """The approved pairs; where nobody has approved any yet, those that wait for review, and a notice that says so."""
    approved = [pair for pair in pairs if pair.status is FaqStatus.APPROVED]
    if approved:
        return approved, None
    pending = [pair for pair in pairs if pair.status is FaqStatus.PENDING]
    return pending, "No pair was approved yet, so all pairs that wait for review were used." if pending else None
