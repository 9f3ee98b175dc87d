"""How a model is run, and what is counted while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.llm.llamacpp.context import ContextShape
from engine.llm.llamacpp.fitting import BATCH_TOKENS, MOST_PARKED_MB
from engine.llm.llamacpp.loading import ChooseWeights
from engine.llm.llamacpp.prefix_store import PrefixFolder

MAX_SEQUENCES = 256
"""llama.cpp is compiled for no more sequence numbers (LLAMA_MAX_SEQ)."""


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """How to run a model: its file, the cells of each context, live sequences, threads, GPU layers (-1: all), idle time."""

    path: Path
    cells: int
    max_live: int
    threads: int
    gpu_layers: int
    idle_unload_s: float
    batch: int = BATCH_TOKENS
    parked_bytes: int = MOST_PARKED_MB << 20
    """Ordinary memory for conversations that no longer fit into the contexts, of all contexts together."""
    weights: ChooseWeights | None = None
    """Gives the file to load in place of `path`."""
    prefixes: PrefixFolder | None = None
    """Where prompt beginnings are left for the next time."""
    long_positions: bool = False
    """Which factors a LongRoPE model takes (`engine.llm.llamacpp.long_rope`)."""

    @property
    def shape(self) -> ContextShape:
        """The shape of each context: twice the sequence numbers, so that finished ones can be kept."""
        return ContextShape(self.cells, min(2 * self.max_live, MAX_SEQUENCES), self.batch, self.threads)


@dataclass(slots=True)
class Statistics:
    """What the decode thread has done so far. `step_s` is the time of all steps, `decode_s` the part of it in llama.cpp."""

    steps: int = 0
    step_s: float = 0.0
    decode_s: float = 0.0
    load_s: float = 0.0
