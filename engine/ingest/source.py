"""What a loader is given, and what it must be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from engine.domain import Page
from engine.errors import DocumentError
from engine.ingest.limits import Limits

PageCallback = Callable[[int, int | None], None]
"""Is told at each page which one it is, from 1, and of how many where that is known. What it raises ends the reading."""


def _untold(number: int, of: int | None) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a known media type. Loaders read it, and note in `warnings` what the person should know.

    `on_page` is told of each page; a PDF, where a single page may take minutes, does so itself.
    """

    path: Path
    name: str
    media_type: str
    limits: Limits
    warnings: list[str] = field(default_factory=list)
    on_page: PageCallback = _untold

    def read_bytes(self) -> bytes:
        """The whole file.

        Raises:
            DocumentError: the disk refused.
        """
        try:
            return self.path.read_bytes()
        except OSError as exc:
            raise DocumentError(
                f"{self.name} cannot be read: {exc.strerror}.", hint="Check the file and its permissions."
            ) from exc

    def check_page_count(self, count: int) -> None:
        """Raises DocumentError where a document has more pages than allowed."""
        if count > self.limits.max_pages:
            raise DocumentError(
                f"{self.name} has {count:,} pages; at most {self.limits.max_pages:,} are allowed.",
                hint="Split the document, or raise NEXUS_MAX_PAGES.",
            )

    def check_characters(self, count: int) -> None:
        """Raises DocumentError where a document holds more text than allowed."""
        if count > self.limits.max_characters:
            raise DocumentError(
                f"{self.name} holds more than {self.limits.max_characters:,} characters of text.", hint="Split the document."
            )

    def check_raw_characters(self, count: int) -> None:
        """Raises DocumentError where a file is longer than text could be that is within the limit without its white space."""
        self.check_characters(count // 2)

    def check_elements(self, count: int) -> None:
        """Raises DocumentError where a document has more tags, or what takes as much memory, than allowed."""
        if count > self.limits.max_elements:
            raise DocumentError(
                f"{self.name} is made of too many parts (tags, list items, cells) to be read.",
                hint="Split the document.",
            )

    def damaged(self, what: str) -> DocumentError:
        """The error for a file that claims to be something and cannot be read as that."""
        return DocumentError(f"{self.name} is damaged: {what}.", hint="Open it in the program that made it and save it again.")


class Loader(Protocol):
    """Reads one format."""

    def __call__(self, source: Source) -> Iterator[Page]:
        """The pages, in order. They may be empty; who calls checks that there is text and that the limits are kept.

        Raises:
            DocumentError: the file cannot be read; no other exception leaves a loader.
        """
        ...
