"""How fast fine-tuning is beside plain `transformers.Trainer` with PEFT, in how much memory, and what a model learns by it.

    .venv/bin/python scripts/bench_finetune.py [--quick] [--json FILE] [--model GGUF] [--data faq …] [--knowledge] [--cuda]

The sides take turns, each in a fresh process, on the same tokens from the same starting weights; medians and their ratios are
printed with the machine. `plain` and `plain_bf16` get our batches, rows of like length together, so that the loss curves can be
compared; `plain_random` draws its own, as it does for those who use it. `ours_anchor` is also held to former predictions on
general text, as the presets have it. `--knowledge` teaches the facts
of two made-up companies with a preset, each for itself, and asks the served adapter. `--cuda` is the comparison for a machine
with a CUDA device: a model of the shape of Llama 3 8B, our strategies against `transformers.Trainer`, PEFT and PyTorch's fused
attention.
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
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from engine.child_process import child_environment  # noqa: E402
from engine.config import PROJECT_ROOT, load_settings  # noqa: E402
from engine.domain import Json  # noqa: E402
from engine.hardware import inspect_hardware  # noqa: E402
from engine.training.bases.base_model import training_copy  # noqa: E402
from engine.training.config import PRESETS, TrainingConfig  # noqa: E402
from engine.training.datasets.encoding import EncodedExample  # noqa: E402
from scripts.finetune_bench import knowledge, workload  # noqa: E402

Figures = dict[str, float]
Options = Mapping[str, Json]
Side = tuple[str, str, Options]
"""A name to print, the module, and what it is told beside base, rows and settings."""

CPU_SIDES: tuple[Side, ...] = (
    ("plain", "plain", {"bf16": False}),
    ("plain_bf16", "plain", {"bf16": True}),
    ("plain_random", "plain", {"bf16": False, "own_batches": True}),
    ("ours", "ours", {"strategy": "peft"}),
    ("ours_anchor", "ours", {"strategy": "peft", "anchored": True}),
)
CUDA_SIDES: tuple[Side, ...] = (
    ("plain", "plain", {"bf16": True}),
    ("ours_peft", "ours", {"strategy": "peft", "dtype": "bfloat16"}),
    ("ours_unsloth", "ours", {"strategy": "unsloth", "dtype": "bfloat16"}),
)
AIMS = {"speed": (2.0, "at least"), "device_memory": (0.5, "at most")}
"""What is asked of ours against the best of the other sides."""


def main() -> None:
    """Read the arguments, measure, print."""
    given = _arguments()
    results: dict[str, Json] = {"machine": _machine()}
    with tempfile.TemporaryDirectory() as folder:
        if given.cuda:
            results["cuda"] = _cuda(given, Path(folder))
        else:
            base = training_copy(given.model, given.cache or Path(folder))
            results |= {name: _compare(name, base, given, Path(folder)) for name in given.data}
        if given.knowledge:
            results["knowledge"] = {
                name: knowledge.measure(given.model, PRESETS[given.preset], Path(folder), given.wordings, name)
                for name in workload.FACT_SETS
            }
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def _compare(name: str, base: Path, given: argparse.Namespace, folder: Path) -> dict[str, Json]:
    """All sides in turns on one set of rows, on the CPU."""
    rows = workload.DATA[name](given.model)
    steps = 4 if given.quick else given.steps
    if name == "full":  # its steps take ten times as long
        steps = max(3, steps // 2)
    config = TrainingConfig(max_steps=steps, max_sequence_length=workload.LENGTH, early_stopping_patience=0, eval_samples=0)
    lengths = sorted(len(item.tokens) for item in rows)
    print(f"\n{name}: {len(rows)} rows of {lengths[0]} to {lengths[-1]} tokens, median {statistics.median(lengths):.0f}")
    sides = [side for side in CPU_SIDES if side[0] in given.sides]
    found = _rounds(sides, base, rows, config, given, folder)
    return _table(found, best_of=[name for name in ("plain", "plain_bf16") if name in found])


def _cuda(given: argparse.Namespace, folder: Path) -> dict[str, Json]:
    """All sides in turns on a model of the shape of Llama 3 8B."""
    import torch

    from scripts.finetune_bench.cuda import write_random_base

    if not torch.cuda.is_available() and not given.layers:
        print("There is no CUDA device here; `--layers 1` tries the script out without one.")
        return {}
    layers = given.layers or 32
    base = (given.cache or folder) / f"llama-3-8b-shape-{layers}"
    write_random_base(base, layers=layers)
    config = TrainingConfig(
        rank=32,
        alpha=64,
        batch_size=2,
        gradient_accumulation=4,
        max_steps=4 if given.quick else given.steps,
        learning_rate=1e-4,
        max_sequence_length=workload.LENGTH,
        early_stopping_patience=0,
        eval_samples=0,
    )
    # Random weights know no words: the tokens of a small model's vocabulary do as well as their own.
    rows = workload.faq_rows(given.model)
    sides = CUDA_SIDES if torch.cuda.is_available() else CUDA_SIDES[:2]
    return _table(_rounds(sides, base, rows, config, given, folder), best_of=("plain",))


def _rounds(
    sides: Sequence[Side],
    base: Path,
    rows: Sequence[EncodedExample],
    config: TrainingConfig,
    given: argparse.Namespace,
    folder: Path,
) -> dict[str, list[dict[str, Json]]]:
    """What each side reported in each round."""
    path = folder / "rows.json"
    workload.write_rows(rows, path)
    general = workload.general_tokens(given.model)
    found: dict[str, list[dict[str, Json]]] = {name: [] for name, _, _ in sides}
    for _ in range(1 if given.quick else given.repeats):
        for name, module, options in sides:
            chosen = replace(config, dtype=str(options.get("dtype", config.dtype)))
            task = {"base": str(base), "rows": str(path), "config": chosen.to_json(), **options}
            if options.get("anchored"):
                task["general"] = list(general)
            found[name].append(_run(name, module, task))
    return found


def _run(name: str, module: str, task: Options) -> dict[str, Json]:
    command = [sys.executable, "-m", f"scripts.finetune_bench.{module}", json.dumps(dict(task))]
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    # Ours as the product starts it, which has its threads sleep while they wait; the others as they are started by default.
    environment = child_environment() if module == "ours" else dict(os.environ)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, env=environment | offline)
    figures: dict[str, Json] = json.loads(done.stdout.splitlines()[-1])
    shown = {key: value for key, value in figures.items() if key != "losses"}
    print(f"  {name:12} {json.dumps(shown)}   load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    return figures


def _table(found: dict[str, list[dict[str, Json]]], best_of: Sequence[str]) -> dict[str, Json]:
    """Medians of each side, and what ours are against the faster of the others."""
    medians: dict[str, Figures] = {
        name: {
            key: statistics.median(_number(figures[key]) for figures in rounds)
            for key in ("tokens_per_s", "peak_mb", "device_peak_mb")
            if key in rounds[0]
        }
        for name, rounds in found.items()
    }
    other = max(best_of, key=lambda name: medians[name]["tokens_per_s"])
    table: dict[str, Json] = {}
    for name, figures in medians.items():
        line: dict[str, Json] = {**figures, "losses": found[name][0]["losses"]}
        if name.startswith("ours"):
            line |= _against(figures, medians[other]) | {
                "against": other,
                "loss_difference": _difference(found[name][0], found[best_of[0]][0]),
            }
            if "plain_random" in medians:
                line["speed_against_random_batches"] = figures["tokens_per_s"] / medians["plain_random"]["tokens_per_s"]
        table[name] = line
        print(f"{name:12} {json.dumps({key: value for key, value in line.items() if key != 'losses'})}")
        print(f"{'':12} losses {' '.join(f'{_number(loss):.4f}' for loss in _losses(found[name][0]))}")
    return table


def _against(ours: Figures, other: Figures) -> dict[str, Json]:
    ratios = {"speed": ours["tokens_per_s"] / other["tokens_per_s"], "memory": ours["peak_mb"] / other["peak_mb"]}
    if "device_peak_mb" in ours:
        ratios["device_memory"] = ours["device_peak_mb"] / other["device_peak_mb"]
    missed = [
        f"{name}: {side} {aim}"
        for name, (aim, side) in AIMS.items()
        if name in ratios and (ratios[name] < aim if side == "at least" else ratios[name] > aim)
    ]
    return {**ratios, "missed": list[Json](missed)}


def _difference(ours: Mapping[str, Json], other: Mapping[str, Json]) -> float:
    """The largest distance of two loss curves, as a share of the other's loss."""
    pairs = zip(map(_number, _losses(ours)), map(_number, _losses(other)), strict=True)
    return max(abs(mine - theirs) / theirs for mine, theirs in pairs)


def _losses(figures: Mapping[str, Json]) -> list[Json]:
    losses = figures["losses"]
    assert isinstance(losses, list)
    return losses


def _number(value: Json) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _machine() -> dict[str, Json]:
    hardware = inspect_hardware()
    machine: dict[str, Json] = {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": hardware.cpu,
        "cores": hardware.logical_cores,
        "gpus": [gpu.name for gpu in hardware.gpus],
        "memory_gb": round(hardware.memory_total / 1e9, 1),
        "load": list(os.getloadavg()),
        "system": f"{hardware.cpu}, {hardware.logical_cores} cores, {platform.system()} {platform.release()}",
    }
    print(json.dumps(machine))
    return machine


def _arguments() -> argparse.Namespace:
    default = PROJECT_ROOT / "models" / f"{load_settings().default_model}.gguf"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=default, help="the base, a GGUF file")
    parser.add_argument("--cache", type=Path, help="where dequantised copies are kept; a temporary folder if not given")
    parser.add_argument("--data", nargs="*", choices=list(workload.DATA), default=list(workload.DATA))
    names = [name for name, _, _ in CPU_SIDES]
    parser.add_argument("--sides", nargs="*", choices=names, default=names, help="who takes part, on the CPU; plain has to")
    parser.add_argument("--steps", type=int, default=10, help="optimiser steps of a run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of four steps")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--knowledge", action="store_true", help="also teach two sets of facts and ask for them")
    parser.add_argument("--preset", choices=list(PRESETS), default="quick", help="the settings for --knowledge")
    parser.add_argument(
        "--wordings", type=int, default=knowledge.WORDINGS, help="with --knowledge: other wordings of each question, at most"
    )
    parser.add_argument("--cuda", action="store_true", help="the comparison for CUDA devices instead of the one for CPUs")
    parser.add_argument("--layers", type=int, help="with --cuda: fewer layers than 32, to try the script out")
    return parser.parse_args()


if __name__ == "__main__":
    main()
