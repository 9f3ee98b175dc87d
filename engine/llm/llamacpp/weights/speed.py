"""How fast a model file is decoded on this machine, in a second or two.

The processor is often busy with other things, so that of several tries the quickest counts: it was disturbed least.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.domain import Json
from engine.errors import ModelError
from engine.llm.llamacpp.context import ContextShape, DecodingContext, Row
from engine.llm.llamacpp.library import AbortSwitch
from engine.llm.llamacpp.loaded import LoadedModel

TOGETHER = 24
"""Sequences of the batch that is measured; where the default model's throughput stops to rise on two cores."""
_PROMPT = 128
_TOKEN = 5
"""Any ordinary token: the time does not depend on which."""
_SINGLE_STEPS, _BATCH_STEPS = 4, 2

REQUEST_PROMPT, REQUEST_ANSWER = 256, 48
"""Tokens of a typical request: a question with its passage, and a short answer."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second: reading a prompt, writing one answer, and writing `TOGETHER` answers at once, all of them together."""

    prompt: float
    one: float
    many: float

    @property
    def alone_s(self) -> float:
        """Seconds of a typical request that is alone."""
        return REQUEST_PROMPT / self.prompt + REQUEST_ANSWER / self.one

    @property
    def among_many_s(self) -> float:
        """Seconds of a typical request when as many are under way as are decoded together."""
        return REQUEST_PROMPT / self.prompt + REQUEST_ANSWER / self.many

    def to_json(self) -> dict[str, Json]:
        """The figures as plain data."""
        return {name: round(value, 1) for name, value in asdict(self).items()}


def speed_from_json(value: Json) -> Speed | None:
    """A speed that was stored; None where it is something else."""
    if not isinstance(value, dict):
        return None
    figures = [value.get(name) for name in ("prompt", "one", "many")]
    numbers = [float(figure) for figure in figures if isinstance(figure, int | float) and figure > 0]
    return Speed(*numbers) if len(numbers) == len(figures) else None


def measure(paths: Sequence[Path], threads: int, seconds: float) -> list[Speed]:
    """Measure model files, taking turns so that a disturbance meets all of them.

    Args:
        paths: GGUF files.
        threads: processor threads.
        seconds: no further round begins after this; there is one in any case.

    Raises:
        ModelError: one cannot be loaded or decoded.
    """
    probes = [_Probe(path, threads) for path in paths]
    try:
        end = time.monotonic() + seconds
        while True:
            for probe in probes:
                probe.round()
            if time.monotonic() >= end:
                return [probe.speed for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class _Probe:
    """A model that is measured."""

    def __init__(self, path: Path, threads: int) -> None:
        self._model = LoadedModel(path, gpu_layers=0)
        shape = ContextShape(cells=1024, sequences=TOGETHER, batch=_PROMPT, threads=threads)
        try:
            self._context = DecodingContext(self._model, shape, None, AbortSwitch())
        except ModelError:
            self._model.close()
            raise
        self._best: dict[str, float] = {}

    def round(self) -> None:
        """Measure everything once more."""
        context = self._context
        for sequence in range(TOGETHER):
            context.keep_prefix(sequence, 0)
        self._time("prompt", _PROMPT, lambda: context.decode([Row(_TOKEN, at, 0, at == _PROMPT - 1) for at in range(_PROMPT)]))
        for sequence in range(1, TOGETHER):
            context.copy_prefix(0, sequence, _PROMPT)
        for step in range(_SINGLE_STEPS):
            self._time("one", 1, self._step(_PROMPT + step, range(1)))
        for sequence in range(TOGETHER):
            context.keep_prefix(sequence, _PROMPT)
        for step in range(_BATCH_STEPS):
            self._time("many", TOGETHER, self._step(_PROMPT + step, range(TOGETHER)))

    @property
    def speed(self) -> Speed:
        """The best of all rounds."""
        return Speed(**self._best)

    def close(self) -> None:
        """Free the context and the weights."""
        self._context.close()
        self._model.close()

    def _step(self, position: int, sequences: Iterable[int]) -> Callable[[], object]:
        rows = [Row(_TOKEN, position, sequence, True) for sequence in sequences]
        return lambda: self._context.decode(rows)

    def _time(self, name: str, tokens: int, work: Callable[[], object]) -> None:
        started = time.perf_counter()
        work()
        rate = tokens / max(1e-9, time.perf_counter() - started)
        self._best[name] = max(rate, self._best.get(name, 0.0))


def gains(before: Speed, after: Speed) -> Mapping[str, float]:
    """How many times as fast: `prompt`, `one` and `many`, and whole requests, `alone` and `among_many`."""
    return {
        "prompt": after.prompt / before.prompt,
        "one": after.one / before.one,
        "many": after.many / before.many,
        "alone": before.alone_s / after.alone_s,
        "among_many": before.among_many_s / after.among_many_s,
    }
