"""What this machine has: processor, memory, disk, GPU."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.components.text import plain, size
from engine.machine import Hardware, inspect_hardware


@st.cache_data(ttl=10, show_spinner=False)
def _looked_at(home: str) -> Hardware:
    return inspect_hardware(Path(home))


def hardware_panel(home: Path) -> None:
    """Four lines."""
    hardware = _looked_at(str(home))
    memory = f"{size(hardware.memory_available)} of {size(hardware.memory_total)} free"
    rows = {
        "Processor": f"{hardware.cpu}, {hardware.logical_cores} cores",
        "Memory": memory,
        "Disk": f"{size(hardware.disk_free)} free",
        "GPU": ", ".join(gpu.name for gpu in hardware.gpus) or "none; everything runs on the processor",
    }
    # Not a table: those need pandas, and importing it is what the first page would wait for.
    with st.container(border=True, gap="xsmall"):
        for name, value in rows.items():
            label, text = st.columns([1, 3])
            label.caption(name)
            text.markdown(plain(value))
