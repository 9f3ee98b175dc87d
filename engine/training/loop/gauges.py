"""What a training takes of the machine: memory of the process and of the GPU, and how warm the GPU is."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time

import psutil

from engine.domain import Json
from engine.machine import peak_memory

ASK_EVERY_S = 10.0
"""How often nvidia-smi is asked: it takes up to half a second, and temperatures change slowly."""
TIMEOUT_S = 5.0


class Gauges:
    """Readings for each step. None of them waits for anything, and none of them fails."""

    def __init__(self) -> None:
        """Find out what there is to read."""
        import torch

        self._process = psutil.Process()
        self._cuda = torch.cuda.is_available()
        self._thermometer = Thermometer(_gpu_uuid()) if self._cuda else None

    def read(self) -> dict[str, Json]:
        """Memory in bytes, now and at most so far; of the GPU what PyTorch's tensors take, and its temperature in °C."""
        now = self._process.memory_info().rss
        row: dict[str, Json] = {"memory": now, "memory_peak": max(now, peak_memory())}
        if self._cuda:
            import torch

            row |= {"gpu_memory": torch.cuda.memory_allocated(), "gpu_memory_peak": torch.cuda.max_memory_reserved()}
        temperature = None if self._thermometer is None else self._thermometer.read()
        return row if temperature is None else row | {"gpu_temperature": temperature}


class Thermometer:
    """The temperature of one GPU as nvidia-smi tells it, asked on a thread of its own."""

    def __init__(self, gpu: str) -> None:
        """Nothing is asked yet. `gpu` is its UUID or index, as nvidia-smi takes it."""
        self._gpu = gpu
        self._program = shutil.which("nvidia-smi")
        self._asked_at = -ASK_EVERY_S
        self._last: float | None = None
        self._asking: threading.Thread | None = None

    def read(self) -> float | None:
        """°C at the last answer; None before the first one, or where there is no nvidia-smi. Asks anew when that is old."""
        now = time.monotonic()
        if self._program is not None and now - self._asked_at >= ASK_EVERY_S:
            self._asked_at = now
            self._asking = threading.Thread(target=self._ask, args=(self._program,), daemon=True)
            self._asking.start()
        return self._last

    def wait(self) -> None:
        """Wait for the answer that is under way."""
        if self._asking is not None:
            self._asking.join()

    def _ask(self, program: str) -> None:
        query = [program, "--query-gpu=temperature.gpu", "--format=csv,noheader,nounits", "-i", self._gpu]
        try:
            done = subprocess.run(query, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
            self._last = float(done.stdout.strip())
        except (OSError, subprocess.SubprocessError, ValueError):
            self._last = None


def _gpu_uuid() -> str:
    """The UUID of the GPU that PyTorch uses, which nvidia-smi knows whatever CUDA_VISIBLE_DEVICES hides."""
    import torch

    uuid = getattr(torch.cuda.get_device_properties(torch.cuda.current_device()), "uuid", None)
    return "0" if uuid is None else f"GPU-{uuid}"
