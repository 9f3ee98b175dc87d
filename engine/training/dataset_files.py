"""Training examples from files: JSON Lines in the usual shapes, and CSV.

Each row is chat `messages`, ShareGPT `conversations`, Alpaca `instruction`/`input`/`output`, or `question`/`answer`. The
files are hostile input: size, lines and values are bounded, and every complaint names its line.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from engine.domain import Json, Message, Role
from engine.errors import InputError
from engine.training.data import TrainingExample

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_ROWS = 100_000
MAX_FIELD_CHARACTERS = 32_768
MAX_MESSAGES = 64

SHAPES_HINT = (
    "Each row needs `messages`, `conversations`, `instruction` and `output`, or `question` and `answer`; "
    "a CSV file needs the columns question and answer."
)
_ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
}


def read_examples(path: Path) -> tuple[TrainingExample, ...]:
    """Read a data-set file (`.jsonl`, `.json` with one value a line, or `.csv`).

    A conversation with several answers gives an example for each of them.

    Raises:
        InputError: the file is missing, too large, not UTF-8, or a line makes no sense.
    """
    try:
        examples = _examples_from_rows(read_rows(path))
    except InputError as exc:
        raise InputError(f"{path.name}, {exc.message}", hint=exc.hint) from exc
    if not examples:
        raise InputError(f"{path.name} holds no examples.", hint=SHAPES_HINT)
    return tuple(examples)


def read_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Json]]]:
    """(line number, row) of a data-set file: an object a line, or the columns of a CSV file by their names in lower case.

    Raises:
        InputError: the file is missing, too large, not UTF-8, or a line is not JSON or CSV.
    """
    text = _read_text(path)
    return _csv_rows(text) if path.suffix.lower() == ".csv" else _json_rows(text)


def examples_from_row(row: Mapping[str, Json]) -> tuple[TrainingExample, ...]:
    """The examples in one row, whichever of the known shapes it has.

    Raises:
        InputError: none of the shapes, or a value that is missing, empty or too long.
    """
    if "messages" in row:
        return _from_turns(row["messages"], role="role", content="content")
    if "conversations" in row:
        return _from_turns(row["conversations"], role="from", content="value")
    if "question" in row and "answer" in row:
        return (TrainingExample.from_pair(_text(row, "question"), _text(row, "answer")),)
    if "instruction" in row and "output" in row:
        context = _text(row, "input") if row.get("input") else ""
        question = "\n\n".join(part for part in (_text(row, "instruction"), context) if part)
        return (TrainingExample.from_pair(question, _text(row, "output")),)
    raise InputError("this is no known kind of example.", hint=SHAPES_HINT)


def _examples_from_rows(rows: Iterator[tuple[int, Mapping[str, Json]]]) -> list[TrainingExample]:
    """The examples of all rows; complaints begin with the line."""
    examples: list[TrainingExample] = []
    for line, row in rows:
        try:
            examples.extend(examples_from_row(row))
        except InputError as exc:
            raise InputError(f"line {line}: {exc.message}", hint=exc.hint) from exc
        if len(examples) > MAX_ROWS:
            raise InputError(f"line {line}: this makes more than {MAX_ROWS} examples.", hint="Split the file.")
    return examples


def _read_text(path: Path) -> str:
    """The whole file, bounded."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise InputError(f"{path.name} has {size} bytes; {MAX_FILE_BYTES} are allowed.", hint="Split it.")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InputError(f"{path.name} is not UTF-8 text (byte {exc.start}).", hint="Save it as UTF-8.") from exc
    except OSError as exc:
        raise InputError(f"{path.name} cannot be read: {exc.strerror}.", hint="Check the path.") from exc


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[str, Json]]]:
    """(line number, object) for each line that is not blank."""
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            value: Json = json.loads(content)
        except (ValueError, RecursionError) as exc:
            raise InputError(f"line {line} is not JSON: {str(exc)[:200]}", hint="Each line is one JSON object.") from exc
        if not isinstance(value, dict):
            raise InputError(f"line {line} is not a JSON object.", hint=SHAPES_HINT)
        yield line, value


def _csv_rows(text: str) -> Iterator[tuple[int, Mapping[str, Json]]]:
    """(line number, columns) for each row; column names in lower case."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = {name.strip().lower(): name for name in reader.fieldnames or ()}
        if not {"question", "answer"} <= names.keys():
            raise InputError("line 1: the columns question and answer are missing.", hint=SHAPES_HINT)
        for row in reader:
            yield reader.line_num, {key: row[name] or "" for key, name in names.items()}
    except csv.Error as exc:
        raise InputError(f"line {reader.line_num} is not CSV: {exc}", hint="Quote fields that hold commas or quotes.") from exc


def _from_turns(value: Json, *, role: str, content: str) -> tuple[TrainingExample, ...]:
    """An example for each answer of a conversation."""
    if not isinstance(value, list) or len(value) > MAX_MESSAGES:
        raise InputError(f"the conversation is not a list of at most {MAX_MESSAGES} messages.", hint=SHAPES_HINT)
    turns: list[Message] = []
    examples: list[TrainingExample] = []
    for item in value:
        if not isinstance(item, dict):
            raise InputError("a message is not an object.", hint=SHAPES_HINT)
        message = Message(_role(item.get(role)), _text(item, content))
        if message.role == "assistant" and any(turn.role == "user" for turn in turns):
            examples.append(TrainingExample(tuple(turns), message.content))
        turns.append(message)
    if not examples:
        raise InputError("the conversation has no answer to a user.", hint=SHAPES_HINT)
    return tuple(examples)


def _role(value: Json) -> Role:
    """A known role from a name."""
    role = _ROLES.get(value.lower()) if isinstance(value, str) else None
    if role is None:
        raise InputError(f"{str(value)[:40]!r} is no role.", hint=f"Use one of {', '.join(_ROLES)}.")
    return role


def _text(row: Mapping[str, Json], name: str) -> str:
    """A text value, stripped, that is there, not empty and not too long."""
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"`{name}` is missing, empty or not text.")
    if len(value) > MAX_FIELD_CHARACTERS:
        raise InputError(f"`{name}` has {len(value)} characters; {MAX_FIELD_CHARACTERS} are allowed.")
    return value.strip()
