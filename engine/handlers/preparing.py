"""A fine-tune as a folder that holds all it needs, to be trained elsewhere: on a cluster, or a machine with more GPUs."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.errors import ConflictError, StorageError
from engine.handlers.finetuning_data import chosen_data
from engine.handlers.parts import Parts
from engine.requests import DataOptions
from engine.training.run_folder import RunSpec, write_run

CACHE = "cache"
"""In the folder: where the worker keeps the training copy of the base."""


def prepare_run(
    parts: Parts, run: RunSpec, base: Path, options: DataOptions, collection: str | None, dataset: Path | None
) -> None:
    """Write a run's folder with a copy of the base in it. See `Engine.prepare_finetune`.

    Args:
        parts: the engine's.
        run: what to do; its base is in the folder that is to be made.
        base: the base to copy.
        options: what is made of the pairs or rows.
        collection: the name of the one whose pairs are learnt.
        dataset: the file that is learnt instead.

    Raises:
        InputError: the file makes no sense.
        ConflictError: the folder is there already, or the collection has no pairs.
        NotFoundError: no such collection.
        StorageError: the disk refused.
    """
    folder = run.base_gguf.parent
    if folder.exists():
        raise ConflictError(f"{folder} is there already.", hint="Name a folder that is not there yet.")
    write_run(folder, run, chosen_data(parts, options, collection, dataset).examples)
    try:
        shutil.copyfile(base, run.base_gguf)
    except OSError as exc:
        raise StorageError(f"{base.name} could not be copied: {exc}", hint="Free some disk space.") from exc
