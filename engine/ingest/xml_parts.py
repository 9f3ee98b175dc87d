"""XML inside of archives from strangers: office documents and books."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from engine.errors import DocumentError
from engine.ingest.archive import ARCHIVE_ERRORS, read_entry
from engine.ingest.source import Source

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_MAX_TREE_BYTES = 16 * 1024 * 1024
"""A tree takes up to thirty times the memory of its text. Slides have some 100 kB, package documents of long books 1 MB."""
_FEED_BYTES = 64 * 1024


class Handler(Protocol):
    """Hears of a part's elements one after the other; tags and attributes are written `{namespace}name`."""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        ...

    def end(self, tag: str) -> None:
        """An element ends."""
        ...

    def data(self, text: str) -> None:
        """Text; long ones come in pieces."""
        ...


@dataclass(frozen=True, slots=True)
class Relationship:
    """What an office document's part refers to: the last word of the type's address, and the name of another part."""

    kind: str
    target: str


def local(name: str) -> str:
    """A tag or attribute without its namespace: office programs write the same names in several."""
    return name.rpartition("}")[2]


def parse_part(source: Source, archive: zipfile.ZipFile, name: str) -> Element:
    """A part as a tree.

    Raises:
        DocumentError: it is missing, damaged, too large for a tree, or declares entities.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if name in archive.namelist() and archive.getinfo(name).file_size > _MAX_TREE_BYTES:
        raise DocumentError(f"{source.name} was refused: its part {name!r} is too large.", hint="Split the document.")
    try:
        root: Element = fromstring(read_entry(source, archive, name))
    except DefusedXmlException as exc:
        raise _entities(source, name) from exc
    except (ParseError, ValueError, LookupError) as exc:
        raise source.damaged(f"its part {name!r} is not proper XML") from exc
    return root


def stream_part(source: Source, archive: zipfile.ZipFile, name: str, handler: Handler) -> Iterator[None]:
    """Let a handler hear a part of any size; yields now and then, for the caller to take what the handler has found.

    Raises:
        DocumentError: it is missing, damaged, or declares entities.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser

    parser = DefusedXMLParser(target=handler)
    try:
        with archive.open(name) as part:
            while block := part.read(_FEED_BYTES):
                parser.feed(block)
                yield
        parser.close()
    except DefusedXmlException as exc:
        raise _entities(source, name) from exc
    except ParseError as exc:
        raise source.damaged(f"its part {name!r} is not proper XML") from exc
    except ARCHIVE_ERRORS as exc:
        raise source.damaged(f"its part {name!r} is missing or broken") from exc


def relationships(source: Source, archive: zipfile.ZipFile, part: str) -> dict[str, Relationship]:
    """What a part refers to inside of the archive, by identifier; empty where it does not say."""
    folder, own = posixpath.split(part)
    listed = posixpath.join(folder, "_rels", f"{own}.rels")
    if listed not in archive.namelist():
        return {}
    return {
        item.get("Id", ""): Relationship(item.get("Type", "").rpartition("/")[2], _resolve(folder, item.get("Target", "")))
        for item in parse_part(source, archive, listed).iterfind("{*}Relationship")
        if item.get("TargetMode") != "External"
    }


def _resolve(folder: str, target: str) -> str:
    return posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")


def _entities(source: Source, name: str) -> DocumentError:
    return DocumentError(
        f"{source.name} was refused: its part {name!r} declares XML entities.",
        hint="No office program writes this. Save the document anew from a program you trust.",
    )
