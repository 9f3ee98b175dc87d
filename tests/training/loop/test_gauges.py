"""Memory and temperature, read without waiting and without failing."""

from pathlib import Path

import pytest

from engine.training.loop.gauges import Gauges, Thermometer


def put_nvidia_smi(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of that name on the path, in place of NVIDIA's."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_memory_now_and_at_most() -> None:
    row = Gauges().read()
    assert isinstance(row["memory"], int)
    assert 10_000_000 < row["memory"] <= int(str(row["memory_peak"]))


def test_a_temperature_comes_with_a_later_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_nvidia_smi(tmp_path, 'test "$4" = GPU-7 && echo 61', monkeypatch)
    thermometer = Thermometer("GPU-7")
    assert thermometer.read() is None  # asked, not waited for
    thermometer.wait()
    assert thermometer.read() == 61.0


@pytest.mark.parametrize("script", ["exit 1", "echo '[N/A]'", "echo", "kill -9 $$"])
def test_what_cannot_be_read_is_left_out(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_nvidia_smi(tmp_path, script, monkeypatch)
    thermometer = Thermometer("0")
    thermometer.read()
    thermometer.wait()
    assert thermometer.read() is None


def test_no_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Thermometer("0").read() is None
