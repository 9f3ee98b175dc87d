"""Loading within the memory there is: the weights in the format that is fast here, and the largest context that fits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from engine.errors import ModelFileError, OutOfMemoryError
from engine.llm.llamacpp.context import ContextShape, DecodingContext
from engine.llm.llamacpp.fitting import CELL_STEP, SMALLEST_CONTEXT, ModelFacts, cells_within
from engine.llm.llamacpp.library import AbortSwitch, load_library
from engine.llm.llamacpp.loaded import Latch, LoadedModel
from engine.machine import memory_available

logger = logging.getLogger(__name__)

KEPT_FREE = 256 << 20
"""Bytes that are left to everything else: llama.cpp's cache is filled with zeros at once, and a system without memory kills."""

ChooseWeights = Callable[[Callable[[], bool]], Path]
"""Gives the file to load in place of a model's own, such as a copy in another format; told whether nobody waits any more."""


def load_model(
    path: Path,
    weights: ChooseWeights | None,
    gpu_layers: int,
    all_layers: int,
    stop: Callable[[], bool],
    *,
    long_positions: bool = False,
) -> tuple[LoadedModel, int]:
    """Load a model's weights; also gives the layers that are on the GPU, fewer than asked for where its memory is short.

    A copy that cannot be loaded is passed over.

    Args:
        path: the model's own file.
        weights: gives the file to load in its place.
        gpu_layers: layers wanted on the GPU; -1 for all.
        all_layers: how many there are.
        stop: whether nobody waits any more.
        long_positions: see `LoadedModel`.

    Raises:
        ModelFileError: the model cannot be loaded, not even without the GPU.
        CancelledError: nobody waited any more.
    """
    stop = Latch(stop).stopped  # a request that comes later gets a load of its own
    file, layers = path if weights is None else weights(stop), gpu_layers
    while True:
        try:
            return LoadedModel(file, layers, stop, long_positions=long_positions), layers
        except ModelFileError as exc:
            if file != path:
                logger.warning("The copy %s cannot be used, so the model is used as it is: %s", file.name, exc.message)
                file = path
            elif layers and load_library().llama_supports_gpu_offload():
                layers = (all_layers if layers < 0 else layers) // 2
                logger.warning("%s cannot be loaded; %d layers on the GPU are tried.", file.name, layers)
            else:
                raise


def open_context(
    model: LoadedModel, facts: ModelFacts, shape: ContextShape, adapter: Path | None, abort: AbortSwitch, *, least: int
) -> DecodingContext:
    """A context of the shape that is wanted, or with as many cells as memory allows: half of them, as often as need be.

    Args:
        model: its weights are loaded.
        facts: of the same model.
        shape: what is wanted.
        adapter: to be attached.
        abort: ends its decodes.
        least: cells that the requests at hand need; fewer than that, or than 1024, are not tried.

    Raises:
        OutOfMemoryError: not even the smallest fits.
        AdapterError: the adapter cannot be used.
    """
    smallest = min(shape.cells, max(SMALLEST_CONTEXT, -(-least // CELL_STEP) * CELL_STEP))
    cells = shape.cells
    if not model.on_gpu:
        room = memory_available() - KEPT_FREE
        cells = cells_within(facts, cells, shape.sequences, shape.batch, available=room, least=smallest)
    while True:
        try:
            return DecodingContext(model, replace(shape, cells=cells), adapter, abort)
        except OutOfMemoryError:
            if cells <= smallest:
                raise
            logger.warning("There is no memory for a context of %d tokens; half of that is tried.", cells)
            cells = max(smallest, cells // 2)


def smaller_notice(wanted: int, cells: int, layers: int | None) -> str | None:
    """What a person is told where memory did not allow what was wanted; None where it did.

    Args:
        wanted: cells of the context that were planned.
        cells: those it has.
        layers: layers on the GPU, where they had to become fewer.
    """
    parts = []
    if cells < wanted:
        parts.append(f"the context holds {cells} tokens instead of {wanted}")
    if layers is not None:
        parts.append(f"only {layers} layers are on the GPU")
    return f"Memory is short, so {' and '.join(parts)}. Close other programs to have it all." if parts else None
