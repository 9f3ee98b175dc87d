"""The limits of control groups, in both versions of their interface."""

from pathlib import Path

import pytest

from engine.control_groups import MemoryLimit, cpu_quota, memory_limit


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    return tmp_path / "mount"


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def membership(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cgroup"
    path.write_text(text)
    return path


def test_the_second_version_and_the_tightest_group_count(mount: Path, tmp_path: Path) -> None:
    member = membership(tmp_path, "0::/a/b\n")
    write(
        mount / "a", memory__max="1000", memory__current="900", memory__stat="anon 1\ninactive_file 400\n", cpu__max="max 100"
    )
    write(mount / "a" / "b", memory__max="max", memory__current="5", cpu__max="150000 100000")
    assert memory_limit(mount, member) == MemoryLimit(1000, 500)
    assert cpu_quota(mount, member) == 1.5


def test_the_first_version(mount: Path, tmp_path: Path) -> None:
    member = membership(tmp_path, "4:memory:/a\n2:cpu,cpuacct:/a\n1:name=systemd:/\n")
    write(
        mount / "memory" / "a",
        memory__limit_in_bytes="1000",
        memory__usage_in_bytes="100",
        memory__stat="total_inactive_file 0",
    )
    write(mount / "memory", memory__limit_in_bytes="9223372036854771712", memory__usage_in_bytes="1")
    write(mount / "cpu" / "a", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert memory_limit(mount, member) == MemoryLimit(1000, 900)
    assert cpu_quota(mount, member) is None


def test_inside_a_container_the_mount_is_the_group(mount: Path, tmp_path: Path) -> None:
    write(mount, memory__max="1000", memory__current="2000")
    assert memory_limit(mount, membership(tmp_path, "0::/not/visible/here\n")) == MemoryLimit(1000, 0)


@pytest.mark.parametrize("text", ["", "nonsense", "0::/../../..\n", "::\n"])
def test_without_groups_nothing_is_limited(mount: Path, tmp_path: Path, text: str) -> None:
    member = membership(tmp_path, text)
    assert memory_limit(mount, member) is None
    assert cpu_quota(mount, member) is None
