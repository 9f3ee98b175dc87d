"""EPUB books: the XHTML files inside, in reading order, so that headings and tables survive."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from urllib.parse import unquote

from engine.domain import Page
from engine.errors import DocumentError
from engine.ingest.archive import open_archive, read_entry
from engine.ingest.decoding import decode
from engine.ingest.markup import markup_pieces
from engine.ingest.source import Source
from engine.ingest.structure import paginate
from engine.ingest.xml_parts import parse_part

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_HTML_TYPES = ("application/xhtml+xml", "text/html")


def load_epub(source: Source) -> Iterator[Page]:
    """Pages of a book: one or more for each file of its reading order."""
    with open_archive(source) as archive:
        chapters = _reading_order(source, archive)
        _refuse_locked(source, archive, chapters)
        number = 0
        for chapter in chapters:
            markup = decode(source, read_entry(source, archive, chapter))
            for page in paginate(source, markup_pieces(source, markup)):
                number += 1
                yield Page(number, page.text, page.blocks)


def _reading_order(source: Source, archive: zipfile.ZipFile) -> list[str]:
    """Names of the archive's entries that the package document's spine lists."""
    rootfile = parse_part(source, archive, _CONTAINER).find(".//{*}rootfile")
    package = rootfile.get("full-path") if rootfile is not None else None
    if not package:
        raise source.damaged("it does not say where its contents are")
    root = parse_part(source, archive, package)
    folder = posixpath.dirname(package)
    items = {
        item.get("id", ""): posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
        for item in root.iterfind("{*}manifest/{*}item")
        if item.get("media-type") in _HTML_TYPES
    }
    listed = [items[ref] for itemref in root.iterfind("{*}spine/{*}itemref") if (ref := itemref.get("idref", "")) in items]
    present = set(archive.namelist())
    chapters = [name for name in dict.fromkeys(listed) if name in present]
    if len(chapters) < len(set(listed)):
        source.warnings.append("Some chapters that the book lists are missing from it.")
    return chapters


def _refuse_locked(source: Source, archive: zipfile.ZipFile, chapters: list[str]) -> None:
    """Fonts may be encrypted (obfuscated) in any book; chapters only where digital rights management locks them."""
    if _ENCRYPTION not in archive.namelist():
        return
    root = parse_part(source, archive, _ENCRYPTION)
    locked = {unquote(reference.get("URI", "")) for reference in root.iterfind(".//{*}CipherReference")}
    if locked.intersection(chapters):
        raise DocumentError(f"{source.name} is encrypted (copy protection).", hint="Add a copy without copy protection.")
