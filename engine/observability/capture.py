"""Turns what a function was given and what it gave back into small JSON values, without secrets."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import Enum
from pathlib import Path

from engine.domain import Json

MAX_TEXT = 2000
"""Longest text kept whole, in characters."""
MAX_ALL_TEXT = 20_000
"""Characters kept of one input or output, in all."""
MAX_ITEMS = 20
"""Longest list or mapping kept whole."""
MAX_DEPTH = 5
MAX_NODES = 200
"""Values kept of one input or output, in all."""

REDACTED = "[redacted]"
_SECRET_KEY = re.compile(
    r"(?i)(api[_-]?key|authorization|password|passwd|secret|access[_-]?token|auth[_-]?token|bearer|credential)"
)
_SECRET_TEXT = re.compile(
    r"(?i)\bbearer\s+[\w.~+/=-]{8,}"
    r"|\b(?:sk|pk|rk)-[\w-]{16,}"
    r"|\bhf_[A-Za-z0-9]{16,}"
    r"|\bAIza[\w-]{30,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}"
    r"|\b(?:api[_-]?key|password|secret|token)\s*[=:]\s*[^\s,;\"']{6,}"
)


def is_secret_name(name: str) -> bool:
    """Whether a value under this name is not to be written down."""
    return _SECRET_KEY.search(name) is not None


def redact_text(text: str) -> str:
    """The text with API keys and bearer tokens replaced."""
    return _SECRET_TEXT.sub(REDACTED, text)


def captured(value: object) -> Json:
    """A bounded JSON picture of any value: long texts are cut, deep or long structures pruned, other objects named by type."""
    try:
        return _Capture().value(value, depth=0)
    except (RuntimeError, TypeError, ValueError):
        # Another thread may change a mapping while it is read; a picture is not worth an error.
        return f"<{type(value).__name__}>"


class _Capture:
    """One walk through a value, with a budget."""

    def __init__(self) -> None:
        self._left = MAX_NODES
        self._text_left = MAX_ALL_TEXT

    def value(self, value: object, depth: int) -> Json:
        self._left -= 1
        if isinstance(value, Enum):
            return self.value(value.value, depth)
        if isinstance(value, str):
            return self._text(value)
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, Path | datetime):
            return self._text(str(value))
        if self._left < 0 or depth >= MAX_DEPTH:
            return "…"
        return self._structure(value, depth)

    def _structure(self, value: object, depth: int) -> Json:
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in dataclasses.fields(value)]
            return self._mapping({name: getattr(value, name, None) for name in names}, depth)
        if isinstance(value, bytes | bytearray | memoryview):
            return f"<{len(value)} bytes>"
        if isinstance(value, list | tuple | set | frozenset):
            return self._items(value, depth)
        return f"<{type(value).__name__}>"

    def _items(self, value: Collection[object], depth: int) -> Json:
        items: list[Json] = []
        for item in value:
            if len(items) >= MAX_ITEMS or self._left <= 0:
                items.append(f"… {len(value)} in all")
                break
            items.append(self.value(item, depth + 1))
        return items

    def _mapping(self, value: Mapping[object, object], depth: int) -> Json:
        result: dict[str, Json] = {}
        for key, item in value.items():
            if len(result) >= MAX_ITEMS or self._left <= 0:
                result["…"] = f"{len(value)} in all"
                break
            name = self._text(str(key)[:100])
            result[name] = REDACTED if is_secret_name(name) and item else self.value(item, depth + 1)
        return result

    def _text(self, text: str) -> str:
        """The text, cut to size, with secrets and lone surrogates (which JSON readers refuse) replaced."""
        limit = max(0, min(MAX_TEXT, self._text_left))
        # Redacting a little more than is kept finds secrets across the cut.
        kept = redact_text(text[: limit + 200]).encode("utf-8", "replace").decode("utf-8")
        self._text_left -= min(len(text), limit)
        return kept if len(text) <= limit else f"{kept[:limit]}… ({len(text)} characters)"
