"""How much of a document is too much."""

from __future__ import annotations

from dataclasses import dataclass

from engine.config import Settings

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that a document must keep, so that a hostile one cannot exhaust memory or disk.

    `max_bytes` is the size of the file. The next three hold for formats that are ZIP archives (Office, EPUB): bytes after
    unpacking, unpacked bytes for each packed one, and number of entries. Office XML packs about 10:1 to 50:1 and a bomb
    1000:1 (the most that DEFLATE can do), hence 200. `max_characters` bounds the text that was read. `max_elements` bounds what
    is held in memory as a tree while a document is read: tags of HTML, a chapter of a book, or Markdown. A tag takes about
    0.7 kB; the longest specifications on the web have a million.
    """

    max_bytes: int = 100 * MEBIBYTE
    max_pages: int = 5000
    max_expanded_bytes: int = 256 * MEBIBYTE
    max_expansion_ratio: float = 200.0
    max_archive_entries: int = 10_000
    max_characters: int = 20_000_000
    max_elements: int = 1_500_000

    @classmethod
    def from_settings(cls, settings: Settings) -> Limits:
        """The limits that this installation sets; the rest keep their defaults."""
        return cls(max_bytes=int(settings.max_document_mb * 1_000_000), max_pages=settings.max_pages)
