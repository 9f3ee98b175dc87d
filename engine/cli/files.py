"""Writing the files that a person asked for."""

from __future__ import annotations

from pathlib import Path

from engine.errors import StorageError


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8, with line ends as they are.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
    except OSError as exc:
        raise StorageError(f"cannot write {path}: {exc.strerror}", hint="Choose another path for --out.") from exc
