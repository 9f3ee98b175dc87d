"""What this machine has: processor, memory, disk, GPU, as far as this process may use them."""

from __future__ import annotations

import importlib.util
import math
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from engine.control_groups import cpu_quota, memory_limit

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
    "bf16",
    "i8mm",
)
"""Processor features that decide how fast llama.cpp and torch run."""
NVIDIA_SMI_TIMEOUT_S = 5.0
GPU_REFRESH_S = 30.0
"""How long what nvidia-smi said holds. GPUs do not come and go; free memory changes when a model is loaded, and where there is
less than there was, fewer layers are put on the GPU (`engine.llm.llamacpp.loading`)."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA GPU; memory in bytes."""

    name: str
    memory_total: int
    memory_free: int
    driver: str


@dataclass(frozen=True, slots=True)
class Hardware:
    """What this machine has for this process: sizes in bytes, control groups and affinity taken into account.

    `physical_cores` and `logical_cores` are those that may be used; `disk_free` is where the home folder is or will be.
    """

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


def inspect_hardware(home: Path | None = None, gpus: Callable[[], tuple[Gpu, ...]] | None = None) -> Hardware:
    """Look at this machine. Imports no heavy library and takes well under a second; a hanging nvidia-smi is given up on.

    Args:
        home: where the home folder is or will be; by default the current folder.
        gpus: lists the GPUs; by default nvidia-smi is asked.
    """
    model, flags = _cpu()
    return Hardware(
        cpu=model,
        physical_cores=usable_physical_cores(),
        logical_cores=_usable_cores(),
        cpu_flags=flags,
        memory_total=_memory_total(),
        memory_available=memory_available(),
        disk_free=_disk_free(home or Path.cwd()),
        gpus=(gpus or _gpus)(),
        llama_cpp_gpu=_llama_cpp_gpu(),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} ({platform.machine()})",
    )


class Machine:
    """This machine as it is whenever one looks, though nvidia-smi, which takes long, is asked again only after a while.

    Safe to use from any thread.
    """

    def __init__(
        self, home: Path | None = None, *, refresh_s: float = GPU_REFRESH_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing is looked at yet.

        Args:
            home: where the home folder is or will be.
            refresh_s: seconds for which what nvidia-smi said holds.
            clock: the time in seconds.
        """
        self._home = home
        self._refresh_s = refresh_s
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: tuple[float, tuple[Gpu, ...]] | None = None

    def __call__(self) -> Hardware:
        """Look."""
        return inspect_hardware(self._home, self._gpus)

    def _gpus(self) -> tuple[Gpu, ...]:
        with self._lock:  # of several that look at once, one asks
            now = self._clock()
            if self._seen is None or now - self._seen[0] >= self._refresh_s:
                self._seen = now, _gpus()
            return self._seen[1]


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


def cpu_flags() -> tuple[str, ...]:
    """Which of `CPU_FLAGS` this processor has."""
    return _cpu()[1]


def memory_available() -> int:
    """Bytes that this process can still take without anything being swapped out or killed."""
    free: int = psutil.virtual_memory().available
    limited = memory_limit()
    return free if limited is None else min(free, limited.available)


def peak_memory() -> int:
    """Most bytes of memory that this process has held.

    On Linux from `/proc/self/status`: what `getrusage` gives begins with what the process that started this one held then
    (getrusage(2): `ru_maxrss` is kept over `execve`).
    """
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text("ascii", "replace").split("VmHWM:")[1].split()[0]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def _memory_total() -> int:
    total: int = psutil.virtual_memory().total
    limited = memory_limit()
    return total if limited is None else min(total, limited.limit)


def _usable_cores() -> int:
    """Cores that this process may use, which containers often limit."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def usable_physical_cores() -> int:
    """Physical cores that this process may use; two threads of one core compute hardly more than one."""
    logical = _usable_cores()
    cores, threads = psutil.cpu_count(logical=False) or 0, os.cpu_count() or 1
    return max(1, min(logical, math.ceil(logical * cores / threads))) if cores else logical


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
