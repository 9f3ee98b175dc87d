"""The end of a log file."""

from __future__ import annotations

import os
from pathlib import Path

BYTES_PER_LINE = 400
"""More than a line takes on average, so that one read is enough."""


def log_tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file, oldest first; none where there is no file yet."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - lines * BYTES_PER_LINE))
        text = file.read().decode("utf-8", errors="replace")
    return text.splitlines()[-lines:]
