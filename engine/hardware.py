"""The doctor: whether an installation is fit to run on this machine, and how the default model is fitted to it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import socket
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.config import Settings
from engine.db.session import Database
from engine.domain import Json
from engine.errors import NexusError
from engine.machine import Hardware, inspect_hardware
from engine.model_registry.defaults import DEFAULT_MODELS, missing_files
from engine.model_registry.file_hashes import HASHES, FileHashes
from engine.model_registry.registry import ModelRegistry

MIN_PYTHON = (3, 11)
MIN_SQLITE = (3, 35, 0)
"""The first with `RETURNING`, which the job queue uses."""
MIN_FREE_GB = 5.0
"""A fine-tune of the default model and its checkpoints take about 2 GB; documents and logs the rest."""
MIN_MEMORY_GB = 3.0
APP_PORT = 8501


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


def doctor(settings: Settings, machine: Callable[[], Hardware] | None = None) -> list[Check]:
    """Check everything that an installation needs. Never raises: what cannot be checked is a failed check."""
    hardware = machine() if machine else inspect_hardware(settings.home)
    return [
        _python(),
        _home(settings.home),
        _disk(hardware),
        _memory(hardware),
        *_default_models(settings.models_dir, FileHashes(settings.cache_dir / HASHES)),
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


def fit_default(settings: Settings, machine: Callable[[], Hardware] = inspect_hardware) -> list[dict[str, Json]]:
    """How the default model is run on this machine: rows of `setting`, `value` and `reason`; none where it is not local."""
    from engine.llm.llamacpp.fitting import plan_for
    from engine.llm.llamacpp.weights.copies import WeightCopies

    try:
        path = ModelRegistry(settings.models_dir).path(settings.default_model.removeprefix("local/"))
        record = WeightCopies(settings.cache_dir).record(path)
    except NexusError:
        return []
    plan = plan_for(path, settings, machine())
    rows: list[dict[str, Json]] = [
        {"setting": name, "value": choice.value, "reason": choice.reason} for name, choice in plan.rows()
    ]
    parts = "weights, one context and parked conversations, at most"
    rows.append({"setting": "memory_mb", "value": round(plan.memory / 1e6), "reason": parts})
    weights: dict[str, Json] = {"setting": "weights", "value": settings.weights, "reason": "set by NEXUS_WEIGHTS"}
    if settings.weights == "auto":
        weights["reason"] = "not measured yet; `nexus models optimise` does that"
        if record is not None:
            weights |= {"value": record.format, "reason": record.reason}
    return [*rows, weights]


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


def _default_models(models_dir: Path, hashes: FileHashes) -> list[Check]:
    checks = []
    for model in DEFAULT_MODELS:
        try:
            missing = missing_files(models_dir, model, hashes)
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
