"""What this machine has: processor, memory, disk, GPU."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil
import streamlit as st

from app.components.text import size

NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True, slots=True)
class Hardware:
    """Figures of the machine; sizes in bytes."""

    processor: str
    cores: int
    memory: int
    memory_free: int
    disk_free: int
    gpu: str


@st.cache_data(ttl=10, show_spinner=False)
def read_hardware(home: str) -> Hardware:
    """Look at the machine and at the disk that holds `home`. Reads a few small files; starts nothing."""
    memory = psutil.virtual_memory()
    return Hardware(
        processor=platform.machine(),
        cores=psutil.cpu_count() or 1,
        memory=memory.total,
        memory_free=memory.available,
        disk_free=shutil.disk_usage(home).free,
        gpu=_gpu(),
    )


def _gpu() -> str:
    """The first NVIDIA card's model, as its driver's files name it."""
    for information in NVIDIA_GPUS.glob("*/information"):
        for line in information.read_text("utf-8", errors="replace").splitlines():
            if line.startswith("Model:"):
                return line.removeprefix("Model:").strip()
    return "none"


def hardware_panel(home: Path) -> None:
    """Four figures side by side."""
    hardware = read_hardware(str(home))
    columns = st.columns(4)
    columns[0].metric("Processor", f"{hardware.cores} cores", help=hardware.processor)
    columns[1].metric("Memory free", size(hardware.memory_free), help=f"of {size(hardware.memory)}")
    columns[2].metric("Disk free", size(hardware.disk_free))
    columns[3].metric("GPU", hardware.gpu)
