"""Training examples from files: JSON in the usual shapes, and tables.

Each row is chat `messages`, ShareGPT `conversations`, Alpaca `instruction`/`input`/`output`, or `question`/`answer`, which
may have other names (`columns`). How files are read is a matter of `tables`. Values are bounded, and every complaint names
its line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from engine.csv_export import cell_text
from engine.domain import Json, Message, Role
from engine.errors import InputError
from engine.requests import ColumnRole
from engine.training.datasets.columns import REQUIRED, guessed_columns, listed, mapped_columns
from engine.training.datasets.examples import TrainingExample
from engine.training.datasets.tables import Rows, Table, is_table, json_rows, read_table, read_text, row_noun

MAX_ROWS = 100_000
MAX_FIELD_CHARACTERS = 32_768
MAX_MESSAGES = 64
_MAX_GROUP_CHARACTERS = 200

SHAPES_HINT = (
    "Each row needs `messages`, `conversations`, `instruction` and `output`, or `question` and `answer`; "
    "a CSV file needs the columns question and answer. Columns of other names can be given."
)
_ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
}

Columns = Mapping[ColumnRole, str]
"""Names of columns, or of the fields of JSON objects, by what they are."""


def read_examples(path: Path, columns: Columns | None = None) -> tuple[TrainingExample, ...]:
    """Read a data-set file: `.csv` or `.tsv`, else JSON Lines or one JSON list.

    A conversation with several answers gives an example for each of them, all in one group.

    Args:
        path: the file.
        columns: which columns count. What is not named is found by common names.

    Raises:
        InputError: the file is missing, too large, not UTF-8, or a line makes no sense.
    """
    try:
        text = read_text(path)
        examples = _from_table(text, columns) if is_table(path) else _from_objects(text, columns)
    except InputError as exc:
        message = exc.message if exc.message.startswith(path.name) else f"{path.name}, {exc.message}"
        raise InputError(message, hint=exc.hint) from exc
    if not examples:
        raise InputError(f"{path.name} holds no examples.", hint=SHAPES_HINT)
    return tuple(examples)


def read_columns(path: Path) -> tuple[str, ...]:
    """The columns of a table, or the fields of the first object of a JSON file, for a person to choose from.

    Raises:
        InputError: the file cannot be read.
    """
    text = read_text(path)
    return _table(text).columns if is_table(path) else next((tuple(row) for _, row in json_rows(text)), ())


def read_rows(path: Path) -> Rows:
    """(line number, row) of a data-set file: its objects, or the columns of a table by their names in lower case.

    Raises:
        InputError: the file is missing, too large, not UTF-8, a line is not JSON or CSV, or a table has no columns `question`
            and `answer`.
    """
    text = read_text(path)
    return _named_rows(_table(text)) if is_table(path) else json_rows(text)


def examples_from_row(row: Mapping[str, Json], columns: Columns | None = None) -> tuple[TrainingExample, ...]:
    """The examples in one row, whichever of the known shapes it has. Where columns are given, those decide.

    Raises:
        InputError: none of the shapes, or a value that is missing, empty or too long.
    """
    if not columns and "messages" in row:
        found = _from_turns(row["messages"], role="role", content="content")
    elif not columns and "conversations" in row:
        found = _from_turns(row["conversations"], role="from", content="value")
    else:
        return (_from_fields(row, mapped_columns(list(row), _in_row(row, columns or {}))),)
    system, group = _optional(row, "system"), _group(row, "group")
    return tuple(replace(example, prompt=_instructed(example.prompt, system), group=group) for example in found)


def _in_row(row: Mapping[str, Json], columns: Columns) -> Columns:
    """The columns without those that an object may leave out, and does."""
    return {role: name for role, name in columns.items() if role in REQUIRED or name in row}


def _from_objects(text: str, columns: Columns | None) -> list[TrainingExample]:
    return _collected(json_rows(text), lambda row: examples_from_row(row, columns), row_noun(text))


def _from_table(text: str, columns: Columns | None) -> list[TrainingExample]:
    table = _table(text, columns)
    try:
        mapped = mapped_columns(table.columns, columns)
    except InputError as exc:
        raise InputError(f"line 1: {exc.message}", hint=exc.hint) from exc

    def example(row: Mapping[str, Json]) -> tuple[TrainingExample, ...]:
        return (_from_fields({name: cell_text(str(cell)) for name, cell in row.items()}, mapped),)

    return _collected(table.rows, example, "line")


def _collected(
    rows: Iterable[tuple[int, Mapping[str, Json]]],
    examples_of: Callable[[Mapping[str, Json]], tuple[TrainingExample, ...]],
    noun: str,
) -> list[TrainingExample]:
    """The examples of all rows; complaints begin with the row's number. Several of one row are one group."""
    examples: list[TrainingExample] = []
    for number, row in rows:
        try:
            found = examples_of(row)
        except InputError as exc:
            raise InputError(f"{noun} {number}: {exc.message}", hint=exc.hint or SHAPES_HINT) from exc
        together = f"{noun} {number}" if len(found) > 1 else ""
        examples.extend(replace(example, group=example.group or together) for example in found)
        if len(examples) > MAX_ROWS:
            raise InputError(f"{noun} {number}: this makes more than {MAX_ROWS} examples.", hint="Split the file.")
    return examples


def _table(text: str, columns: Columns | None = None) -> Table:
    """A table, with the delimiter that makes sense of most of its columns."""
    wanted = {name.strip().casefold() for name in (columns or {}).values()}
    return read_table(text, lambda header: len({*guessed_columns(header).values(), *_among(header, wanted)}))


def _among(header: Iterable[str], wanted: set[str]) -> list[str]:
    return [name for name in header if name.casefold() in wanted]


def _named_rows(table: Table) -> Rows:
    """The rows of a table by its columns in lower case."""
    if not {"question", "answer"} <= {name.lower() for name in table.columns}:
        raise InputError(f"line 1: the columns question and answer are missing; {listed(table.columns)}.", hint=SHAPES_HINT)
    for line, row in table.rows:
        yield line, {name.lower(): value for name, value in row.items()}


def _from_fields(row: Mapping[str, Json], columns: Columns) -> TrainingExample:
    """The example of one question; what it is about (Alpaca's `input`) goes after it."""
    context = _optional(row, columns.get("context"))
    question = "\n\n".join(part for part in (_text(row, columns["question"]), context) if part)
    prompt = _instructed((Message("user", question),), _optional(row, columns.get("system")))
    return TrainingExample(prompt, _text(row, columns["answer"]), _group(row, columns.get("group")))


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


def _instructed(prompt: tuple[Message, ...], system: str) -> tuple[Message, ...]:
    """A prompt with a system message in front, unless there is none to give or one there already."""
    return prompt if not system or prompt[0].role == "system" else (Message("system", system), *prompt)


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
    return _whole(value).strip()


def _optional(row: Mapping[str, Json], name: str | None) -> str:
    """A text value that may be missing; empty where it is, or where it is no text."""
    value = None if name is None else row.get(name)
    return _text(row, str(name)) if isinstance(value, str) and value.strip() else ""


def _group(row: Mapping[str, Json], name: str | None) -> str:
    value = None if name is None else row.get(name)
    return _whole(value).strip()[:_MAX_GROUP_CHARACTERS] if isinstance(value, str) else ""


def _whole(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can name and no file or page can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
