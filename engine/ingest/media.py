"""What kind of document a file is: by its content first, then checked against its ending.

A file whose content and ending contradict each other is refused rather than guessed at: whoever named it so was mistaken
about what it holds, or wants us to be. Plain text has no signature, so for text the ending decides; a file with no ending
is read as what its content is.
"""

from __future__ import annotations

import codecs
import zipfile
from pathlib import Path, PurePath

from engine.errors import DocumentError
from engine.ingest.archive import ARCHIVE_ERRORS

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
EPUB = "application/epub+zip"
MARKDOWN = "text/markdown"
HTML = "text/html"
TEXT = "text/plain"
CSV = "text/csv"

SUFFIXES = {
    ".pdf": PDF,
    ".docx": DOCX,
    ".pptx": PPTX,
    ".xlsx": XLSX,
    ".epub": EPUB,
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".txt": TEXT,
    ".text": TEXT,
    ".csv": CSV,
    ".tsv": CSV,
}
SUPPORTED_SUFFIXES = tuple(SUFFIXES)
"""Endings of the files that can be read, in lower case, with the dot."""

_TITLES = {
    PDF: "a PDF",
    DOCX: "a Word document",
    PPTX: "a presentation (PPTX)",
    XLSX: "a workbook (XLSX)",
    EPUB: "an EPUB book",
}
_OFFICE_FOLDERS = {"word/": DOCX, "ppt/": PPTX, "xl/": XLSX}
_BINARY_WORKBOOK = "xl/workbook.bin"
_SIGNATURE_BYTES = 1024
_TEXT_BOMS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FOREIGN = (
    (b"\x89PNG", "a PNG image", "Text in images is not read. Add the document that holds the text."),
    (b"\xff\xd8\xff", "a JPEG image", "Text in images is not read. Add the document that holds the text."),
    (b"GIF8", "a GIF image", "Text in images is not read. Add the document that holds the text."),
    (b"{\\rtf", "a rich text (RTF) document", "Save it as DOCX or PDF and add that."),
    (b"\x7fELF", "a program", "Add the document that was meant."),
    (b"MZ\x90", "a program", "Add the document that was meant."),
    (b"\x1f\x8b", "a packed (gzip) file", "Unpack it and add what is inside."),
    (b"7z\xbc\xaf", "a packed (7z) file", "Unpack it and add what is inside."),
    (b"Rar!", "a packed (RAR) file", "Unpack it and add what is inside."),
    (b"SQLite format 3", "a database", "Export the table as CSV and add that."),
)


def detect_media_type(path: Path, name: str) -> str:
    """The media type of a file that is not empty.

    Args:
        path: the file.
        name: the name it was given, for its ending and for messages.

    Raises:
        DocumentError: unknown, contradictory, or a format that cannot be read.
        OSError: the disk refused.
    """
    with path.open("rb") as file:
        start = file.read(_SIGNATURE_BYTES)
    suffix = PurePath(name).suffix.lower()
    expected = SUFFIXES.get(suffix)
    found = _by_signature(path, name, start)
    if found is None:
        return _as_text(name, suffix, expected)
    if suffix and found != expected:
        right = next(ending for ending, media_type in SUFFIXES.items() if media_type == found)
        raise DocumentError(
            f"{name} is {_TITLES[found]}, which its ending {suffix!r} denies.", hint=f"Rename it to end in {right}."
        )
    return found


def _as_text(name: str, suffix: str, expected: str | None) -> str:
    if expected in _TITLES:
        raise DocumentError(
            f"{name} is not {_TITLES[expected]}, although its name says so.",
            hint="The file is damaged or has a wrong ending. Get a fresh copy, or rename it if it is plain text.",
        )
    if expected is None and suffix:
        raise DocumentError(
            f"{name} cannot be read: {suffix} files are not supported.", hint=f"Supported: {', '.join(SUPPORTED_SUFFIXES)}."
        )
    return expected or TEXT


def _by_signature(path: Path, name: str, start: bytes) -> str | None:
    """The media type that the first bytes prove; None for text, or bytes that only a closer look can tell from text."""
    if start.startswith(_TEXT_BOMS):
        return None
    for signature, title, hint in _FOREIGN:
        if start.startswith(signature):
            raise DocumentError(f"{name} is {title}, which cannot be read.", hint=hint)
    if start.startswith(_OLE):
        raise _old_office(path, name)
    if start.startswith(b"PK"):
        return _kind_of_archive(path, name)
    return PDF if b"%PDF-" in start and not _is_markup(start) else None


def _is_markup(start: bytes) -> bool:
    """Whether a text that merely speaks of `%PDF-` is at hand."""
    return not start.lstrip().startswith(b"%PDF-") and b"\0" not in start and start.isascii()


def _old_office(path: Path, name: str) -> DocumentError:
    with path.open("rb") as file:
        head = file.read(1024 * 1024)
    if "EncryptedPackage".encode("utf-16-le") in head:
        return DocumentError(f"{name} is protected by a password.", hint="Save a copy without a password and add that.")
    return DocumentError(
        f"{name} is in the old Office format of before 2007.", hint="Save it as DOCX, PPTX or XLSX and add that."
    )


def _kind_of_archive(path: Path, name: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except ARCHIVE_ERRORS as exc:
        raise DocumentError(
            f"{name} is damaged: its ZIP structure is broken or cut off.", hint="Get a fresh copy, or save it again."
        ) from exc
    if _BINARY_WORKBOOK in names:
        raise DocumentError(f"{name} is a binary workbook, which cannot be read.", hint="Save it as XLSX and add that.")
    for folder, media_type in _OFFICE_FOLDERS.items():
        if "[Content_Types].xml" in names and any(entry.startswith(folder) for entry in names):
            return media_type
    if "META-INF/container.xml" in names:
        return EPUB
    raise DocumentError(f"{name} is a ZIP archive, which cannot be read.", hint="Unpack it and add the documents inside.")
