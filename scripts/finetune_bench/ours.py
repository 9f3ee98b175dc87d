"""Our side: a strategy of `engine.training`, as the worker calls it."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from engine.domain import Json
from engine.training.config import TrainingConfig
from engine.training.encoding import EncodedExamples
from engine.training.trainer import Strategy, TrainingData, TrainingPaths, choose_trainer
from scripts.finetune_bench import workload
from scripts.finetune_bench.cuda import device_memory_mb


def main(base: Path, rows: Path, config: TrainingConfig, strategy: Strategy) -> None:
    """Train as many steps as the settings say."""
    items = workload.read_rows(rows)
    rates: list[float] = []
    losses: list[float] = []

    def progress(event: Mapping[str, Json]) -> None:
        if event["event"] == "progress":
            rates.append(float(str(event["tokens_per_s"])))
            losses.append(float(str(event["loss"])))

    with tempfile.TemporaryDirectory() as folder:
        data = TrainingData(EncodedExamples(tuple(items)), EncodedExamples())
        choose_trainer(strategy).train(data, config, TrainingPaths(base, Path(folder)), progress)
    workload.report(workload.figures(rates, losses) | device_memory_mb())


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    main(Path(given["base"]), Path(given["rows"]), TrainingConfig.from_json(given["config"]), given["strategy"])
