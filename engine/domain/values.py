"""Values that every other noun is made of."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Literal

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]
"""A JSON value."""

Role = Literal["system", "user", "assistant"]


def new_id() -> str:
    """A fresh identifier (32 hexadecimal digits of a UUID4)."""
    return uuid.uuid4().hex


def utc_now() -> datetime:
    """The current time, time zone aware, in UTC."""
    return datetime.now(UTC)
