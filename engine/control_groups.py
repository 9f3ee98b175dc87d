"""What Linux's control groups leave this process: containers and services are limited by them, and the system's totals say
nothing of it. Both versions of the interface are read; where there is none, nothing is limited.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")

_UNLIMITED = 1 << 60
"""Version 1 writes a number near 2^63 where nothing is limited."""


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """A limit in bytes, and what of it is left; cached files do not count as used, since they give way."""

    limit: int
    available: int


def memory_limit(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> MemoryLimit | None:
    """The tightest limit on this process's memory; None where there is none."""
    found = [*_memory_limits(mount, membership)]
    return min(found, key=lambda entry: entry.available, default=None)


def cpu_quota(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> float | None:
    """How many processors' time this process may use; None where that is not limited."""
    quotas: list[float] = []
    for folder in _folders(mount, membership, "cpu"):
        words = _read(folder / "cpu.max").split()
        if not words:
            words = [_read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip()]
        if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def _memory_limits(mount: Path, membership: Path) -> Iterator[MemoryLimit]:
    for folder in _folders(mount, membership, "memory"):
        limit = _number(folder, "memory.max", "memory.limit_in_bytes")
        if limit is None or limit >= _UNLIMITED:
            continue
        used = _number(folder, "memory.current", "memory.usage_in_bytes") or 0
        yield MemoryLimit(limit, max(0, limit - max(0, used - _cached_files(folder))))


def _cached_files(folder: Path) -> int:
    """Bytes of cached files that are given back at need."""
    rows = {name: value for name, _, value in (line.partition(" ") for line in _read(folder / "memory.stat").splitlines())}
    value = rows.get("total_inactive_file", rows.get("inactive_file", "0"))
    return int(value) if value.isdecimal() else 0


def _folders(mount: Path, membership: Path, controller: str) -> Iterator[Path]:
    """The folder of this process's group and of all groups around it. Inside a container its own may be the mount itself."""
    for line in _read(membership).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        top = mount / controller if controllers else mount
        group = top / path.strip("/")
        while group != top and group.is_relative_to(top):
            yield group
            group = group.parent
        yield top


def _number(folder: Path, *names: str) -> int | None:
    """The number in the first of these files that has one."""
    return next((int(text) for name in names if (text := _read(folder / name).strip()).isdecimal()), None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
