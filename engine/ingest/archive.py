"""ZIP archives from strangers: looked at before anything is unpacked."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import DocumentError
from engine.ingest.source import Source

_MIN_BOMB_BYTES = 1024 * 1024
"""Below this the ratio says nothing: a short run of spaces packs as well as a bomb."""
_ENCRYPTED_FLAG = 0x1
_READ_BYTES = 256 * 1024
_XML = (".xml", ".rels")
ARCHIVE_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError, KeyError)
"""What `zipfile` raises on damaged or odd archives."""


@contextmanager
def open_archive(source: Source) -> Iterator[zipfile.ZipFile]:
    """Open an archive whose directory keeps the limits.

    `zipfile` never unpacks more of an entry than the directory says, so that the directory's figures can be relied on.

    Raises:
        DocumentError: damaged, encrypted, or a ZIP bomb.
    """
    try:
        archive = zipfile.ZipFile(source.path)
    except ARCHIVE_ERRORS as exc:
        raise source.damaged("its ZIP structure is broken or cut off") from exc
    with archive:
        _check(source, archive.infolist())
        yield archive


def read_entry(source: Source, archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of one entry.

    Raises:
        DocumentError: it is missing or damaged.
    """
    try:
        return archive.read(name)
    except ARCHIVE_ERRORS as exc:
        raise source.damaged(f"its part {name!r} is missing or broken") from exc


def refuse_document_types(source: Source, archive: zipfile.ZipFile) -> None:
    """Raise DocumentError where an XML part declares a document type: entities expand without bound or reach for other files.

    Office writes none. The markup `<!DOCTYPE` cannot occur in XML text, where `<` is escaped.
    """
    for name in archive.namelist():
        if name.lower().endswith(_XML) and _declares_type(source, archive, name):
            raise DocumentError(
                f"{source.name} was refused: its part {name!r} declares XML entities.",
                hint="No office program writes this. Save the document anew from a program you trust.",
            )


def count_tags(source: Source, archive: zipfile.ZipFile) -> int:
    """How many tags all XML parts have together.

    Raises:
        DocumentError: a part is damaged.
    """
    parts = (name for name in archive.namelist() if name.lower().endswith(_XML))
    return sum(block.count(b"<") for name in parts for block in _blocks(source, archive, name))


def _declares_type(source: Source, archive: zipfile.ZipFile, name: str) -> bool:
    needles = [text.encode(encoding) for text in ("<!DOCTYPE", "<!ENTITY") for encoding in ("ascii", "utf-16-le", "utf-16-be")]
    tail = b""
    for block in _blocks(source, archive, name):
        window = tail + block
        if any(needle in window for needle in needles):
            return True
        tail = window[-32:]
    return False


def _blocks(source: Source, archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    try:
        with archive.open(name) as part:
            while block := part.read(_READ_BYTES):
                yield block
    except ARCHIVE_ERRORS as exc:
        raise source.damaged(f"its part {name!r} is broken") from exc


def _check(source: Source, entries: list[zipfile.ZipInfo]) -> None:
    if any(entry.flag_bits & _ENCRYPTED_FLAG for entry in entries):
        raise DocumentError(f"{source.name} is protected by a password.", hint="Save a copy without a password and add that.")
    limits = source.limits
    expanded = sum(entry.file_size for entry in entries)
    packed = max(1, min(sum(entry.compress_size for entry in entries), source.path.stat().st_size))
    bomb = expanded > _MIN_BOMB_BYTES and expanded / packed > limits.max_expansion_ratio
    if bomb or expanded > limits.max_expanded_bytes or len(entries) > limits.max_archive_entries:
        raise DocumentError(
            f"{source.name} was refused: it would unpack to {expanded / 1e6:,.0f} MB in {len(entries):,} parts (a ZIP bomb?).",
            hint="If the document is genuine, save it in parts or as PDF.",
        )
