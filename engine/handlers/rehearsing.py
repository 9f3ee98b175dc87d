"""What a fine-tune will take: its examples as tokens, and a rehearsal of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.domain import Json, Strategy
from engine.handlers.finetuning_data import chosen_data, frozen_data
from engine.handlers.parts import Parts
from engine.handlers.room import make_room
from engine.jobs import JobContext
from engine.observability.tracing import traced
from engine.requests import DataOptions, RehearsalRequest
from engine.training.config import TrainingConfig
from engine.training.datasets.examples import TrainingExample, make_dataset
from engine.training.settings import preset_with

if TYPE_CHECKING:
    from engine.training.planning.rehearsal import Task
    from engine.training.planning.workload import Workload

MOST_ENCODED = 2_000
"""Examples whose tokens are counted; of more, some at equal distances, and the longest."""
_LONGEST = 64


def workload(
    parts: Parts, options: DataOptions, collection: str | None, dataset: Path | None, base: Path, config: TrainingConfig
) -> Workload:
    """The examples that a fine-tune of `base` would learn, as tokens.

    Raises:
        NexusError: as `chosen_data`, or the base has no usable vocabulary or template.
    """
    return encoded(chosen_data(parts, options, collection, dataset).examples, base, config)


def encoded(examples: Sequence[TrainingExample], base: Path, config: TrainingConfig) -> Workload:
    """The learnt ones among some examples, as tokens of a model.

    Raises:
        InputError: nothing is left to learn.
        ModelError: the base has no usable vocabulary or template.
    """
    from engine.training.datasets.encoding import open_encoder
    from engine.training.planning.workload import Workload

    learnt = make_dataset(examples, config.eval_fraction).train
    with open_encoder(base) as encoder:
        return Workload(tuple(encoder.encode_example(example) for example in _sample(learnt)), len(learnt))


def task_for(parts: Parts, base: Path, config: TrainingConfig, strategy: Strategy, work: Workload) -> Task:
    """What to rehearse of a training: its settings and examples, within what the base was made for."""
    from engine.llm.llamacpp.long_rope import has_long_positions
    from engine.training.bases.model_shape import read_shape
    from engine.training.planning.plan import expected_strategy, limited, settled
    from engine.training.planning.rehearsal import Task

    machine = parts.machine()
    shape = read_shape(base, long_positions=has_long_positions(base, parts.settings.context_tokens))
    config, cut, _ = limited(shape, settled(config, machine), work)
    return Task(base, parts.settings.cache_dir, expected_strategy(strategy, machine), config, cut.items)


@traced("finetune.rehearse", capture_input=False)
def rehearse(parts: Parts, context: JobContext) -> Mapping[str, Json]:
    """Take three steps of a fine-tune, and remember what they took.

    Raises:
        CancelledError: someone stopped the job.
        NexusError: the data make no sense, or the steps failed.
    """
    from engine.training.planning.rehearsals import Rehearsals

    request = RehearsalRequest.model_validate(context.job.payload)
    base = parts.registry.path(request.base or parts.settings.default_model)
    run_dir = parts.settings.runs_dir / context.job.id
    config = preset_with(request.preset, request.settings, base)
    context.progress(0.0, "Reading the examples")
    work = encoded(frozen_data(parts, request, run_dir).examples, base, config)
    task = task_for(parts, base, config, request.strategy, work)
    make_room(parts, base, config, request.strategy, work)
    context.progress(0.2, "Loading the model")
    taken = Rehearsals(parts.settings.cache_dir, parts.machine()).take(
        task,
        parts.registry.sha256(base.stem),
        on_event=lambda event: context.progress(0.5, str(event.get("text", ""))),
        cancel=context.cancel,
    )
    shutil.rmtree(run_dir, ignore_errors=True)
    return {"base": base.stem, "measured": taken.to_json()}


def _sample(examples: Sequence[TrainingExample]) -> Sequence[TrainingExample]:
    """All examples; of very many, the longest and some at equal distances."""
    if len(examples) <= MOST_ENCODED:
        return examples
    by_length = sorted(examples, key=lambda example: -sum(len(turn.content) for turn in example.prompt) - len(example.answer))
    rest = by_length[_LONGEST:]
    count = MOST_ENCODED - _LONGEST
    return [*by_length[:_LONGEST], *(rest[index * len(rest) // count] for index in range(count))]
