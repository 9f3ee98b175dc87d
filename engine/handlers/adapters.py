"""Adapters for other programs, and from them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.domain import Adapter, Json, utc_now
from engine.errors import AdapterError, ConflictError
from engine.handlers.parts import Parts
from engine.jobs import JobContext
from engine.llm.llamacpp.long_rope import has_long_positions
from engine.model_registry.files import disk_errors, incoming, prepare
from engine.model_registry.gguf_file import read_gguf
from engine.observability.tracing import traced
from engine.requests import ExportAdapterRequest, ImportAdapterRequest
from engine.training.adapters.child_work import run_in_child
from engine.training.adapters.export import Export, ExportPlan, export
from engine.training.adapters.foreign import Foreign, take_over
from engine.training.adapters.model_card import card_markdown, library_versions, licence_of
from engine.training.adapters.offering import mismatch, status_of
from engine.training.bases.base_model import file_sha256

_SCORES = ("examples", "exact_match", "token_f1", "similarity", "latency_p50_s")


@traced("adapters.export", capture_input=False)
def export_adapter(parts: Parts, context: JobContext) -> Mapping[str, Json]:
    """Write an adapter as files; they appear whole or not at all.

    Raises:
        NotFoundError: the adapter or its base is gone.
        CancelledError: someone stopped the job.
        NexusError: as `engine.training.adapters.export.export` raises.
    """
    request = ExportAdapterRequest.model_validate(context.job.payload)
    adapter = parts.repositories.adapters.by_name(request.name)
    parts.offering.require(adapter, allow_mismatch=True)  # an adapter of another base would be merged into nonsense
    base = parts.registry.path(adapter.base_model)
    plan = ExportPlan(adapter, base, request.form, request.quantisation, scores_of(parts, adapter), context.job.id)
    if not request.to_models:
        made = export(plan, Path(request.out), say=_saying(context), cancel=context.cancel)
        return _told(made) | {"path": str(made.folder)}
    with incoming(parts.settings.cache_dir) as folder:
        made = export(plan, folder, say=_saying(context), cancel=context.cancel)
        return _told(made) | {"model": parts.registry.add(made.file).name}


def scores_of(parts: Parts, adapter: Adapter) -> list[dict[str, Json]]:
    """What evaluations found for an adapter, the newest first."""
    rows = []
    for evaluation in parts.repositories.evaluations.list():
        targets = evaluation.summary.get("targets")
        for target in targets if isinstance(targets, list) else []:
            if isinstance(target, dict) and target.get("target") == f"adapter:{adapter.name}":
                row: dict[str, Json] = {"date": evaluation.created_at.date().isoformat()}
                rows.append(row | {name: target.get(name) for name in _SCORES})
    return rows


def _told(made: Export) -> dict[str, Json]:
    result: dict[str, Json] = {"file": made.file.name, "notice": made.notice, **made.result}
    return result


def _saying(context: JobContext) -> Callable[[str], None]:
    """Reports each step of a job whose steps take about as long."""
    done = 0.0

    def say(text: str) -> None:
        nonlocal done
        context.progress(done, text)
        done = min(0.9, done + 0.2)

    return say


@traced("adapters.import", capture_input=False)
def import_adapter(parts: Parts, context: JobContext) -> Mapping[str, Json]:
    """Take in an adapter that was made elsewhere, check it as one that was trained here, and list it.

    Raises:
        AdapterError: it is no adapter that can be used, or was made for another base.
        ConflictError: the name was taken in the meantime.
        CancelledError: someone stopped the job.
        NexusError: it cannot be checked.
    """
    request = ImportAdapterRequest.model_validate(context.job.payload)
    if parts.repositories.adapters.exists(request.name):
        return _told_imported(_own(parts, request.name, context.job.id))
    base = parts.registry.path(request.base or parts.settings.default_model)
    source = Path(str(request.path)) if request.upload is None else parts.uploads.path(request.upload)
    adapter = _taken(parts, context, request.name, source, base)
    if request.upload is not None:
        parts.uploads.discard(request.upload)
    return _told_imported(adapter)


def _taken(parts: Parts, context: JobContext, name: str, source: Path, base: Path) -> Adapter:
    folder = parts.settings.adapters_dir
    target = folder / context.job.id
    with disk_errors("The adapter cannot be stored"):
        prepare(folder, 0)
        with incoming(folder) as unfinished:
            unfinished.mkdir()
            context.progress(0.0, "Reading the adapter")
            foreign = take_over(source, unfinished)
            found = _checked(parts, context, foreign, unfinished, base)
            card = _card(name, source, foreign, _about(parts, base), found)
            card |= {"id": context.job.id, "licence": licence_of(base)}
            (unfinished / "card.json").write_text(json.dumps(card, indent=1), "utf-8")
            (unfinished / "README.md").write_text(card_markdown(name, card), "utf-8")
            shutil.rmtree(target, ignore_errors=True)  # of a run whose process went away before its row was stored
            unfinished.rename(target)
    adapter = Adapter(
        id=context.job.id,
        name=name,
        base_model=base.stem,
        path=target / "adapter.gguf",
        created_at=utc_now(),
        job_id=context.job.id,
        card=card,
        status=status_of(card),
    )
    try:
        parts.repositories.adapters.add(adapter)
    except ConflictError:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return adapter


def _checked(parts: Parts, context: JobContext, foreign: Foreign, folder: Path, base: Path) -> dict[str, Json]:
    """Have the adapter checked; says for which base it was made where it does not fit."""
    served = parts.weights.served(base, parts.settings.weights, lambda: context.cancel.cancelled)
    task: dict[str, Json] = {"do": "check", "folder": str(folder), "base": str(base.absolute()), "served": str(served)}
    task |= {"cache": str(parts.settings.cache_dir.absolute()), "long_positions": _is_long(parts, base)}
    try:
        return run_in_child(task, say=_saying(context), cancel=context.cancel)
    except AdapterError as exc:
        made_for = f" It was made for {foreign.made_for}." if foreign.made_for else ""
        raise AdapterError(f"{exc.message.rstrip('.')}.{made_for}", hint=exc.hint) from exc


def _is_long(parts: Parts, base: Path) -> bool:
    return has_long_positions(base, parts.settings.context_tokens)


def _about(parts: Parts, base: Path) -> dict[str, Json]:
    """What the card says of the base."""
    digest = parts.registry.sha256(base.stem)
    about: dict[str, Json] = {"file": base.name, "sha256": digest, "architecture": read_gguf(base).architecture}
    return about | ({"long_positions": True} if _is_long(parts, base) else {})


def _card(name: str, source: Path, foreign: Foreign, base: dict[str, Json], found: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "name": name,
        "created_at": utc_now().isoformat(),
        "base": base,
        "imported": {"from": source.name, "form": foreign.form, "made_for": foreign.made_for or None, **found},
        "adapter_sha256": file_sha256(foreign.weights),
        "parity": found.get("parity"),
        "versions": library_versions(),
    }


def _own(parts: Parts, name: str, job_id: str) -> Adapter:
    """The adapter that an earlier run of this job has stored.

    Raises:
        ConflictError: the name belongs to another one.
    """
    adapter = parts.repositories.adapters.by_name(name)
    if adapter.job_id != job_id:
        raise ConflictError(f"there is an adapter {name!r} already", hint="Choose another name.")
    return adapter


def _told_imported(adapter: Adapter) -> dict[str, Json]:
    return {
        "adapter": adapter.name,
        "base": adapter.base_model,
        "path": str(adapter.path),
        "status": adapter.status,
        "parity": adapter.card.get("parity"),
        "notice": mismatch(adapter),
    }
