"""Writing pairs to files for people and for other programs. Every format keeps where a pair comes from and how good it is."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from engine.csv_export import to_csv
from engine.domain import FaqPair, FaqQuery, FaqStatus, Json
from engine.errors import InputError, StorageError
from engine.faq.export_pages import to_html, to_json_ld, to_markdown

__all__ = ["EXPORTED", "FIELDS", "FORMATS", "export_pairs", "pair_record", "pairs_to_csv", "to_chat", "to_jsonl"]

EXPORTED = FaqQuery(statuses=frozenset({FaqStatus.PENDING, FaqStatus.APPROVED}))
"""What an export has unless somebody chooses otherwise: all but rejected pairs."""

FIELDS = (
    "id",
    "question",
    "answer",
    "quote",
    "document",
    "page",
    "heading",
    "score",
    "status",
    "reason",
    "model",
    "parts",
    "origin",
    "language",
    "place",
    "document_id",
    "duplicate_of",
)
"""What JSONL and CSV have of each pair, in this order."""

_LINE_ENDS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""Characters that are no line ends in JSON, and are for many programs that read lines."""


def export_pairs(pairs: Iterable[FaqPair], path: Path, kind: str) -> int:
    """Write pairs to `path`, all or nothing; a file that is there is replaced.

    Args:
        pairs: what to write.
        path: the file; its folder must exist.
        kind: one of `FORMATS`.

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


def pair_record(pair: FaqPair) -> dict[str, Json]:
    """A pair as JSON, with the keys of `FIELDS`."""
    record: dict[str, Json] = {name: getattr(pair, name) for name in FIELDS}
    parts: dict[str, Json] = dict(pair.parts)
    place: Json = None if pair.place is None else json.loads(json.dumps(asdict(pair.place)))
    return {**record, "status": pair.status.value, "parts": parts, "place": place}


def to_jsonl(pairs: Iterable[FaqPair]) -> str:
    """One JSON object a line, with the keys of `FIELDS`."""
    return "".join(f"{_json(pair_record(pair))}\n" for pair in pairs)


def to_chat(pairs: Iterable[FaqPair]) -> str:
    """Chat messages to fine-tune on, one conversation a line, as Chat sends them; `source` has the other fields."""
    from engine.training.datasets.examples import TrainingExample

    lines = []
    for pair in pairs:
        source = {name: value for name, value in pair_record(pair).items() if name not in ("question", "answer")}
        lines.append(_json({**TrainingExample.from_pair(pair.question, pair.answer).to_json(), "source": source}))
    return "".join(f"{line}\n" for line in lines)


def pairs_to_csv(pairs: Iterable[FaqPair]) -> str:
    """A CSV file with a header; `parts` and `place` are JSON. See `engine.csv_export.to_csv`."""
    return to_csv(FIELDS, ([_cell(value) for value in pair_record(pair).values()] for pair in pairs))


FORMATS: dict[str, Callable[[Iterable[FaqPair]], str]] = {
    "jsonl": to_jsonl,
    "csv": pairs_to_csv,
    "md": to_markdown,
    "html": to_html,
    "jsonld": to_json_ld,
    "chat": to_chat,
}
"""Each export format and what writes it."""


def _cell(value: Json) -> Json:
    return _json(value) if isinstance(value, dict) else value


def _json(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    for character, escape in _LINE_ENDS.items():
        text = text.replace(character, escape)
    return text


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
