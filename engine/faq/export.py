"""Writing pairs to files for people and for other programs."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from engine.csv_export import to_csv
from engine.domain import FaqPair
from engine.errors import InputError, StorageError

FIELDS = ("id", "question", "answer", "quote", "document", "page", "heading", "score", "status", "reason", "model")
"""What an export has of each pair, in this order."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~])")


def export_pairs(pairs: Iterable[FaqPair], path: Path, kind: str) -> int:
    """Write pairs to `path`, all or nothing; a file that is there is replaced.

    Args:
        pairs: what to write.
        path: the file; its folder must exist.
        kind: `jsonl`, `csv` or `md`.

    Returns:
        How many pairs were written.

    Raises:
        InputError: there is no such kind.
        StorageError: the file cannot be written.
    """
    if kind not in FORMATS:
        raise InputError(f"There is no export format called {kind!r}.", hint=f"Use one of: {', '.join(sorted(FORMATS))}.")
    rows = list(pairs)
    _write_atomically(path, FORMATS[kind](rows))
    return len(rows)


def to_jsonl(pairs: Iterable[FaqPair]) -> str:
    """One JSON object a line, with the keys of `FIELDS`."""
    return "".join(json.dumps({name: getattr(pair, name) for name in FIELDS}, ensure_ascii=False) + "\n" for pair in pairs)


def pairs_to_csv(pairs: Iterable[FaqPair]) -> str:
    """A CSV file with a header; see `engine.csv_export.to_csv`."""
    return to_csv(FIELDS, ([getattr(pair, name) for name in FIELDS] for pair in pairs))


def to_markdown(pairs: Iterable[FaqPair]) -> str:
    """A page to read: a heading for each question, the answer, and the quote with its source. Nothing in it is live markup."""
    parts = ["# Questions and answers\n"]
    for pair in pairs:
        page = f", page {pair.page}" if pair.page is not None else ""
        source = " — ".join(_plain(part) for part in (f"{pair.document}{page}", pair.heading) if part)
        lines = [f"## {_plain(pair.question)}", _plain(pair.answer)]
        if pair.quote:
            lines.append(f"> {_plain(pair.quote)}")
        lines.append(f"Source: {source or 'none'}. Score {pair.score:.2f}, {pair.status}, {_plain(pair.model)}.")
        parts.append("\n\n".join(lines) + "\n")
    return "\n".join(parts)


FORMATS: dict[str, Callable[[Iterable[FaqPair]], str]] = {"jsonl": to_jsonl, "csv": pairs_to_csv, "md": to_markdown}
"""Each export format and what writes it."""


def _plain(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _write_atomically(path: Path, text: str) -> None:
    """Write beside the file and rename, so that nobody ever sees half of it."""
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except OSError as exc:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise StorageError(
            f"{path.name} could not be written: {exc.strerror}.", hint="Check the folder, its rights and space."
        ) from exc
