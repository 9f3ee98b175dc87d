"""What is said of the machine, and the doctor's findings on good and bad installations."""

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine import hardware, machine
from engine.config import PROJECT_ROOT, Settings
from engine.container import Engine
from engine.hardware import Check, doctor, fit_default
from engine.machine import Gpu, Machine, inspect_hardware, parse_nvidia_smi


def finding(settings: Settings, name: str) -> Check:
    return next(check for check in doctor(settings) if check.name == name)


def program(folder: Path, script: str) -> None:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_peak_of_memory_is_that_of_the_process_and_not_of_its_parent() -> None:
    held = b"x" * (400 << 20)
    code = "from engine.machine import peak_memory; print(peak_memory())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT_ROOT)
    assert 10 << 20 < int(child.stdout) < len(held)
    assert machine.peak_memory() > len(held)


def test_this_machine_is_described(tmp_path: Path) -> None:
    found = inspect_hardware(tmp_path / "not" / "there" / "yet")
    assert found.cpu
    assert found.logical_cores >= 1
    assert 0 < found.memory_available <= found.memory_total
    assert found.disk_free > 0
    assert found.python == sys.version.split()[0]


def test_looking_imports_nothing_heavy() -> None:
    code = (
        "import sys; from engine.machine import inspect_hardware; inspect_hardware(); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'llama_cpp', 'transformers', 'opik')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, timeout=60, check=False).returncode == 0


def test_gpus_come_from_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "echo 'NVIDIA X, 24564, 20000, 550.54'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert inspect_hardware().gpus == (Gpu("NVIDIA X", 24564 << 20, 20000 << 20, "550.54"),)


@pytest.mark.parametrize("script", ["exit 9", "echo 'No devices were found'", "exec sleep 600"])
def test_a_failing_or_hanging_nvidia_smi_means_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program(tmp_path, script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(machine, "NVIDIA_SMI_TIMEOUT_S", 0.5)
    assert inspect_hardware().gpus == ()


def test_a_machine_asks_nvidia_smi_again_only_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tmp_path / "asked"
    program(tmp_path, f"echo x >> {asked}; echo 'NVIDIA X, 24564, 20000, 550.54'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    now = [0.0]
    look = Machine(tmp_path, refresh_s=30.0, clock=lambda: now[0])
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: look(), range(4)))
    assert {machine.gpus for machine in found} == {(Gpu("NVIDIA X", 24564 << 20, 20000 << 20, "550.54"),)}
    now[0] = 29.0
    look()
    assert asked.read_text().split() == ["x"]
    now[0] = 30.0
    look()
    assert asked.read_text().split() == ["x", "x"]


@pytest.mark.models
def test_the_parts_of_an_engine_look_once(
    settings: Settings, models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    program(tmp_path, f"echo x >> {asked}; echo 'NVIDIA X, 24564, 20000, 550.54'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with Engine(settings) as engine:
        for name in ("SmolLM2-135M-Instruct.Q4_1", None):
            engine.model(name)
            engine.models.discard("SmolLM2-135M-Instruct.Q4_1")
        engine.machine()
    assert asked.read_text().split() == ["x"]


def test_odd_lines_of_nvidia_smi_are_passed_over() -> None:
    assert parse_nvidia_smi("A, 1, 1, x\n\nB, [N/A], 1, x\nC, 2\n") == (Gpu("A", 1 << 20, 1 << 20, "x"),)


@pytest.mark.models
def test_a_sound_installation_passes(settings: Settings, models_dir: Path) -> None:
    assert models_dir == settings.models_dir
    failed = [check for check in doctor(settings) if not check.ok and check.name not in ("Port", "Disk", "Memory")]
    assert failed == []


def test_missing_models_are_found(settings: Settings, tmp_path: Path) -> None:
    check = finding(settings.model_copy(update={"models_dir": tmp_path / "none"}), "Model all-MiniLM-L6-v2")
    assert not check.ok
    assert "make setup" in check.hint


def test_a_home_that_cannot_be_made_is_found(settings: Settings) -> None:
    settings.home.write_text("in the way")
    check = finding(settings, "Home folder")
    assert not check.ok
    assert "NEXUS_HOME" in check.hint


def test_a_port_in_use_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(hardware, "APP_PORT", taken.getsockname()[1])
        check = finding(settings, "Port")
    assert not check.ok
    assert "--port" in check.hint


def test_llama_cpp_that_cannot_be_imported_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    check = finding(settings, "llama.cpp")
    assert not check.ok
    assert "compiler" in check.hint


@pytest.mark.models
def test_the_doctor_tells_how_the_default_model_is_fitted(settings: Settings, models_dir: Path) -> None:
    rows = {row["setting"]: row for row in fit_default(settings.model_copy(update={"threads": 3, "weights": "as-is"}))}
    assert rows.keys() >= {"gpu_layers", "context_tokens", "max_sequences", "threads", "weights"}
    assert (rows["threads"]["value"], rows["threads"]["reason"]) == (3, "set by NEXUS_THREADS")
    assert (rows["weights"]["value"], rows["weights"]["reason"]) == ("as-is", "set by NEXUS_WEIGHTS")
    assert all(row["reason"] for row in rows.values())


def test_without_the_default_model_there_is_no_plan(settings: Settings, tmp_path: Path) -> None:
    assert fit_default(settings.model_copy(update={"models_dir": tmp_path})) == []


def test_the_offline_switch_is_told(settings: Settings) -> None:
    assert "nothing leaves" in finding(settings, "Offline mode").detail
    assert "allowed" in finding(settings.model_copy(update={"offline": False}), "Offline mode").detail


def test_a_gpu_that_llama_cpp_does_not_use_is_told(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "echo 'NVIDIA X, 24564, 20000, 550.54'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(machine, "_llama_cpp_gpu", lambda: False)
    check = finding(settings, "GPU")
    assert not check.ok
    assert "CUDA" in check.hint


def test_the_doctor_opens_the_database_and_looks_for_the_chosen_model(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "nexus.db").write_bytes(b"garbage" * 1000)
    checks = {check.name: check for check in doctor(Settings(home=home, models_dir=tmp_path, default_model="nothing"))}
    assert not checks["Database"].ok
    assert not checks["Chosen models"].ok
    assert checks["Chosen models"].hint
