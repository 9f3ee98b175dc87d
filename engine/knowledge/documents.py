"""Taking documents in, and giving them up again: their originals on disk, their text in the database."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from engine.config import Settings
from engine.db.repositories import Repositories
from engine.domain import Document, Page, utc_now
from engine.errors import DocumentError, NexusError, NotFoundError, StorageError
from engine.ingest import (
    SUPPORTED_SUFFIXES,
    Limits,
    OpenedDocument,
    PageCallback,
    chunk_spool,
    cut_pages,
    open_document,
    page_spool,
    safe_name,
)
from engine.ingest.spool import Spool
from engine.knowledge.sizing import Sizing, Sizings, estimated
from engine.observability.tracing import traced

log = logging.getLogger(__name__)

SPACE_FACTOR = 4
"""Free space that a document must find, in multiples of its size: for the original, its text, chunks, vectors and keywords."""
LEFTOVER_AGE_S = 3600.0
"""An older file that no row knows was left behind: what is being read is touched more often, however long that takes."""
TOUCH_EVERY_S = 60.0
"""How often the copy that is being read is marked as in use, where pages come that fast."""
_STAGING = ".incoming-"
_ORIGINAL = re.compile(r"[0-9a-f]{64}")
_COPY_BYTES = 1024 * 1024


class DocumentLibrary:
    """The documents of one home. Any number of threads and processes may add and remove at the same time."""

    def __init__(self, repositories: Repositories, settings: Settings, sizings: Sizings = estimated) -> None:
        """`sizings` says in whose tokens chunks are sized."""
        self._repositories = repositories
        self._settings = settings
        self._sizings = sizings
        self._folder = settings.documents_dir

    @traced("documents.add")
    def add(self, path: Path, collection_id: str, name: str | None = None, *, on_page: PageCallback | None = None) -> Document:
        """Take a document into a collection: all of it, or nothing.

        Args:
            path: the file; it is copied and may go away afterwards.
            collection_id: the collection that is to hold it.
            name: the name to show, where the file has another one.
            on_page: is told of each page that is read; what it raises ends the reading, and nothing is kept.

        Returns:
            The document. The same content twice is one document, under the name that it had first.

        Raises:
            NotFoundError: there is no such collection.
            DocumentError: the file cannot be read.
            StorageError: the disk is full or refused.
        """
        self._repositories.collections.get(collection_id)
        shown = safe_name(name or path.name)
        opened = open_document(path, name=shown, limits=Limits.from_settings(self._settings))
        sizing = self._sizing(shown, collection_id)
        with _disk_errors(self._folder), self._staged(path, opened) as staged, page_spool() as pages, chunk_spool() as chunks:
            # The copy is read, since nobody writes to that; before the database is written to, since reading takes its time.
            read = _kept(opened.pages(staged, on_page=_in_use(staged, on_page)), pages)
            for chunk in cut_pages(opened.id, read, target_tokens=self._settings.chunk_tokens, count=sizing.count):
                chunks.add(chunk)
            for warning in opened.warnings:
                log.warning("%s: %s", shown, warning)
            document = Document(
                opened.id, shown, opened.media_type, opened.size, len(pages), utc_now(), opened.warnings, sizing.model
            )
            target = self._folder / f"{document.id}{_suffix(shown)}"
            try:
                return self._repositories.documents.add(
                    document,
                    pages,
                    chunks,
                    collection_id=collection_id,
                    before_commit=lambda: _move(staged, target),
                )
            except (NexusError, OSError):
                # The original may have been put in place before the commit failed.
                self._repositories.documents.if_absent(document.id, lambda: target.unlink(missing_ok=True))
                raise

    @traced("documents.remove")
    def remove(self, document_id: str, collection_id: str) -> None:
        """Take a document out of a collection, with the FAQ pairs made from it. The last collection takes the file along.

        Raises:
            NotFoundError: there is no such document.
            StorageError: the database or the disk refused.
        """
        self._repositories.documents.get(document_id)
        self._repositories.collections.remove_document(collection_id, document_id)
        for unused in self._repositories.documents.remove_unused():
            self._forget_original(unused)

    def original(self, document_id: str) -> Path:
        """The file that a document was read from.

        Raises:
            NotFoundError: it is not there.
        """
        path = next(self._folder.glob(f"{document_id}*"), None) if _ORIGINAL.fullmatch(document_id) else None
        if path is None:
            raise NotFoundError(f"the original of document {document_id} is gone", hint="Add the document again.")
        return path

    def remove_leftovers(self, *, older_than_s: float = LEFTOVER_AGE_S) -> int:
        """Remove files that an interrupted process left behind. Returns how many there were.

        Younger files are left alone: another process may be taking a document in at this moment.
        """
        known = {document.id for document in self._repositories.documents.list()}
        latest = time.time() - older_than_s
        files = [path for path in self._folder.glob("*") if _modified(path) <= latest] if self._folder.is_dir() else []
        removed = 0
        for path in files:
            if path.name.startswith(_STAGING):
                path.unlink(missing_ok=True)
                removed += 1
            elif (match := _ORIGINAL.match(path.name)) and match[0] not in known:
                self._forget_original(match[0])
                removed += 1
        return removed

    def _sizing(self, name: str, collection_id: str) -> Sizing:
        """In whose tokens to size a document: a new version in those of the old one, so that what is unchanged is cut alike."""
        versions = [document for document in self._repositories.documents.list(collection_id) if document.name == name]
        return self._sizings(versions[-1].sized_by if versions else None)

    @contextmanager
    def _staged(self, path: Path, opened: OpenedDocument) -> Iterator[Path]:
        """A copy of the original under a passing name, brought to the disk; gone at the end unless it was moved away."""
        self._folder.mkdir(parents=True, exist_ok=True)
        _check_space(self._folder, opened)
        staged = self._folder / f"{_STAGING}{uuid.uuid4().hex}"
        try:
            if _copy(path, staged) != opened.id:
                raise DocumentError(f"{opened.name} changed while it was read.", hint="Add it again when nothing writes to it.")
            yield staged
        finally:
            staged.unlink(missing_ok=True)

    def _forget_original(self, document_id: str) -> None:
        def unlink() -> None:
            for path in self._folder.glob(f"{document_id}*"):
                path.unlink(missing_ok=True)

        self._repositories.documents.if_absent(document_id, unlink)


def _kept(pages: Iterable[Page], spool: Spool[Page]) -> Iterator[Page]:
    """The pages, each put into the spool as it goes by."""
    for page in pages:
        spool.add(page)
        yield page


def _in_use(staged: Path, on_page: PageCallback | None) -> PageCallback:
    """Keeps a staged copy from looking like a leftover while its pages are read."""
    touched = time.monotonic()

    def tell(number: int, of: int | None) -> None:
        nonlocal touched
        if time.monotonic() - touched >= TOUCH_EVERY_S:
            touched = time.monotonic()
            os.utime(staged)
        if on_page is not None:
            on_page(number, of)

    return tell


def _modified(path: Path) -> float:
    """When a file was last written; never, in effect, for one that is gone by now."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _suffix(name: str) -> str:
    """The ending of a stored original: a known one, or none."""
    suffix = PurePath(name).suffix.lower()
    return suffix if suffix in SUPPORTED_SUFFIXES else ""


def _move(staged: Path, target: Path) -> None:
    staged.replace(target)


def _check_space(folder: Path, opened: OpenedDocument) -> None:
    needed, free = opened.size * SPACE_FACTOR, shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{opened.name} needs about {needed / 1e6:,.1f} MB of disk space; {free / 1e6:,.1f} MB are free.",
            hint=f"Free some space for {folder}, or choose another --home.",
            retryable=True,
        )


def _copy(path: Path, target: Path) -> str:
    """Copy a file durably. Returns the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    with path.open("rb") as source, target.open("xb") as copy:
        while block := source.read(_COPY_BYTES):
            digest.update(block)
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest()


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError("the disk is full", hint=f"Free some space for {folder} and try again.", retryable=True) from exc
        raise StorageError(
            f"{folder} cannot be written: {exc.strerror or exc}", hint="Check the folder's permissions."
        ) from exc
