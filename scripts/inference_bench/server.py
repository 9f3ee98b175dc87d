"""`llama-server` with as many slots as there are requests, asked by as many threads over HTTP on this machine."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from scripts.inference_bench import workload

VERSION = "0.3.36"
"""Of llama-cpp-python, whose source archive holds the llama.cpp that both sides run."""

OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_APP=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF", "-DLLAMA_BUILD_UI=OFF",
)  # fmt: skip
START_S = 120
TOKENS_PER_SLOT = 512


def build(folder: Path, *, cuda: bool) -> Path:
    """The llama-server in `folder`, built from the source archive if it is not there yet (some minutes)."""
    binary = folder / "build" / "bin" / "llama-server"
    if not binary.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        tools = _build_tools(folder)
        source = _source(folder)
        flags = [*OPTIONS, f"-DGGML_CUDA={'ON' if cuda else 'OFF'}"]
        _run([str(tools / "cmake"), "-G", "Ninja", "-S", str(source), "-B", str(folder / "build"), *flags], tools)
        _run([str(tools / "cmake"), "--build", str(folder / "build"), "--target", "llama-server"], tools)
    return binary


def measure(binary: Path, model: Path, threads: int, gpu_layers: int, slots: int) -> dict[str, object]:
    """The conversations with a common beginning, all at once; a first round and the same again."""
    with _running(binary, model, threads, gpu_layers, slots) as (url, process):
        rounds = [_round(url) for _ in range(2)]
        return {"rounds": rounds, "peak_mb": _peak_mb(process.pid)}


def _round(url: str) -> dict[str, float]:
    started = time.perf_counter()
    with ThreadPoolExecutor(workload.REQUESTS) as pool:
        tokens = sum(pool.map(lambda messages: _ask(url, messages), workload.shared_conversations()))
    return {"seconds": time.perf_counter() - started, "tokens": tokens}


def _ask(url: str, messages: list[dict[str, str]]) -> int:
    body = {"messages": messages, "max_tokens": workload.ANSWER_TOKENS, "temperature": 0.0, "cache_prompt": True}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=600) as response:
        return int(json.load(response)["usage"]["completion_tokens"])


@contextmanager
def _running(
    binary: Path, model: Path, threads: int, gpu_layers: int, slots: int
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(binary), "-m", str(model), "--host", "127.0.0.1", "--port", str(port), "-np", str(slots),
        "-c", str(slots * TOKENS_PER_SLOT), "-t", str(threads), "-tb", str(threads), "-ngl", str(gpu_layers), "--no-webui",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, process)
        yield url, process
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"llama-server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise SystemExit("llama-server did not become ready")


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _build_tools(folder: Path) -> Path:
    """CMake and Ninja in an environment of their own; the project does not need them."""
    tools = folder / "tools" / "bin"
    if not (tools / "ninja").is_file():
        _run([sys.executable, "-m", "venv", str(folder / "tools")], None)
        _run([str(tools / "python"), "-m", "pip", "-q", "install", "cmake", "ninja", "scikit-build-core"], None)
    return tools


def _source(folder: Path) -> Path:
    source = folder / "source"
    if not source.is_dir():
        with tempfile.TemporaryDirectory(dir=folder) as unpacked:
            pip = [str(folder / "tools" / "bin" / "python"), "-m", "pip", "-q", "download", "--no-deps", "--no-build-isolation"]
            _run([*pip, "--no-binary", ":all:", "-d", unpacked, f"llama-cpp-python=={VERSION}"], folder / "tools" / "bin")
            with tarfile.open(next(Path(unpacked).glob("*.tar.gz"))) as archive:
                archive.extractall(unpacked, filter="data")
            shutil.move(next(Path(unpacked).glob("*/vendor/llama.cpp")), source)
    return source


def _run(command: list[str], tools: Path | None) -> None:
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"} if tools else None
    subprocess.run(command, check=True, env=environment, stdout=sys.stderr)


def main() -> None:
    """Measure with a binary that is there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--gpu-layers", type=int, default=0)
    parser.add_argument("--slots", type=int, default=workload.REQUESTS)
    given = parser.parse_args()
    workload.report(measure(given.binary, given.model, given.threads, given.gpu_layers, given.slots))


if __name__ == "__main__":
    main()
