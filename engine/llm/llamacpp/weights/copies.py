"""Copies of models in the format that this processor computes fastest, beside the originals: made, measured, undone.

A copy is made by a child process (`requantise`) and appears whole or not at all. See `formats` for what is chosen.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from engine.domain import Json
from engine.errors import CancelledError, ConflictError, InputError, ModelFileError, NexusError, StorageError
from engine.llm.llamacpp.loaded import Latch
from engine.llm.llamacpp.model_files.inspection import Inspection
from engine.llm.llamacpp.model_files.known_files import RECORD, KnownFiles
from engine.llm.llamacpp.weights.formats import AS_IS, BYTES_A_WEIGHT, FILE_TYPES, fastest_format
from engine.llm.llamacpp.weights.record import (
    WeightRecord,
    copy_name,
    delete_copies,
    delete_record,
    new_record,
    read_records,
    write_record,
)
from engine.llm.llamacpp.weights.requantise_process import run_requantise
from engine.llm.llamacpp.weights.speed import gains, speed_from_json
from engine.machine import Hardware, inspect_hardware
from engine.model_registry.files import incoming, remove_stale, require_space
from engine.model_registry.gguf_file import GgufHeader, read_gguf

logger = logging.getLogger(__name__)

AUTO = "auto"
AUTO_PARAMETERS = 200_000_000
"""Larger models are converted only when asked for: it takes more than seconds, and a copy several times as large as its
original makes a single answer slower."""
MEMORY_SHARE, DISK_SHARE = 0.25, 0.2
"""Most of the available memory and of the free disk that a copy may take when nobody asked for it."""
MIN_GAIN = 1.2
"""Least gain with many requests at once that makes a copy worth its room."""
MIN_GAIN_ALONE = 0.9
"""Least gain of a single request: a person's own question must not become noticeably slower."""
INLINE_S = 30.0
"""Longest wait for a copy when a model is first loaded; on two quiet cores the default model takes three seconds."""
_FOLDER = ".optimised"

Stop = Callable[[], bool]
Report = Callable[[float], None]
"""Told which share of a copy is written (0…1), several times a second. What it raises ends the work."""


@dataclass(frozen=True, slots=True)
class _Limits:
    """How long a conversion may take, how much of that is for measuring, and whether the copy is kept in any case."""

    seconds: float
    measure_s: float
    keep: bool
    stop: Stop = lambda: False
    report: Report = lambda _: None


class WeightCopies:
    """The copies of all models. Safe to use from any thread, and beside other processes."""

    def __init__(self, cache_dir: Path, machine: Callable[[], Hardware] = inspect_hardware) -> None:
        """Describe them.

        Args:
            cache_dir: takes the copies of models whose own folder may not be written to.
            machine: looks at the machine; called when a copy may have to be made.
        """
        self._cache = cache_dir / "optimised"
        self._known = KnownFiles(cache_dir / RECORD)
        self._machine = machine

    def record(self, model: Path, stop: Stop = lambda: False) -> WeightRecord | None:
        """What was decided for a model; None where nothing was. A file that has changed since is another model.

        Raises:
            ModelFileError: the model cannot be read.
            CancelledError: `stop` said so while it was read.
        """
        named = list(self._named(model))
        if not named:
            return None
        digest = self._digest(model, stop)
        return next((record for record in named if record.source_sha256 == digest), None)

    def served(self, model: Path, setting: str = AUTO, stop: Stop = lambda: False) -> Path:
        """The file to load for a model: a copy, or the model itself. Makes the copy of a small model on the way.

        Never raises: whatever goes wrong, there is still the model itself.

        Args:
            model: a GGUF file.
            setting: `auto`, `as-is` or a format.
            stop: whether nobody waits any more.
        """
        if setting == AS_IS:
            return model
        try:
            return self._served(model, setting, Latch(stop).stopped)
        except NexusError as exc:
            logger.warning("%s is used as it is: %s", model.name, exc.message)
        except OSError as exc:
            logger.warning("%s is used as it is: %s", model.name, exc)
        return model

    def optimise(
        self, model: Path, form: str | None = None, report: Report = lambda _: None, stop: Stop = lambda: False
    ) -> WeightRecord:
        """Make and measure a copy, because a person asks. Without a format the fastest is made, and kept if it is worth it.

        Raises:
            InputError: there is no such format.
            ConflictError: the model is in the fastest format already.
            StorageError: the copy does not fit or may not be written.
            ModelFileError: the model cannot be converted.
            CancelledError: it took far too long, or `stop` said so.
        """
        if form is not None and form not in FILE_TYPES:
            raise InputError(f"{form!r} is no weight format.", hint=f"Choose one of {', '.join(FILE_TYPES)}.")
        header = read_gguf(model)
        source = header.commonest_type()
        chosen = form or self._fastest(source)
        if chosen is None or chosen.upper() == source:
            raise ConflictError(f"{model.name} ({source}) needs no copy.", hint="Its format is as fast here as any.")
        if header.integer("split.count") > 1:
            raise ConflictError(f"{model.name} is in several parts.", hint="Only models in one file are converted.")
        seconds = max(60.0, header.parameters / 1e6)
        return self._make(model, header, chosen, _Limits(seconds, 3.0, keep=form is not None, stop=stop, report=report))

    def restore(self, model: Path) -> WeightRecord:
        """Delete the copy of a model and remember to use it as it is.

        Raises:
            StorageError: it may not be deleted.
            ModelFileError: the model cannot be read.
        """
        old = self.record(model)
        self.remove(model)
        record = new_record(model, self._known.digest(model), AS_IS, "chosen by a person", {} if old is None else old.speeds)
        write_record(self._folder_for(model), record)
        return record

    def remove(self, model: Path) -> None:
        """Delete all copies of a model and what is known of them; the model itself may be gone already.

        Raises:
            StorageError: they may not be deleted.
        """
        for record in self._named(model):
            for folder in self._folders(model):
                delete_record(folder, record.source_sha256)

    def _served(self, model: Path, setting: str, stop: Stop) -> Path:
        record = self.record(model, stop)
        wanted = record.format if setting == AUTO and record is not None else setting
        if record is not None and wanted == record.format:
            if wanted == AS_IS:
                return model
            copy = self._copy_of(model, record)
            if copy is not None:
                # a file that was put there by somebody else is tried first
                Inspection(copy, self._known).require_model_unless(stop)
                return copy
        header = read_gguf(model)
        form = wanted if wanted != AUTO else self._fastest(header.commonest_type())
        if form is None or form.upper() == header.commonest_type() or not self._affordable(model, header, form):
            return model
        made = self._make_inline(model, header, form, _Limits(INLINE_S, measure_s=0.5, keep=setting != AUTO, stop=stop))
        return self._copy_of(model, made) or model

    def _fastest(self, source: str) -> str | None:
        machine = self._machine()
        return fastest_format(source, machine.cpu_flags, on_gpu=machine.llama_cpp_gpu and bool(machine.gpus))

    def _affordable(self, model: Path, header: GgufHeader, form: str) -> bool:
        if header.parameters > AUTO_PARAMETERS or header.integer("split.count") > 1:
            return False
        size = header.parameters * BYTES_A_WEIGHT[form]
        free = shutil.disk_usage(self._folder_for(model)).free
        return size <= MEMORY_SHARE * self._machine().memory_available and size <= DISK_SHARE * free

    def _make_inline(self, model: Path, header: GgufHeader, form: str, limits: _Limits) -> WeightRecord:
        """Make a copy while somebody waits. What cannot be converted, or only slowly, is not tried at every start."""
        try:
            return self._make(model, header, form, limits)
        except (ModelFileError, CancelledError) as exc:
            if not limits.stop():
                write_record(self._folder_for(model), new_record(model, self._known.digest(model), AS_IS, exc.message, {}))
            raise

    def _make(self, model: Path, header: GgufHeader, form: str, limits: _Limits) -> WeightRecord:
        folder, digest = self._folder_for(model), self._digest(model, limits.stop)
        target = folder / copy_name(digest, form)
        remove_stale(folder)
        with incoming(folder) as unfinished:
            written = target if target.is_file() else unfinished
            size = int(header.parameters * BYTES_A_WEIGHT[form])
            if written == unfinished:
                require_space(folder, size)
            job: dict[str, Json] = {"source": str(model.absolute()), "target": str(written), "format": form}
            job |= {"threads": self._machine().physical_cores, "measure_s": limits.measure_s}
            stop = _reporting(limits, written, size)
            record = _judged(model, digest, form, run_requantise(job, limits.seconds, stop), keep=limits.keep)
            if record.format != AS_IS:
                written.replace(target)  # of two processes that made it, either file is as good
        delete_copies(folder, digest, keep=record.format)
        self._forget_earlier(model, digest)
        write_record(folder, record)
        if record.format != AS_IS:  # measured, so it was loaded by a process of its own
            with suppress(CancelledError):  # the copy is whole; it is tried when it is used
                self._known.remember(self._digest(target, limits.stop))
        logger.info("%s is used %s: %s", model.name, record.format, record.reason)
        return record

    def _digest(self, file: Path, stop: Stop) -> str:
        try:
            return self._known.digest(file, stop)
        except InterruptedError:
            raise CancelledError(f"{file.name} was not read to its end, since nobody waited for it.") from None

    def _forget_earlier(self, model: Path, digest: str) -> None:
        """Delete the copies of files that had this name before."""
        for record in self._named(model):
            for folder in self._folders(model):
                with suppress(StorageError):
                    if record.source_sha256 != digest:
                        delete_record(folder, record.source_sha256)

    def _named(self, model: Path) -> Iterator[WeightRecord]:
        """The records of files of this name."""
        records = [record for folder in self._folders(model) for record in read_records(folder)]
        return (record for record in records if record.source_name == model.name)

    def _copy_of(self, model: Path, record: WeightRecord) -> Path | None:
        """The copy's file, if it is there and whole."""
        if record.copy_name is not None:
            for folder in self._folders(model):
                path = folder / record.copy_name
                if path.is_file() and path.stat().st_size == record.copy_size:
                    return path
        return None

    def _folders(self, model: Path) -> Iterator[Path]:
        yield model.absolute().parent / _FOLDER
        yield self._cache

    def _folder_for(self, model: Path) -> Path:
        """Where a new copy goes: beside the model, or into the cache where that may not be written to.

        Raises:
            StorageError: neither may.
        """
        for folder in self._folders(model):
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                if os.access(folder, os.W_OK):
                    return folder
        raise StorageError("There is no folder for copies of models.", hint="Make the models folder or the home writable.")


def _reporting(limits: _Limits, written: Path, size: int) -> Stop:
    """`limits.stop`, which also reports how much of a file of about this size is there."""

    def stop() -> bool:
        limits.report(min(1.0, written.stat().st_size / size) if written.exists() else 0.0)
        return limits.stop()

    return stop


def _judged(model: Path, digest: str, form: str, reply: Mapping[str, Json], *, keep: bool) -> WeightRecord:
    """The record of a copy that was made and measured: kept if it is worth it, or if a person wants it in any case."""
    before, after = speed_from_json(reply.get(AS_IS)), speed_from_json(reply.get(form))
    if before is None or after is None:
        raise ModelFileError(f"The speed of {model.name} could not be measured.", hint="Leave the model as it is.")
    gain = gains(before, after)
    worth_it = gain["among_many"] >= MIN_GAIN and gain["alone"] >= MIN_GAIN_ALONE
    reason = f"{form} is {gain['among_many']:.2f} × as fast with many requests at once, {gain['alone']:.2f} × with a single one"
    record = new_record(model, digest, form if keep or worth_it else AS_IS, reason, {AS_IS: before, form: after})
    if record.format == AS_IS:
        return record
    return record.with_copy(cast(int, reply["size"]), str(reply["sha256"]))
