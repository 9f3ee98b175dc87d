"""Reading a document: the way in for every format."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from engine.domain import Page
from engine.errors import DocumentError
from engine.ingest import media
from engine.ingest.legibility import is_mojibake
from engine.ingest.limits import Limits
from engine.ingest.loaders import LOADERS
from engine.ingest.source import PageCallback, Source
from engine.ingest.text import numbered

_HASH_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """A document as it was read.

    `id` is the SHA-256 of the file's bytes; `warnings` say what the person should know although the document could be read.
    """

    name: str
    media_type: str
    id: str
    size: int
    pages: tuple[Page, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenedDocument:
    """A file that may be read: it is there, not too large, and of a supported format.

    `id` is the SHA-256 of its bytes.
    """

    name: str
    media_type: str
    id: str
    size: int
    _source: Source

    def pages(self, copy: Path | None = None, *, on_page: PageCallback | None = None) -> Iterator[Page]:
        """Read the pages, one after the other; no more than one of them is held in memory.

        Args:
            copy: a copy of the file to read instead.
            on_page: is told of each page; what it raises ends the reading. Hours may go by before the first page comes out
                (a scan), but not before it is told.

        Raises:
            DocumentError: the file cannot be read: encrypted, damaged, a ZIP bomb, too long, or without text. Some pages may
                have come before that.
        """
        source = replace(self._source, path=copy or self._source.path, on_page=on_page or self._source.on_page)
        return _checked(source, LOADERS[self.media_type](source))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the person should know although the document could be read; complete once all pages were read."""
        return tuple(dict.fromkeys(self._source.warnings))


def open_document(path: Path, *, name: str | None = None, limits: Limits = Limits()) -> OpenedDocument:
    """Look at a file of any supported format, for its pages to be read one by one.

    Args:
        path: the file. Its content is taken to be hostile.
        name: the name to show and to take the ending from, where the file is stored under another one.
        limits: what is too much.

    Raises:
        DocumentError: the file is missing, empty, too large, or of another kind than it says.
    """
    shown = name or path.name
    try:
        size = _check_file(path, shown, limits)
        digest = _sha256(path)
        media_type = media.detect_media_type(path, shown)
    except OSError as exc:
        raise DocumentError(
            f"{shown} cannot be read: {exc.strerror or exc}.", hint="Check the path and its permissions."
        ) from exc
    return OpenedDocument(shown, media_type, digest, size, Source(path, shown, media_type, limits))


def read_document(path: Path, *, name: str | None = None, limits: Limits = Limits()) -> LoadedDocument:
    """Read a file of any supported format, with all its pages in memory.

    Args:
        path: the file. Its content is taken to be hostile.
        name: the name to show and to take the ending from, where the file is stored under another one.
        limits: what is too much.

    Raises:
        DocumentError: the file cannot be read: missing, empty, too large, of another kind than it says, encrypted, damaged,
            a ZIP bomb, or without text. The message says which, the hint what to do.
    """
    opened = open_document(path, name=name, limits=limits)
    pages = tuple(opened.pages())
    return LoadedDocument(opened.name, opened.media_type, opened.id, opened.size, pages, opened.warnings)


def _check_file(path: Path, name: str, limits: Limits) -> int:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DocumentError(f"{name} is not a file.", hint="Name the document itself, not a folder or a device.")
    if status.st_size == 0:
        raise DocumentError(f"{name} is empty (0 bytes).", hint="The copy or download may have failed. Get a fresh copy.")
    if status.st_size > limits.max_bytes:
        raise DocumentError(
            f"{name} is too large: {status.st_size / 1e6:,.1f} MB; at most {limits.max_bytes / 1e6:,.1f} MB are allowed.",
            hint="Split the document, or raise NEXUS_MAX_DOCUMENT_MB.",
        )
    return status.st_size


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _checked(source: Source, pages: Iterator[Page]) -> Iterator[Page]:
    """The pages, as long as they keep the limits; an error in the end when there was no word on any of them."""
    characters, count, has_words = 0, 0, False
    garbled: list[int] = []
    for count, page in enumerate(pages, start=1):
        if source.media_type != media.PDF:
            source.on_page(count, None)
        source.check_page_count(count)
        characters += len(page.text)
        source.check_characters(characters)
        has_words = has_words or any(map(str.isalnum, page.text))
        if is_mojibake(page.text) and source.media_type != media.PDF:  # PDFs have their own ways to be garbled
            garbled.append(page.number)
        yield page
    if count == 0:
        raise DocumentError(f"{source.name} holds no pages with text.", hint="Check that the right file was chosen.")
    if not has_words:
        raise DocumentError(f"{source.name} holds no text.", hint="Check that the right file was chosen.")
    if garbled:
        source.warnings.append(
            f"The text of {numbered('page', garbled)} looks garbled (Ã¤ for ä): save the original as UTF-8 and add that."
        )
