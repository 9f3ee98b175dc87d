"""Fine-tune a LoRA adapter on a collection's pairs or on a dataset file."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast

from engine.domain import Adapter, Json, utc_now
from engine.errors import ConflictError, ModelFileError, StorageError
from engine.handlers.finetuning_data import FinetuneData, frozen_data
from engine.handlers.parts import Parts
from engine.handlers.rehearsing import encoded
from engine.handlers.room import make_room
from engine.jobs import JobContext
from engine.llm.llamacpp.long_rope import has_long_positions
from engine.llm.llamacpp.model_files.inspection import remember_as_sound
from engine.llm.llamacpp.model_files.known_files import RECORD, KnownFiles
from engine.observability.tracing import traced
from engine.requests import FinetuneRequest
from engine.training.adapters.offering import mismatch, status_of
from engine.training.devices import processes_for
from engine.training.finetune import FinetuneSpec
from engine.training.finetune import finetune as run_finetune
from engine.training.settings import preset_with
from engine.training.trainer import AdapterArtifact

logger = logging.getLogger(__name__)

TRAINING_SHARE = 0.9
"""Part of the progress bar that the steps take; the rest is writing the adapter and checking it."""


@traced("finetune", capture_input=False)
def finetune(parts: Parts, context: JobContext) -> Mapping[str, Json]:
    """Train in a child process, then list the adapter under its name.

    A second run goes on from the last checkpoint.

    Raises:
        JobPaused: someone asked for a pause; its checkpoints are kept.
        ConflictError: there are no pairs, or the name was taken in the meantime.
        CancelledError: someone stopped the job; its checkpoints are kept.
        TrainingError: the child failed.
    """
    request = FinetuneRequest.model_validate(context.job.payload)
    base = parts.registry.path(request.base or parts.settings.default_model)
    _require_free(parts, request.name, context.job.id)
    data = frozen_data(parts, request, parts.settings.runs_dir / context.job.id)
    config = preset_with(request.preset, request.settings, base)
    spec = FinetuneSpec(
        name=request.name,
        base=base,
        examples=data.examples,
        config=config,
        strategy=request.strategy,
        processes=processes_for(request.processes, request.strategy, config, parts.machine()),
        id=context.job.id,
        served=parts.weights.served(base, parts.settings.weights, lambda: context.cancel.cancelled),
        long_positions=has_long_positions(base, parts.settings.context_tokens),
    )
    make_room(parts, base, spec.config, spec.strategy, encoded(data.examples, base, spec.config))
    context.progress(0.0, f"Preparing to train on {data.learnt} examples")
    artifact = run_finetune(
        spec,
        runs_dir=parts.settings.runs_dir,
        cache_dir=parts.settings.cache_dir,
        adapters_dir=parts.settings.adapters_dir,
        on_event=Relay(context),
        cancel=context.cancel,
        wish=lambda: context.wish,
    )
    adapter = _list(parts, request, data, artifact, base, context.job.id)
    return {
        "adapter": adapter.name,
        "base": adapter.base_model,
        "path": str(adapter.path),
        "examples": data.learnt,
        "held_out": len(data.held_out),
        "notice": " ".join(filter(None, (mismatch(adapter), data.notice, *notices_of(artifact)))) or None,
        **{key: adapter.card[key] for key in ("parity", "evaluation", "durations") if key in adapter.card},
    }


class Relay:
    """Passes the events of the child on to the job's row: steps with their figures, and messages in between.

    A disk that refuses the rows for a while does not end a training, which gets over that itself.
    """

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._done = 0.0

    def __call__(self, event: Mapping[str, Json]) -> None:
        """Pass an event on.

        Raises:
            CancelledError: someone asked the job to stop.
        """
        try:
            self._pass_on(event)
        except StorageError as exc:
            logger.warning("a report of fine-tune %s was not stored: %s", self._context.job.id, exc.message)

    def _pass_on(self, event: Mapping[str, Json]) -> None:
        if event.get("event") != "progress":
            text = str(event.get("text", ""))
            if event.get("notice"):
                self._context.emit({"notice": text})
            self._context.progress(self._done, text)
            return
        step, steps = cast(int, event["step"]), max(1, cast(int, event["steps"]))
        self._done = TRAINING_SHARE * step / steps
        self._context.check()
        self._context.emit({key: value for key, value in event.items() if key != "event"})
        left = event.get("eta_s")
        text = ", ".join([f"Step {step} of {steps}", *figures(event)])
        self._context.progress(self._done, text, left if isinstance(left, float) else None)


_FIGURES: tuple[tuple[str, str, float], ...] = (
    ("loss", "loss {:.3f}", 1),
    ("eval_loss", "held-out loss {:.3f}", 1),
    ("learning_rate", "rate {:.1e}", 1),
    ("grad_norm", "gradient {:.2f}", 1),
    ("tokens_per_s", "{:.0f} tokens/s", 1),
    ("memory", "{:.1f} GB", 1e-9),
    ("gpu_memory", "GPU {:.1f} GB", 1e-9),
    ("gpu_temperature", "{:.0f} °C", 1),
)


def figures(row: Mapping[str, Json]) -> list[str]:
    """The figures of a step in words, as far as there are any."""
    found = ((form, factor, row.get(name)) for name, form, factor in _FIGURES)
    return [form.format(value * factor) for form, factor, value in found if isinstance(value, int | float)]


def notices_of(artifact: AdapterArtifact) -> list[str]:
    """What a person should know of how the training went."""
    evaluation = artifact.card.get("evaluation")
    notices = evaluation.get("notices") if isinstance(evaluation, dict) else None
    told = [str(notice) for notice in notices] if isinstance(notices, list) else []
    return [*told, *_cuts(artifact)]


def _cuts(artifact: AdapterArtifact) -> list[str]:
    """What was not learnt in full, because it was too long."""
    data, settings = artifact.card.get("dataset"), artifact.card.get("config")
    learnt = data.get("train") if isinstance(data, dict) else None
    limit = settings.get("max_sequence_length") if isinstance(settings, dict) else None
    if not isinstance(learnt, dict):
        return []
    words = {
        "truncated": f"were longer than {limit} tokens and were cut; raise max_sequence_length to teach their ends as well.",
        "skipped": f"were left out, since their prompts leave no room for an answer in {limit} tokens.",
    }
    return [f"{count} of the examples {words[name]}" for name in words if (count := learnt.get(name))]


def _require_free(parts: Parts, name: str, job_id: str) -> None:
    """Raise ConflictError when the name belongs to an adapter that another job has made."""
    if parts.repositories.adapters.exists(name) and parts.repositories.adapters.by_name(name).job_id != job_id:
        raise ConflictError(f"there is an adapter {name!r} already", hint="Choose another name.")


def _list(
    parts: Parts, request: FinetuneRequest, data: FinetuneData, artifact: AdapterArtifact, base: Path, job_id: str
) -> Adapter:
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
        status=status_of(artifact.card),
    )
    parts.repositories.adapters.add(adapter)
    _vouch_for(parts, base, artifact.gguf_path)
    return adapter


def _vouch_for(parts: Parts, base: Path, adapter: Path) -> None:
    """Spare an adapter its first load in a process of its own: training has just compared its answers with the base."""
    with suppress(ModelFileError):
        remember_as_sound(KnownFiles(parts.settings.cache_dir / RECORD), base, adapter)
