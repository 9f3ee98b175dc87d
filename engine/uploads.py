"""Files that people hand over, kept in the home folder until their job has read them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from engine.config import Settings
from engine.domain import new_id
from engine.errors import DocumentError, InputError, NotFoundError, StorageError
from engine.ingest import safe_name
from engine.requests import StagedFile

PIECE = 1024 * 1024

LEFTOVER_AGE_S = 3600.0
"""Age from which on an upload without a job was left behind by a process that was killed."""


class Uploads:
    """The staging folder: each file in a folder of its own, under a harmless name."""

    def __init__(self, settings: Settings) -> None:
        self._home = settings.home
        self._folder = settings.home / "uploads"
        self._limit = int(settings.max_document_mb * 1_000_000)

    def stage_file(self, path: Path) -> StagedFile:
        """Copy a file of the file system.

        Raises:
            DocumentError: empty or too large.
            InputError: not a readable file.
            StorageError: no room.
        """
        if not path.is_file():
            raise InputError(f"{path} is not a file", hint="Give the path of a document.")
        try:
            with path.open("rb") as source:
                return self.stage(path.name, source)
        except PermissionError as exc:
            raise InputError(f"{path} cannot be read", hint="Check the file's permissions.") from exc

    def stage(self, name: str, source: BinaryIO) -> StagedFile:
        """Copy an upload.

        Raises:
            DocumentError: empty or too large.
            StorageError: no room.
        """
        folder = self._folder / new_id()
        target = folder / safe_name(name)
        try:
            folder.mkdir(parents=True)
            self._copy(name, source, target)
        except OSError as exc:
            shutil.rmtree(folder, ignore_errors=True)
            raise StorageError(f"cannot store {name}: {exc.strerror}", hint=f"Free some space for {self._home}.") from exc
        except DocumentError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return StagedFile(name=target.name, path=str(target.relative_to(self._home)))

    def path(self, staged: StagedFile) -> Path:
        """Where a staged file is.

        Raises:
            NotFoundError: it is gone, or was never inside the staging folder.
        """
        path = (self._home / staged.path).resolve()
        if not path.is_relative_to(self._folder.resolve()) or not path.is_file():
            raise NotFoundError(f"the upload {staged.name} is gone", hint="Hand the file over again.")
        return path

    def discard(self, staged: StagedFile) -> None:
        """Remove a staged file; one that is gone already is fine."""
        folder = (self._home / staged.path).resolve().parent
        if folder.parent == self._folder.resolve():
            shutil.rmtree(folder, ignore_errors=True)

    def remove_leftovers(self, wanted: Collection[str], *, older_than_s: float = LEFTOVER_AGE_S) -> int:
        """Remove files that no job will ask for again. Returns how many there were.

        Args:
            wanted: the paths, as in `StagedFile`, that jobs may still ask for.
            older_than_s: younger files are left alone: their job may be about to be submitted.
        """
        kept = {Path(path).parent.name for path in wanted}
        latest = time.time() - older_than_s
        folders = list(self._folder.iterdir()) if self._folder.is_dir() else []
        gone = [folder for folder in folders if folder.name not in kept and folder.stat().st_mtime <= latest]
        for folder in gone:
            shutil.rmtree(folder, ignore_errors=True)
        return len(gone)

    def _copy(self, name: str, source: BinaryIO, target: Path) -> None:
        size = 0
        with target.open("wb") as out:
            while piece := source.read(PIECE):
                size += len(piece)
                if size > self._limit:
                    limit_mb = self._limit / 1_000_000
                    raise DocumentError(
                        f"{name} is larger than {limit_mb:g} MB", hint="Split it, or raise NEXUS_MAX_DOCUMENT_MB."
                    )
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
        if size == 0:
            raise DocumentError(f"{name} is empty", hint="Check that the file was saved completely.")
