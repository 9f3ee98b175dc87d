"""What this machine has, and whether an installation is fit to run on it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from engine.config import Settings
from engine.db.session import Database
from engine.errors import NexusError
from engine.model_registry.defaults import DEFAULT_MODELS, missing_files
from engine.model_registry.registry import ModelRegistry

CPU_FLAGS = (
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_bf16",
    "avx512_vnni",
    "avx_vnni",
    "amx_bf16",
    "amx_int8",
    "neon",
    "asimd",
)
"""Processor features that decide how fast llama.cpp and torch run."""
MIN_PYTHON = (3, 11)
MIN_SQLITE = (3, 35, 0)
"""The first with `RETURNING`, which the job queue uses."""
MIN_FREE_GB = 5.0
"""A fine-tune of the default model and its checkpoints take about 2 GB; documents and logs the rest."""
MIN_MEMORY_GB = 3.0
NVIDIA_SMI_TIMEOUT_S = 5.0
APP_PORT = 8501


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA GPU; memory in bytes."""

    name: str
    memory_total: int
    memory_free: int
    driver: str


@dataclass(frozen=True, slots=True)
class Hardware:
    """What this machine has. Sizes in bytes; `disk_free` is where the home folder is or will be."""

    cpu: str
    physical_cores: int
    logical_cores: int
    cpu_flags: tuple[str, ...]
    memory_total: int
    memory_available: int
    disk_free: int
    gpus: tuple[Gpu, ...]
    llama_cpp_gpu: bool
    """Whether llama.cpp was built with GPU support, by the libraries that came with it."""
    python: str
    system: str


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of `doctor`. `hint` says what to do; it is empty when `ok` is True."""

    name: str
    ok: bool
    detail: str
    hint: str = ""

    def __post_init__(self) -> None:
        if self.ok:
            object.__setattr__(self, "hint", "")


def inspect_hardware(home: Path | None = None) -> Hardware:
    """Look at this machine. Imports no heavy library and takes well under a second; a hanging nvidia-smi is given up on."""
    model, flags = _cpu()
    memory = psutil.virtual_memory()
    return Hardware(
        cpu=model,
        physical_cores=psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        logical_cores=_usable_cores(),
        cpu_flags=flags,
        memory_total=memory.total,
        memory_available=memory.available,
        disk_free=_disk_free(home or Path.cwd()),
        gpus=_gpus(),
        llama_cpp_gpu=_llama_cpp_gpu(),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} ({platform.machine()})",
    )


def doctor(settings: Settings) -> list[Check]:
    """Check everything that an installation needs. Never raises: what cannot be checked is a failed check."""
    hardware = inspect_hardware(settings.home)
    return [
        _python(),
        _home(settings.home),
        _disk(hardware),
        _memory(hardware),
        *_default_models(settings.models_dir),
        _chosen_models(settings),
        _database(settings.database),
        _llama_cpp(),
        _torch(),
        _sqlite(),
        _duckdb_json(),
        _port(),
        _offline(settings),
        _gpu(hardware),
    ]


def _cpu() -> tuple[str, tuple[str, ...]]:
    """The processor's name and which of `CPU_FLAGS` it has."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine(), ()
    fields: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip())
    present = set((fields.get("flags") or fields.get("features", "")).split())
    return fields.get("model name") or platform.machine(), tuple(flag for flag in CPU_FLAGS if flag in present)


def _usable_cores() -> int:
    """Cores that this process may use, which containers often limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _disk_free(folder: Path) -> int:
    """Free bytes where a folder is or would be made."""
    existing = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    try:
        return shutil.disk_usage(existing).free
    except OSError:
        return 0


def _gpus() -> tuple[Gpu, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = [program, "--query-gpu=name,memory.total,memory.free,driver_version", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=NVIDIA_SMI_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_nvidia_smi(done.stdout)


def parse_nvidia_smi(output: str) -> tuple[Gpu, ...]:
    """The GPUs in nvidia-smi's CSV (name, total MiB, free MiB, driver). Lines that say something else are passed over."""
    gpus = []
    for line in output.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 4 and parts[1].isdecimal() and parts[2].isdecimal():
            gpus.append(Gpu(parts[0], int(parts[1]) << 20, int(parts[2]) << 20, parts[3]))
    return tuple(gpus)


def _llama_cpp_gpu() -> bool:
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        return False
    libraries = Path(spec.origin).parent / "lib"
    return any(any(libraries.glob(f"*ggml-{backend}*")) for backend in ("cuda", "hip", "metal", "vulkan", "sycl"))


def _python() -> Check:
    version = platform.python_version()
    needed = ".".join(map(str, MIN_PYTHON))
    return Check("Python", sys.version_info >= MIN_PYTHON, version, f"Install Python {needed} or newer.")


def _home(home: Path) -> Check:
    probe = home / f".probe-{os.getpid()}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as exc:
        hint = "Choose another folder with --home or NEXUS_HOME, or change the permissions."
        return Check("Home folder", False, f"{home}: {exc.strerror}", hint)
    return Check("Home folder", True, str(home))


def _disk(hardware: Hardware) -> Check:
    free = hardware.disk_free / 1e9
    return Check("Disk", free >= MIN_FREE_GB, f"{free:.1f} GB free", f"Free some space: {MIN_FREE_GB:.0f} GB are advisable.")


def _memory(hardware: Hardware) -> Check:
    total, free = hardware.memory_total / 1e9, hardware.memory_available / 1e9
    hint = f"A fine-tune of the default model needs about {MIN_MEMORY_GB:.0f} GB: close other programs."
    return Check("Memory", free >= MIN_MEMORY_GB, f"{free:.1f} of {total:.1f} GB available", hint)


def _default_models(models_dir: Path) -> list[Check]:
    checks = []
    for model in DEFAULT_MODELS:
        try:
            missing = missing_files(models_dir, model)
            detail = f"missing or changed: {', '.join(missing)}" if missing else "present, hashes match"
        except NexusError as exc:
            missing, detail = [model.name], exc.message
        checks.append(Check(f"Model {model.name}", not missing, detail, "Run `make setup`."))
    return checks


def _chosen_models(settings: Settings) -> Check:
    """Whether the models that the settings name are there; a provider's cannot be checked without asking it."""
    names = [name for name in (settings.default_model, settings.default_encoder) if "/" not in name]
    registry = ModelRegistry(settings.models_dir)
    try:
        found = [registry.info(name).name for name in names]
    except NexusError as exc:
        hint = "Correct NEXUS_DEFAULT_MODEL and NEXUS_DEFAULT_ENCODER, or add the model."
        return Check("Chosen models", False, exc.message, exc.hint or hint)
    return Check("Chosen models", True, ", ".join(found))


def _database(path: Path) -> Check:
    if not path.exists():
        return Check("Database", True, "not made yet")
    try:
        Database(path).close()
    except NexusError as exc:
        return Check("Database", False, exc.message, exc.hint or "")
    return Check("Database", True, str(path))


def _llama_cpp() -> Check:
    """Imports it, since its libraries may be built for another processor or miss something on this machine."""
    hint = "It is built from source: install a C/C++ compiler, then run `make setup` again."
    try:
        import llama_cpp
    except (ImportError, OSError, RuntimeError) as exc:
        return Check("llama.cpp", False, f"cannot be imported: {exc}", hint)
    return Check("llama.cpp", True, f"llama-cpp-python {llama_cpp.__version__}")


def _torch() -> Check:
    """Looks the version up only: importing it takes seconds."""
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return Check("torch", False, "not installed", "Run `make setup`.")
    return Check("torch", importlib.util.find_spec("torch") is not None, version, "Run `make setup`.")


def _sqlite() -> Check:
    try:
        with sqlite3.connect(":memory:") as db:
            db.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
            db.execute("SELECT json_extract('{\"a\": 1}', '$.a')")
        complete = True
    except sqlite3.Error:
        complete = False
    ok = complete and sqlite3.sqlite_version_info >= MIN_SQLITE
    detail = sqlite3.sqlite_version + (", with FTS5 and JSON" if complete else ", without FTS5 or JSON")
    return Check("SQLite", ok, detail, f"Use a Python whose SQLite is {'.'.join(map(str, MIN_SQLITE))} or newer, with FTS5.")


def _duckdb_json() -> Check:
    import duckdb

    try:
        with duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}) as db:
            db.execute("SELECT CAST('{\"a\": 1}' AS JSON) ->> 'a'")
    except duckdb.Error as exc:
        return Check("DuckDB", False, f"{duckdb.__version__}: {exc}", "Run `make setup`.")
    return Check("DuckDB", True, f"{duckdb.__version__}, with JSON")


def _port() -> Check:
    port = APP_PORT
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return Check("Port", False, f"{port} is in use", "The app may be running already; else start it with `--port N`.")
    return Check("Port", True, f"{port} is free")


def _offline(settings: Settings) -> Check:
    detail = "on: nothing leaves this machine" if settings.offline else "off: named remotes and downloads are allowed"
    return Check("Offline mode", True, detail)


def _gpu(hardware: Hardware) -> Check:
    if not hardware.gpus:
        return Check("GPU", True, "none: everything runs on the processor")
    names = ", ".join(f"{gpu.name} ({gpu.memory_total / 1e9:.0f} GB)" for gpu in hardware.gpus)
    hint = "Install the CUDA toolkit and run `make setup` again, so that llama.cpp is built for it."
    used = "used by llama.cpp" if hardware.llama_cpp_gpu else "not used by llama.cpp"
    return Check("GPU", hardware.llama_cpp_gpu, f"{names}, {used}", hint)
