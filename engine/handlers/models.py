"""Add a model file, or make and measure a faster copy of one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from engine.domain import Json, ModelInfo
from engine.errors import CancelledError, ConflictError, ModelError
from engine.handlers.parts import Parts
from engine.jobs import JobContext
from engine.model_registry.describe import is_encoder_part
from engine.model_registry.file_hashes import FileHashes, file_stamp
from engine.model_registry.files import Copied
from engine.observability.tracing import traced
from engine.requests import AddModelRequest, OptimiseRequest

CONVERTING_SHARE = 0.8
"""Part of the progress bar that the conversion takes; measuring takes some seconds whatever the model."""


@traced("models.optimise", capture_input=False)
def optimise(parts: Parts, context: JobContext) -> Mapping[str, Json]:
    """Make and measure a copy; it appears whole or not at all.

    Raises:
        NotFoundError: the model is gone.
        CancelledError: someone stopped the job.
        NexusError: as `WeightCopies.optimise` raises.
    """
    request = OptimiseRequest.model_validate(context.job.payload)
    context.progress(0.0, "Reading the model file")

    def report(share: float) -> None:
        context.progress(CONVERTING_SHARE * share, "Converting" if share < 1.0 else "Measuring")

    try:
        path = parts.registry.path(request.name)
        record = parts.weights.optimise(path, request.form, report, lambda: context.cancel.cancelled)
    except CancelledError as exc:
        context.check()
        raise ModelError(exc.message, hint=exc.hint) from exc  # it was its own time limit: nobody stopped the job
    return {"model": request.name, "format": record.format, "reason": record.reason}


@traced("models.add", capture_input=False)
def add_model(parts: Parts, context: JobContext) -> Mapping[str, Json]:
    """Copy a model into the models folder; it appears whole or not at all.

    Raises:
        CancelledError: someone stopped the job.
        NexusError: as `ModelRegistry.add` raises.
    """
    request = AddModelRequest.model_validate(context.job.payload)
    context.progress(0.0, "Checking the file")
    source = Path(request.path)
    try:
        added = parts.registry.add(source, _copying(parts.registry.check_addable(source).size, context))
    except ConflictError:
        added = _added_before(parts, context, request)
    return {"model": added.name}


def _copying(size: int, context: JobContext) -> Copied:
    """Reports how much of a model of so many bytes is copied."""
    done = 0

    def copied(count: int) -> None:
        nonlocal done
        done += count
        context.progress(min(0.99, done / max(1, size)), f"Copying: {done / 1e6:,.0f} of {size / 1e6:,.0f} MB")

    return copied


def _added_before(parts: Parts, context: JobContext, request: AddModelRequest) -> ModelInfo:
    """The model of this name, if it is there because of this job: its process may have gone away after the last step.

    Raises:
        CancelledError: someone stopped the job.
        ConflictError: it was there before, or another job has added another file.
    """
    found = parts.registry.info(request.name)
    before = datetime.fromtimestamp(found.path.stat().st_ctime, UTC) < context.job.created_at
    if before or not _is_copy(found.path, Path(request.path), context):
        raise ConflictError(f"There is a model named {found.name} already.", hint="Remove it first, or rename the file.")
    return found


def _is_copy(found: Path, source: Path, context: JobContext) -> bool:
    """Whether a model has the sizes and SHA-256 of another's files."""
    hashes = FileHashes()

    def stopped() -> bool:
        context.check()
        return False

    def same(part: str) -> bool:
        pair = (found / part, source / part)
        sizes = {file_stamp(file)[0] for file in pair}
        return len(sizes) == 1 and len({hashes.sha256(file, stopped) for file in pair}) == 1

    parts = _parts_of(found)
    return parts == _parts_of(source) and all(map(same, parts))


def _parts_of(model: Path) -> list[str]:
    """The files of a model, by their paths in its folder; of a single file that is empty."""
    if not model.is_dir():
        return [""]
    names = (file.relative_to(model).as_posix() for file in model.rglob("*") if file.is_file())
    return sorted(filter(is_encoder_part, names))
