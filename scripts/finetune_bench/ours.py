"""Our side: a strategy of `engine.training`, as the worker calls it."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from engine.domain import Json, Strategy
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExamples
from engine.training.trainer import TrainingData, TrainingPaths, choose_trainer
from scripts.finetune_bench import workload


def main(base: Path, rows: Path, config: TrainingConfig, strategy: Strategy, general: tuple[int, ...] = ()) -> None:
    """Train as many steps as the settings say; with tokens of general text, held to former predictions on them."""
    items = workload.read_rows(rows)
    steps: list[Mapping[str, Json]] = []

    def progress(event: Mapping[str, Json]) -> None:
        if event["event"] == "progress":
            steps.append(event)

    with tempfile.TemporaryDirectory() as folder:
        data = TrainingData(EncodedExamples(tuple(items)), EncodedExamples(), general=general)
        choose_trainer(strategy).train(data, config, TrainingPaths(base, Path(folder)), progress)
    figures = workload.figures(_column(steps, "tokens_per_s"), _column(steps, "loss"))
    # As the trainer reports them: with Unsloth they are those of a process below this one.
    figures["peak_mb"] = _column(steps, "memory_peak")[-1] / 2**20
    if "gpu_memory_peak" in steps[-1]:
        figures["device_peak_mb"] = _column(steps, "gpu_memory_peak")[-1] / 2**20
    workload.report(figures)


def _column(steps: list[Mapping[str, Json]], name: str) -> list[float]:
    return [float(str(step[name])) for step in steps]


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    settings = TrainingConfig.from_json(given["config"])
    main(Path(given["base"]), Path(given["rows"]), settings, given["strategy"], tuple(given.get("general", ())))
