"""What a model file and its adapters go through before llama.cpp sees them in this process.

The header is checked (`model_check`, `adapter_check`); then, unless the file is a default model or was found sound before, it
is loaded for the first time in a child process (`trial`), which may crash.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from engine.errors import AdapterError, CancelledError, ModelError, ModelFileError
from engine.llm.llamacpp.model_files.adapter_check import check_adapter_file
from engine.llm.llamacpp.model_files.known_files import KnownFiles
from engine.llm.llamacpp.model_files.model_check import check_model_file, mark_checked, parts_by_name
from engine.llm.llamacpp.model_files.trial_process import TrialProcess, failure, last_line
from engine.model_registry.file_hashes import Stamp, file_stamp

logger = logging.getLogger(__name__)

TRIAL = (sys.executable, "-P", "-m", "engine.llm.llamacpp.model_files.trial")
"""The command of a trial, to which the files and limits are added."""
LEAST_LIMIT_S = 60.0
"""A trial of a small model may take so long, on a machine that is busy with other work."""
BYTES_PER_S = 10_000_000
"""The slowest that a model is read from a disk; larger ones may take longer by this."""
_POLL_S = 0.05

_IN_MEMORY = KnownFiles(None)
"""Shared by all models of this process that were given no record of their own."""


class Inspection:
    """Lets one model and its adapters through once they are known to be sound. Safe to use from any thread."""

    def __init__(
        self,
        path: Path,
        known: KnownFiles | None = None,
        *,
        gpu_layers: int = 0,
        threads: int = 1,
        trial: Sequence[str] = TRIAL,
        limit_s: float | None = None,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            path: the model.
            known: which files were found to be sound; by default those of this process.
            gpu_layers: layers on the GPU in the trial, as they will be later.
            threads: processor threads of the trial.
            trial: the command of the trial.
            limit_s: how long a trial may take; by default it depends on the size of the file.
        """
        self._path = path
        self._known = known or _IN_MEMORY
        self._gpu_layers = gpu_layers
        self._threads = threads
        self._trial = tuple(trial)
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._passed: dict[Path, tuple[Stamp, ...]] = {}
        self._failed: dict[Path, tuple[tuple[Stamp, ...], ModelError]] = {}
        self._running = TrialProcess()

    def require_model(self) -> None:
        """Make sure that the model is sound. Quick where that is known; else its first load is tried, which takes seconds.

        Raises:
            ModelFileError: it is not.
            ModelError: `close` was called.
        """
        files = parts_by_name(self._path)
        self._require(self._path, files, self._inspect_model)

    def require_model_unless(self, stop: Callable[[], bool]) -> None:
        """Make sure that the model is sound, unless that is given up: then this is closed. Raises as `require_model` does, and:

        Args:
            stop: whether nobody waits any more; asked on this thread, several times a second.

        Raises:
            CancelledError: it was given up.
        """
        with ThreadPoolExecutor(1, "nexus-inspection") as thread:
            done = thread.submit(self.require_model)
            try:
                while not wait([done], _POLL_S).done:
                    if stop():
                        raise CancelledError(f"{self._path.name} was not checked to its end, since nobody waited for it.")
                done.result()
            finally:
                if not done.done():
                    self.close()

    def require_adapter(self, adapter: Path) -> None:
        """Make sure that an adapter is sound and works with the model. Raises as `require_model` does, and:

        Raises:
            AdapterError: the adapter is not sound, or was made for another model.
        """
        self.require_model()
        try:
            self._require(adapter, (adapter,), lambda: self._inspect_adapter(adapter))
        except ModelFileError as exc:
            hint = "Fine-tune again, or choose another."
            message = f"The adapter cannot be used: {exc.message}"
            raise AdapterError(message, hint=hint, retryable=exc.retryable) from exc

    def close(self) -> None:
        """End a trial that runs, at once. Nothing is let through any more."""
        self._running.stop()

    def _require(self, file: Path, files: Sequence[Path], inspect: Callable[[], None]) -> None:
        try:
            stamps = _stamps(files)
        except ModelFileError:
            if file in self._passed:
                return  # what is in memory can be used on; loading it again will say so
            raise
        if self._passed.get(file) == stamps:
            return
        with self._lock:
            if self._passed.get(file) != stamps:
                self._raise_if_hopeless(file, stamps)
                self._pass(file, stamps, inspect)
                if stamps != _stamps(files):
                    raise ModelFileError(f"{file.name} changed while it was checked.", hint="Try again.", retryable=True)
                self._passed[file] = stamps

    def _raise_if_hopeless(self, file: Path, stamps: tuple[Stamp, ...]) -> None:
        """No file is tried again that failed as it is now, unless the failure may pass."""
        if self._running.stopped:
            raise _closed()
        failed_as, error = self._failed.get(file, ((), None))
        if error is not None and failed_as == stamps:
            raise type(error)(error.message, hint=error.hint)

    def _pass(self, file: Path, stamps: tuple[Stamp, ...], inspect: Callable[[], None]) -> None:
        try:
            inspect()
        except InterruptedError:
            raise _closed() from None
        except ModelError as exc:
            if not exc.retryable:
                self._failed[file] = (stamps, exc)
            raise

    def _inspect_model(self) -> None:
        remembered = [self._known.recall(part) for part in parts_by_name(self._path)]
        if None in remembered or not self._known.is_sound(self._digest_of_model()):
            check_model_file(self._path)
            digest = self._digest_of_model()
            if not self._known.is_sound(digest):
                self._try(self._path, None)
                self._known.remember(digest)
        mark_checked(self._path)

    def _inspect_adapter(self, adapter: Path) -> None:
        check_adapter_file(adapter, self._path)
        pair = _joined([self._digest(adapter), self._digest_of_model()])
        if not self._known.is_sound(pair):
            self._try(adapter, adapter)
            self._known.remember(pair)

    def _digest_of_model(self) -> str:
        return _joined([self._digest(part) for part in parts_by_name(self._path)])

    def _digest(self, file: Path) -> str:
        return self._known.digest(file, lambda: self._running.stopped)

    def _try(self, file: Path, adapter: Path | None) -> None:
        """Load a file for the first time in a child process. An adapter's base is not put on the GPU a second time."""
        command = [*self._trial, str(self._path.absolute()), "--threads", str(self._threads)]
        command += ["--gpu-layers", str(self._gpu_layers if adapter is None else 0)]
        command += [] if adapter is None else ["--adapter", str(adapter.absolute())]
        size = sum(part.stat().st_size for part in parts_by_name(self._path))
        limit_s = self._limit_s or LEAST_LIMIT_S + size / BYTES_PER_S
        logger.info("Trying %s in a process of its own", file.name)
        status, output = self._running.run(command, limit_s)
        if self._running.stopped:
            raise InterruptedError
        if status != 0 or not last_line(output).get("ok"):
            raise failure(file.name, status, output, limit_s)


def _stamps(files: Sequence[Path]) -> tuple[Stamp, ...]:
    return tuple(file_stamp(part) for part in files)


def _closed() -> ModelError:
    return ModelError("The model was closed.", hint="Load it again.")


def remember_as_sound(known: KnownFiles, model: Path, adapter: Path | None = None) -> None:
    """Spare a file its trial that this program has made and checked itself: a model, or an adapter for a model.

    Raises:
        ModelFileError: a file cannot be read.
    """
    digests = [known.digest(part) for part in parts_by_name(model)]
    known.remember(_joined(digests) if adapter is None else _joined([known.digest(adapter), _joined(digests)]))


def _joined(digests: Sequence[str]) -> str:
    """One hash for several files; of a single one, its own."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
