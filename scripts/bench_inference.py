"""How fast the local runtime answers, beside llama-cpp-python's high-level interface and llama-server.

    .venv/bin/python scripts/bench_inference.py [--quick] [--json FILE] [--model GGUF] [--weights GGUF] [--server DIR]

The sides take turns, each in a fresh process; medians and their ratios are printed with the machine. llama-server is built
once, from the source archive of llama-cpp-python, into the folder given with --server (some minutes; without it that part is
left out). `--weights` is a second file with the same model in the format that the runtime would choose here: it is
what our side and llama-server run, while the high-level interface is measured with both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from engine.config import PROJECT_ROOT, load_settings  # noqa: E402
from engine.domain import Json  # noqa: E402
from engine.hardware import inspect_hardware  # noqa: E402
from scripts.inference_bench import server, workload  # noqa: E402
from scripts.inference_bench.random_adapter import write_random_adapter  # noqa: E402

Figures = dict[str, float]

AIMS = {
    "throughput_vs_high_level": (3.5, "at least"),
    "throughput_vs_server_cold": (2.5, "at least"),
    "throughput_vs_server_warm": (1.1, "at least"),
    "memory_vs_server": (1.0, "at most"),
    "first_token_p95_busy_vs_alone": (2.0, "at most"),
    "json_vs_free": (0.95, "at least"),
    "json_vs_high_level": (4.5, "at least"),
    "json_valid_of_ended": (1.0, "at least"),
    "python_share_of_step": (0.05, "at most"),
}
"""What is asked of each ratio."""


class Sides:
    """Runs one side at a time."""

    def __init__(self, given: argparse.Namespace, threads: int, adapter: Path, binary: Path | None) -> None:
        self._given = given
        self._common = ["--threads", str(threads), "--gpu-layers", str(given.gpu_layers)]
        self._adapter = adapter
        self.binary = binary

    def ours(self, task: str, *, sequences: int = workload.REQUESTS, weights: Path | None = None) -> dict[str, Json]:
        """A task of our runtime."""
        options = ["--sequences", str(sequences), "--context", str(self._given.context), "--adapter", str(self._adapter)]
        return self._run("ours", task, str(weights or self._given.weights), *options)

    def high_level(self, task: str, model: Path) -> dict[str, Json]:
        """A task of the high-level interface."""
        return self._run("high_level", task, str(model))

    def server(self) -> dict[str, Json]:
        """The conversations with a common beginning, of llama-server."""
        return self._run("server", str(self.binary), str(self._given.weights))

    def _run(self, side: str, *arguments: str) -> dict[str, Json]:
        command = [sys.executable, "-m", f"scripts.inference_bench.{side}", *arguments, *self._common]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        figures: dict[str, Json] = json.loads(done.stdout.splitlines()[-1])
        print(f"  {side:10} {arguments[0].rsplit('/', 1)[-1]:12} {json.dumps(figures)}", file=sys.stderr, flush=True)
        return figures


def main() -> None:
    """Read the arguments, measure, print."""
    given = _arguments()
    threads = given.threads or inspect_hardware().physical_cores
    binary = server.build(given.server, cuda=given.gpu_layers != 0) if given.server else None
    with tempfile.TemporaryDirectory() as folder:
        adapter = write_random_adapter(given.model, Path(folder) / "adapter.gguf")
        sides = Sides(given, threads, adapter, binary)
        rounds = [measure(sides, given) for _ in range(1 if given.quick else given.repeats)]
    figures = {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}
    _print(figures)
    if given.json:
        given.json.write_text(json.dumps({"machine": _machine(threads), "figures": figures}, indent=1) + "\n", encoding="utf-8")


def measure(sides: Sides, given: argparse.Namespace) -> Figures:
    """Every figure once."""
    parts: Sequence[Callable[[Sides, argparse.Namespace], Figures]] = (
        _throughput, _first_token, _json, _lookup, _adapters, _restore, _cold, _scaling,
    )  # fmt: skip
    figures: Figures = {}
    for part in parts:
        figures |= part(sides, given)
    return figures


def _throughput(sides: Sides, given: argparse.Namespace) -> Figures:
    ours = sides.ours("shared")
    high = sides.high_level("shared", given.model)
    figures = {
        "ours_first_s": _seconds(ours, 0),
        "ours_again_s": _seconds(ours, 1),
        "ours_peak_mb": _number(ours, "peak_mb"),
        "high_level_s": _seconds(high, 0),
        "throughput_vs_high_level": _rate(ours, 0) / _rate(high, 0),
        "python_share_of_step": _number(ours, "python_share"),
        "step_ms": _number(ours, "step_ms"),
    }
    if given.weights != given.model:
        same = sides.high_level("shared", given.weights)
        figures["throughput_vs_high_level_same_weights"] = _rate(ours, 0) / _rate(same, 0)
    if sides.binary is not None:
        other = sides.server()
        figures |= {
            "server_first_s": _seconds(other, 0),
            "server_again_s": _seconds(other, 1),
            "server_peak_mb": _number(other, "peak_mb"),
            "throughput_vs_server_cold": _rate(ours, 0) / _rate(other, 0),
            "throughput_vs_server_warm": _rate(ours, 1) / _rate(other, 1),
            "memory_vs_server": _number(ours, "peak_mb") / _number(other, "peak_mb"),
        }
    return figures


def _first_token(sides: Sides, _given: argparse.Namespace) -> Figures:
    found = sides.ours("first_token")
    alone, busy = _number(found, "alone_p95"), _number(found, "busy_p95")
    return {"first_token_alone_p95_s": alone, "first_token_busy_p95_s": busy, "first_token_p95_busy_vs_alone": busy / alone}


def _json(sides: Sides, given: argparse.Namespace) -> Figures:
    ours = sides.ours("pairs", sequences=workload.PASSAGES)
    high = sides.high_level("pairs", given.model)
    mixed = sides.ours("constrained", sequences=workload.PASSAGES)
    per_s = _number(ours, "tokens") / _number(ours, "seconds")
    ended = _number(ours, "ended") + _number(mixed, "ended")
    return {
        "json_per_s": per_s,
        "high_level_json_per_s": _number(high, "tokens") / _number(high, "seconds"),
        "json_vs_high_level": per_s * _number(high, "seconds") / _number(high, "tokens"),
        "json_vs_free": _number(mixed, "json_per_s") / _number(mixed, "free_per_s"),
        "json_valid_of_ended": (_number(ours, "valid") + _number(mixed, "valid")) / max(ended, 1),
        "json_ended": ended,
    }


def _lookup(sides: Sides, _given: argparse.Namespace) -> Figures:
    found = sides.ours("lookup")
    plain, guessed = _number(found, "plain_per_s"), _number(found, "guessed_per_s")
    return {"copying_per_s": plain, "copying_guessed_per_s": guessed, "guessing_gain": guessed / plain}


def _adapters(sides: Sides, _given: argparse.Namespace) -> Figures:
    found = sides.ours("adapters", sequences=16)
    apart, together = _number(found, "apart_s"), _number(found, "together_s")
    return {
        "adapters_apart_vs_together": apart / together,
        "adapter_attach_s": _number(found, "attach_s"),
        "second_context_mb": _number(found, "context_mb"),
    }


def _restore(sides: Sides, _given: argparse.Namespace) -> Figures:
    found = sides.ours("restore")
    computed, restored = _number(found, "computed_s"), _number(found, "restored_s")
    return {"prefix_computed_s": computed, "prefix_restored_s": restored, "restoring_gain": computed / restored}


def _cold(sides: Sides, _given: argparse.Namespace) -> Figures:
    return {"cold_first_token_s": _number(sides.ours("cold"), "seconds")}


def _scaling(sides: Sides, given: argparse.Namespace) -> Figures:
    return {f"sequences_{count}_per_s": _number(sides.ours("sequences", sequences=count), "per_s") for count in given.sequences}


def _number(figures: dict[str, Json], name: str) -> float:
    value = figures[name]
    assert isinstance(value, int | float)
    return float(value)


def _round(figures: dict[str, Json], index: int) -> dict[str, Json]:
    rounds = figures["rounds"]
    assert isinstance(rounds, list)
    found = rounds[index]
    assert isinstance(found, dict)
    return found


def _seconds(figures: dict[str, Json], index: int) -> float:
    return _number(_round(figures, index), "seconds")


def _rate(figures: dict[str, Json], index: int) -> float:
    """Tokens a second: the answers of the sides may differ by a word."""
    return _number(_round(figures, index), "tokens") / _seconds(figures, index)


def _print(figures: Figures) -> None:
    print(json.dumps(_machine(0)["system"]))
    for name, value in figures.items():
        aim, side = AIMS.get(name, (None, ""))
        missed = aim is not None and (value < aim if side == "at least" else value > aim)
        print(f"{name:40} {value:9.3f}" + (f"   {side} {aim}{': missed' if missed else ''}" if aim is not None else ""))


def _machine(threads: int) -> dict[str, Json]:
    hardware = inspect_hardware()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": hardware.cpu,
        "flags": list(hardware.cpu_flags),
        "cores": hardware.logical_cores,
        "threads": threads,
        "gpus": [gpu.name for gpu in hardware.gpus],
        "memory_gb": round(hardware.memory_total / 1e9, 1),
        "load": list(os.getloadavg()),
        "system": f"{hardware.cpu}, {hardware.logical_cores} cores, {platform.system()} {platform.release()}",
    }


def _arguments() -> argparse.Namespace:
    default = PROJECT_ROOT / "models" / f"{load_settings().default_model}.gguf"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=default, help="the model as it was delivered")
    parser.add_argument("--weights", type=Path, help="the same model in the format for this machine; --model if not given")
    parser.add_argument("--server", type=Path, metavar="DIR", help="where llama-server is, or is built")
    parser.add_argument("--quick", action="store_true", help="one round instead of three")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--gpu-layers", type=int, default=0)
    parser.add_argument("--context", type=int, default=8192, help="cells of our context")
    parser.add_argument("--sequences", type=int, nargs="*", default=[], help="also the throughput with so many at once")
    given = parser.parse_args()
    given.weights = given.weights or given.model
    return given


if __name__ == "__main__":
    main()
