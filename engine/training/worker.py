"""The child process of a fine-tune: `python -m engine.training.worker RUN_DIR`.

A process of its own, so that memory is freed at the end whatever the libraries hold, and so that it can be killed at any
moment. It tells what happens as JSON Lines on standard output (events `message`, `progress`, then `done` or `error`), writes
its log to standard error, and goes away when its standard input ends: that is when its parent died.

A launcher may start it several times, once for each device (`engine.training.group`): the processes share the steps of the
training, and the first of them does everything else.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from engine.child_process import tell_of
from engine.domain import Json, utc_now
from engine.errors import TrainingError
from engine.llm.llamacpp.long_rope import long_rope
from engine.training import group
from engine.training.adapters.gate import Subject, reference_folder, run_gate
from engine.training.adapters.gguf_adapter import write_gguf_adapter
from engine.training.adapters.model_card import card_markdown, library_versions, licence_of
from engine.training.bases.base_model import base_notices, copy_source, require_trainable, training_copy
from engine.training.datasets.encoding import EncodedExamples, open_encoder
from engine.training.datasets.examples import Dataset, make_dataset
from engine.training.datasets.general_text import GENERAL_TEXT
from engine.training.loop.control import RunControl
from engine.training.loop.ranks import ALONE, Ranks
from engine.training.loop.samples import sample_questions
from engine.training.run_folder import RunSpec, read_run, unchanged_base
from engine.training.strategies.unsloth_trainer import unsloth_versions
from engine.training.trainer import Progress, Trainer, TrainingData, TrainingPaths, TrainingResult, choose_trainer


def main(arguments: list[str]) -> int:
    """Run the fine-tune in the folder named by the only argument. Returns the exit status."""
    control = RunControl()
    return tell_of(
        lambda emit: run(Path(arguments[0]), emit, control, group.join()),
        control.hear,  # checkpoints are written whole
        listen=group.listen,
        only_errors=group.rank_and_count()[0] > 0,
    )


def run(run_dir: Path, emit: Progress, control: RunControl | None = None, ranks: Ranks = ALONE) -> None:
    """Train, convert and check; leaves the adapter and its card in the run's `output` folder.

    Of several processes (`ranks`) those after the first only train.

    Raises:
        JobPaused: `control` asked for it; a second call goes on.
        NexusError: whatever went wrong.
    """
    spec, examples = read_run(run_dir)
    dataset = make_dataset(examples, spec.config.eval_fraction)
    durations: dict[str, Json] = {}
    with _timed("prepare_s", durations), _first_one_first(ranks):
        base_sha256 = unchanged_base(run_dir, spec)
        base = require_trainable(spec.base_gguf)
        rope = long_rope(spec.base_gguf)
        data = _encode(spec, dataset, None if rope is None else rope.longest(long_positions=spec.long_positions))
        emit({"event": "message", "text": "Preparing the training copy of the model."})
        copy = training_copy(spec.base_gguf, spec.cache_dir, long_positions=spec.long_positions)
        paths = TrainingPaths(copy, run_dir)
        notices = base_notices(base, paths.base_folder)
    trainer = choose_trainer(spec.strategy, ranks)
    with _timed("train_s", durations):
        emit({"event": "message", "text": f"Training on {len(data.train.items)} examples."})
        result = _train(trainer, spec, dataset, data, paths, emit, control or RunControl())
    if not ranks.leads:
        return
    with _timed("convert_s", durations):
        emit({"event": "message", "text": "Writing the adapter."})
        adapter = paths.output / "adapter.gguf"
        write_gguf_adapter(result.peft_dir, spec.base_gguf, adapter)
    with _timed("parity_s", durations):
        emit({"event": "message", "text": "Comparing the served adapter with the trained one."})
        reference = reference_folder(spec.base_gguf, paths.base_folder)
        subject = Subject(paths.base_folder, paths.peft_dir, spec.served, adapter, reference, spec.long_positions)
        chats, trained = [*dataset.held_out, *dataset.train], [*data.held_out.items, *data.train.items]
        parity = run_gate(subject, data.held_out.items, chats, trained)
    about: dict[str, Json] = {
        "file": spec.base_gguf.name,
        "sha256": base_sha256,
        "architecture": base.architecture,
        "weights": copy_source(paths.base_folder).get("weights", "dequantised"),
        **({"long_positions": True} if spec.long_positions else {}),
    }
    card = _card(spec, about, dataset, data, replace(result, notices=(*notices, *result.notices))) | {
        "strategy": trainer.name,
        "processes": ranks.count,
        "versions": _versions(trainer.name),
        "parity": parity.to_json(),
        "durations": durations,
        "licence": licence_of(spec.base_gguf),
    }
    (paths.output / "README.md").write_text(card_markdown(spec.name, card), "utf-8")
    (paths.output / "card.json").write_text(json.dumps(card, indent=1), "utf-8")


def _train(
    trainer: Trainer,
    spec: RunSpec,
    dataset: Dataset,
    data: TrainingData,
    paths: TrainingPaths,
    emit: Progress,
    control: RunControl,
) -> TrainingResult:
    """Train, with the base's vocabulary at hand to read what the model answers meanwhile."""
    with open_encoder(spec.base_gguf) as encoder:
        samples = sample_questions(encoder, dataset, spec.config.eval_samples, spec.config.max_sequence_length)
        return trainer.train(replace(data, samples=samples), spec.config, paths, emit, control)


def _encode(spec: RunSpec, dataset: Dataset, longest: int | None) -> TrainingData:
    """Both parts of the data as tokens; `longest`: the most that a conversation has where the base is served."""
    limit = min(spec.config.max_sequence_length, longest or spec.config.max_sequence_length)
    with open_encoder(spec.base_gguf) as encoder:
        train = encoder.encode(dataset.train, limit)
        held_out = encoder.encode(dataset.held_out, limit, required=False) if dataset.held_out else EncodedExamples()
        return TrainingData(train, held_out, general=encoder.plain(GENERAL_TEXT))


def _card(
    spec: RunSpec, base: dict[str, Json], dataset: Dataset, data: TrainingData, result: TrainingResult
) -> dict[str, Json]:
    """What is known of how the adapter was made."""
    curve: list[Json] = [{name: value for name, value in row.items() if name != "samples"} for row in result.curve]
    samples: list[Json] = [{"step": row["step"], "answers": row["samples"]} for row in result.curve if row.get("samples")]
    measured = [row["eval_loss"] for row in result.curve if row.get("eval_loss") is not None]
    return {
        "id": spec.id,
        "name": spec.name,
        "created_at": utc_now().isoformat(),
        "base": base,
        "dataset": {
            "sha256": dataset.sha256(),
            "duplicates": dataset.duplicates,
            "train": data.train.report(),
            "held_out": data.held_out.report(),
        },
        "config": spec.config.to_json(),
        "curve": curve,
        "evaluation": {
            "loss": result.curve[-1]["loss"] if result.curve else None,
            "held_out_loss": measured[-1] if measured else None,
            "steps": len(curve),
            "stopped_early": result.stopped_early,
            "ending": result.ending,
            "best_step": result.best_step,
            "notices": list(result.notices),
        },
        "samples": samples,
    }


def _versions(strategy: str) -> dict[str, Json]:
    """The versions of the libraries that had a part in it."""
    return library_versions() | (unsloth_versions() if strategy == "unsloth" else {})


@contextmanager
def _first_one_first(ranks: Ranks) -> Iterator[None]:
    """The first process goes through the block before the others: what it writes there is there for them."""
    if not ranks.leads:
        ranks.wait()
    yield
    if ranks.leads:
        ranks.wait()


@contextmanager
def _timed(name: str, durations: dict[str, Json]) -> Iterator[None]:
    """Note how many seconds the block took."""
    started = time.monotonic()
    yield
    durations[name] = round(time.monotonic() - started, 3)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise TrainingError("usage: python -m engine.training.worker RUN_DIR")
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # the watching thread sits in a read, and libraries take seconds to take themselves apart
