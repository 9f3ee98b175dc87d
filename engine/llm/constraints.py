"""Constraints on a model's output as llguidance grammars, and the check of a finished text against one.

The local runtime enforces these grammars while it decodes. Where a model cannot be held to one, its answer is checked
against the same grammar afterwards, so that a constraint means the same everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from engine.domain import Json
from engine.errors import InputError
from engine.llm.base import Choice, Constraint, JsonSchema, Lark, Regex, Span

if TYPE_CHECKING:
    from llguidance import LLTokenizer

LONGEST_STRING, MOST_ITEMS = 1000, 64
"""Characters of a string and items of an array in JSON whose schema does not say."""

_LIMITS_OF_STRINGS = {"maxLength", "enum", "const", "pattern", "format"}


def grammar_text(constraint: Constraint) -> str:
    r"""A constraint as llguidance reads it.

    JSON is compact, and its strings and arrays are `bounded`: a small model may otherwise write spaces, or a string, without
    end. In a regular expression `\d` means 0 to 9: a model may otherwise write the digits of any script.

    Raises:
        InputError: an empty choice, or a schema that is no JSON. Other mistakes are found when a matcher is made of it.
    """
    from llguidance import LLMatcher, regex_to_lark

    text: str
    match constraint:
        case JsonSchema(schema):
            text = _schema_grammar(schema)
        case Regex(pattern):
            text = LLMatcher.grammar_from_lark("start: /" + regex_to_lark(pattern, "d") + "/")
        case Lark(grammar):
            text = LLMatcher.grammar_from_lark(grammar)
        case Choice(options):
            text = LLMatcher.grammar_from_lark(_choice_rule(options))
        case Span(texts):
            text = LLMatcher.grammar_from_lark(_span_rule(texts))
    return text


def violation(constraint: Constraint, text: str) -> str | None:
    """Why a finished text does not keep to its constraint; None when it does.

    Raises:
        InputError: the constraint itself is not valid.
    """
    if isinstance(constraint, JsonSchema):
        return _schema_violation(constraint.schema, text)
    from llguidance import LLMatcher

    matcher = LLMatcher(_byte_tokenizer(), grammar_text(constraint), log_level=0)
    if matcher.is_error():
        raise InputError(f"The constraint is not valid: {matcher.get_error()}")
    data = list(text.encode())
    taken = matcher.try_consume_tokens(data) if data else 0
    if taken < len(data):
        return f"it does not match from character {len(bytes(data[:taken]).decode(errors='ignore'))} on"
    return None if matcher.is_accepting() else "it ends too early"


def bounded(schema: Mapping[str, Json]) -> dict[str, Json]:
    """A JSON schema with a limit on every string and array that has none, so that a small model cannot go on for ever."""
    found: dict[str, Json] = {name: _bounded_value(value) for name, value in schema.items()}
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "string" in kinds and not _LIMITS_OF_STRINGS & schema.keys():
        found["maxLength"] = LONGEST_STRING
    if "array" in kinds and "maxItems" not in schema:
        least = schema.get("minItems")
        found["maxItems"] = max(MOST_ITEMS, least if isinstance(least, int) else 0)
    return found


def _bounded_value(value: Json) -> Json:
    if isinstance(value, dict):
        return bounded(value)
    return [_bounded_value(item) for item in value] if isinstance(value, list) else value


def _schema_grammar(schema: Mapping[str, Json]) -> str:
    from llguidance import LLMatcher

    try:
        text: str = LLMatcher.grammar_from_json_schema(json.dumps(bounded(schema)), overrides={"whitespace_flexible": False})
    except (TypeError, ValueError) as exc:
        raise InputError(f"The JSON schema is not valid: {exc}") from exc
    return text


def _schema_violation(schema: Mapping[str, Json], text: str) -> str | None:
    import jsonschema  # type: ignore[import-untyped]

    try:
        jsonschema.validate(json.loads(text), dict(schema))
    except json.JSONDecodeError as exc:
        return f"it is not JSON: {exc}"
    except jsonschema.ValidationError as exc:
        return str(exc.message)
    except jsonschema.SchemaError as exc:
        raise InputError(f"The JSON schema is not valid: {exc.message}") from exc
    return None


def _choice_rule(options: tuple[str, ...]) -> str:
    if not options or not all(options):
        raise InputError("A choice needs at least one option, and none may be empty.")
    return "start: " + " | ".join(json.dumps(option, ensure_ascii=False) for option in options)


def _span_rule(texts: tuple[str, ...]) -> str:
    """One run of words of one of the texts; llguidance's `substring_words` admits none at all too, hence the `&`."""
    if not texts or not all(text.strip() for text in texts):
        raise InputError("A span needs at least one text, and none may be empty.")
    runs = "".join(
        f"S{number}: %regex {json.dumps({'substring_words': text}, ensure_ascii=False)}\n" for number, text in enumerate(texts)
    )
    return "start: SPAN\nSPAN: (" + " | ".join(f"S{number}" for number in range(len(texts))) + ") & /(?s:.+)/\n" + runs


@lru_cache(maxsize=1)
def _byte_tokenizer() -> LLTokenizer:
    from llguidance import LLTokenizer

    return LLTokenizer("byte")
