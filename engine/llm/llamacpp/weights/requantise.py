"""Writes a model in another weight format, and measures both: `python -m engine.llm.llamacpp.weights.requantise JOB`.

A process of its own, so that the memory is given back, a hang can be ended, and a crash in native code takes nothing along. JOB
is JSON; the result is one line of JSON on standard output. It goes away when its standard input ends: that is when its parent
died.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from engine.child_process import claim_stdout, end_with_parent
from engine.domain import Json
from engine.errors import ModelFileError, NexusError, StorageError
from engine.llm.llamacpp.library import load_library
from engine.llm.llamacpp.weights.formats import AS_IS, FILE_TYPES
from engine.llm.llamacpp.weights.speed import measure
from engine.model_registry.gguf_file import read_gguf


def requantise(source: Path, target: Path, form: str, threads: int) -> None:
    """Write `source` to `target` in one of the formats that copies are kept in. Raises as `quantise` does."""
    quantise(source, target, form, FILE_TYPES[form], threads)


def quantise(source: Path, target: Path, form: str, file_type: int, threads: int) -> None:
    """Write `source` to `target` in another format, durably, with llama.cpp's own quantiser.

    Args:
        source: a GGUF model.
        target: where the new one goes.
        form: the format's name, for messages.
        file_type: llama.cpp's number of it (`llama_ftype`).
        threads: processor threads.

    Raises:
        StorageError: the file could not be written.
        ModelFileError: llama.cpp refuses the source.
    """
    library = load_library()
    params = library.llama_model_quantize_default_params()
    params.ftype, params.nthread = file_type, threads
    params.allow_requantize = True
    if library.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params)):
        if target.exists():  # it was opened, so what failed was most likely a write
            raise StorageError(f"{source.name} could not be written as {form}.", hint="Free some disk space and try again.")
        raise ModelFileError(f"llama.cpp cannot write {source.name} as {form}.", hint="Leave the model as it is.")
    with target.open("rb+") as file:
        os.fsync(file.fileno())
    if len(read_gguf(target).tensors) != len(read_gguf(source).tensors):
        raise ModelFileError(f"The copy of {source.name} is not complete.", hint="Leave the model as it is.")


def run(job: Mapping[str, Json]) -> dict[str, Json]:
    """Do a job: `source`, `target`, `format`, `threads`, and `measure_s`, the seconds for measuring.

    Raises:
        NexusError: the copy could not be made.
    """
    source, target, form, threads = Path(str(job["source"])), Path(str(job["target"])), str(job["format"]), job["threads"]
    assert isinstance(threads, int)  # noqa: S101  # our own parent wrote it
    if not target.exists():
        requantise(source, target, form, threads)
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    seconds = job["measure_s"]
    assert isinstance(seconds, int | float)  # noqa: S101
    before, after = measure([source, target], threads, seconds)
    return {"sha256": digest, "size": target.stat().st_size, AS_IS: before.to_json(), form: after.to_json()}


def main(arguments: list[str]) -> int:
    """Do the job that is the only argument; the exit status."""
    results = claim_stdout()
    end_with_parent()
    reply: dict[str, Json]
    try:
        reply = run(json.loads(arguments[0]))
    except NexusError as exc:
        reply = {"error": {**exc.info()}}  # type: ignore[dict-item]  # mypy reads a TypedDict's values as objects
    except OSError as exc:
        error = StorageError(f"The copy could not be written: {exc.strerror or exc}", hint="Free some disk space.")
        reply = {"error": {**error.info()}}  # type: ignore[dict-item]
    results.write(json.dumps(reply) + "\n")
    results.flush()
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    os._exit(status)  # the watching thread sits in a read
