"""Trainings of the tiny model in several processes, for test_ranks: `python several.py TASKS RESULTS`, both files of JSON.

Libraries are imported once, which takes longer than all trainings: their processes are forked from this one, which only loads
the model and computes nothing.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from engine.domain import Json
from engine.errors import NexusError
from engine.training import group
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExample, EncodedExamples, open_encoder
from engine.training.datasets.examples import examples_from_pairs
from engine.training.loop.control import RunControl
from engine.training.loop.learner import Learner
from engine.training.loop.run_state import RunState
from engine.training.strategies.lora_model import lora_model, training_loss
from engine.training.strategies.peft_trainer import train_learner
from engine.training.trainer import TrainingData, TrainingPaths

Task = Mapping[str, Any]


def data_of(task: Task, rank: int) -> TrainingData:
    """Eight examples to learn, and two that are held out; other ones in a process that is to have other data."""
    factor = 8 if rank == task.get("other_data") else 7
    pairs = [(f"What is item {number}?", f"It is number {number * factor}.") for number in range(10)]
    with open_encoder(Path(task["gguf"])) as encoder:
        items = encoder.encode(examples_from_pairs(pairs), 512).items
        general = encoder.plain("All that is gold does not glitter. " * 40) if task.get("general") else ()
    return TrainingData(EncodedExamples(items[:8]), EncodedExamples(items[8:]), general=general)


def train(task: Task, rank: int) -> dict[str, Json]:
    """This process's part of a training; what is known of it afterwards."""
    data, config = data_of(task, rank), TrainingConfig.from_json(task["config"])
    paths, control, sizes, taken = TrainingPaths(Path(task["copy"]), Path(task["folder"])), RunControl(), [], [0]
    model = lora_model(paths, config, longest=100)
    plain = training_loss(model, data.general, config.anchor_weight)

    def loss(batch: Sequence[EncodedExample]) -> torch.Tensor:
        if not torch.is_grad_enabled():
            return plain(batch)
        if rank == task.get("short") and len(batch) > 1:
            torch.empty(1 << 60)
        sizes.append(len(batch))
        taken[0] += 1
        return plain(batch) * (torch.nan if rank == task.get("nan") and taken[0] > 5 else 1.0)

    def progress(event: Mapping[str, Json]) -> None:
        if event.get("step") == task.get("at"):
            control.hear(str(task.get("wish", "")).encode())

    result = train_learner(Learner(model, loss), data, config, paths, progress, control, group.join())
    return {
        "losses": [row["loss"] for row in result.curve],
        "ending": result.ending,
        "best_step": result.best_step,
        "notices": list(result.notices),
        "largest": max(sizes),
        "seen": sum(sizes),
    }


def outcome(task: Task, rank: int) -> dict[str, Json]:
    """What `train` gives, or the error that ended it."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(task["processes"])}
    os.environ |= {"LOCAL_WORLD_SIZE": str(task["processes"]), group.RENDEZVOUS: str(Path(task["folder"]) / "meeting")}
    try:
        return train(task, rank)
    except NexusError as exc:
        return {"error": type(exc).__name__, "message": exc.message}


def run(task: Task) -> list[dict[str, Json]]:
    """The outcome of each process."""
    folder, count = Path(task["folder"]), int(task["processes"])
    folder.mkdir(exist_ok=True)
    (folder / "meeting").unlink(missing_ok=True)
    children = []
    for rank in range(count):
        if (child := os.fork()) == 0:
            try:
                (folder / f"outcome-{rank}.json").write_text(json.dumps(outcome(task, rank)))
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    files = [folder / f"outcome-{rank}.json" for rank in range(count)]
    found = [json.loads(file.read_text()) if file.is_file() else {} for file in files]
    for file in files:
        file.unlink(missing_ok=True)
    return found


def import_everything(task: Task) -> None:
    """Do once what makes libraries import the rest of themselves."""
    from accelerate import PartialState  # noqa: F401

    torch.set_num_threads(1)
    config = TrainingConfig.from_json(task["config"])
    state = RunState(lora_model(TrainingPaths(Path(task["copy"]), Path(task["folder"])), config, longest=100), config)
    state.apply_gradients(1e-3)
    data_of(task, 0)


if __name__ == "__main__":
    tasks = json.loads(Path(sys.argv[1]).read_text())
    import_everything(tasks[0])
    outcomes = {task["name"]: run(task) for task in tasks}
    Path(sys.argv[2]).write_text(json.dumps(outcomes))
