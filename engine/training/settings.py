"""The settings of a fine-tune as a person sees and changes them: what each means, what it may be, and changes over a preset.

The explanations are those on `TrainingConfig`'s fields, read once from its source, so that they are written in one place.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Literal, get_args, get_type_hints

from engine.domain import Json
from engine.errors import InputError
from engine.model_registry.gguf_file import read_gguf
from engine.training import config
from engine.training.config import TrainingConfig

Kind = Literal["integer", "number", "switch", "choice", "names", "text"]

_KINDS: dict[object, Kind] = {int: "integer", float: "number", bool: "switch", str: "text", tuple[str, ...]: "names"}
_TAKES: dict[Kind, str] = {
    "integer": "a whole number",
    "number": "a number",
    "switch": "true or false",
    "names": "a list of names",
    "text": "a text",
    "choice": "one of its choices",
}
_CHOICES: dict[str, tuple[str, ...]] = {"dtype": config.DTYPES}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name on `TrainingConfig`, what kind of value it takes, and what it means.

    `low` and `high` bound numbers; `optional` settings may be None.
    """

    name: str
    kind: Kind
    explanation: str
    low: float | None = None
    high: float | None = None
    optional: bool = False
    choices: tuple[str, ...] = ()

    def checked(self, value: Json) -> Json:
        """The value, if it is of the right kind; its range is checked by `TrainingConfig`.

        Raises:
            InputError: it is not.
        """
        if (value is None and self.optional) or self._fits(value):
            return float(value) if self.kind == "number" and isinstance(value, int) else value
        raise InputError(f"{self.name} takes {_TAKES[self.kind]}, not {value!r}.", hint=self.explanation)

    def _fits(self, value: Json) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = {
            "integer": number and isinstance(value, int),
            "number": number,
            "switch": isinstance(value, bool),
            "names": isinstance(value, list | tuple) and all(isinstance(name, str) for name in value),
            "text": isinstance(value, str),
            "choice": value in self.choices,
        }
        return fits[self.kind]


@cache
def settings() -> tuple[Setting, ...]:
    """All settings of a fine-tune, in the order in which `TrainingConfig` has them."""
    explained, hints = _explanations(), get_type_hints(TrainingConfig)
    ranges = {name: (low, high) for name, low, high in config.RANGES}
    found = []
    for field in fields(TrainingConfig):
        kind, choices, optional = _kind(field.name, hints[field.name])
        low, high = ranges.get(field.name, (None, None))
        found.append(Setting(field.name, kind, explained.get(field.name, ""), low, high, optional, choices))
    return tuple(found)


def setting(name: str) -> Setting:
    """The setting of this name.

    Raises:
        InputError: there is none.
    """
    found = next((candidate for candidate in settings() if candidate.name == name), None)
    if found is None:
        raise InputError(
            f"There is no training setting {name!r}.", hint=f"Choose from {', '.join(s.name for s in settings())}."
        )
    return found


def parse_changes(assignments: Iterable[str]) -> dict[str, Json]:
    """Settings from texts such as `rank=32`, `target_modules=q_proj,v_proj` or `max_steps=none`.

    Raises:
        InputError: a text is no assignment, names no setting, or has a value of the wrong kind.
    """
    return dict(_parsed(assignment) for assignment in assignments)


def preset_for(name: str, base: Path | None) -> TrainingConfig:
    """A preset's settings as they suit a base model; None: the default one.

    Raises:
        InputError: no such preset.
        ModelFileError: the base's file cannot be read.
    """
    found = config.preset(name)
    if base is None:
        return found
    header = read_gguf(base)
    width = header.integer(f"{header.architecture}.embedding_length", config.PRESET_WIDTH)
    return replace(found, learning_rate=config.suited_rate(found.learning_rate, width))


def preset_with(name: str, changes: Mapping[str, Json], base: Path | None = None) -> TrainingConfig:
    """A preset's settings, as they suit a base model, with some of them changed.

    Raises:
        InputError: no such preset or setting, or a value that makes no sense.
        ModelFileError: the base's file cannot be read.
    """
    checked = {key: setting(key).checked(value) for key, value in changes.items()}
    return TrainingConfig.from_json(preset_for(name, base).to_json() | checked)


def _parsed(assignment: str) -> tuple[str, Json]:
    name, equals, text = (part.strip() for part in assignment.partition("="))
    if not equals:
        raise InputError(f"{assignment!r} does not set anything.", hint="Write a name and a value, such as rank=32.")
    wanted = setting(name)
    if wanted.kind == "names":
        return name, [part.strip() for part in text.split(",") if part.strip()]
    if wanted.kind in ("choice", "text"):
        return name, wanted.checked(text)
    return name, wanted.checked(_value(text))


def _value(text: str) -> Json:
    """A number, true, false or None; any other text as it is."""
    if text.lower() in ("none", "null"):
        return None
    try:
        value: Json = json.loads(text.lower())
    except ValueError:
        return text
    return value


def _kind(name: str, hint: object) -> tuple[Kind, tuple[str, ...], bool]:
    """What a type hint admits: kind, choices, and whether None."""
    if name in _CHOICES:
        return "choice", _CHOICES[name], False
    options = [option for option in get_args(hint) if option is not NoneType]
    if options and NoneType in get_args(hint):
        kind, choices, _ = _kind(name, options[0])
        return kind, choices, True
    if options and all(isinstance(option, str) for option in options):
        return "choice", tuple(options), False
    return _KINDS[hint], (), False


@cache
def _explanations() -> dict[str, str]:
    """The text below each field in `TrainingConfig`'s source, on one line."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(TrainingConfig))).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101  # the source of a class is one class
    found: dict[str, str] = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found
