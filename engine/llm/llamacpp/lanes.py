"""The lanes of a model, and its weights while they are loaded."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import ContextOverflowError, ModelError, NexusError, OutOfMemoryError
from engine.llm.llamacpp.fitting import ModelFacts, read_facts
from engine.llm.llamacpp.generation import AdapterFile, Generation
from engine.llm.llamacpp.lane import Lane
from engine.llm.llamacpp.library import AbortSwitch, library_version
from engine.llm.llamacpp.loaded import LoadedModel
from engine.llm.llamacpp.loading import load_model, open_context, smaller_notice
from engine.llm.llamacpp.options import RuntimeOptions, Statistics
from engine.llm.llamacpp.prefix_store import PrefixStore
from engine.llm.llamacpp.prefixes import ParkingSpace
from engine.llm.llamacpp.tokens import Vocabulary

logger = logging.getLogger(__name__)

MAX_ADAPTER_LANES = 3
"""Adapters with a context at the same time; each takes the memory of a key-value cache."""

LANE_IDLE_S = 60.0
"""A context that was not used for so long while others were is closed; people's of the base model stays."""

PATIENCE_S = 5.0
"""A job that made way for people's prompts for so long gets a short step all the same."""

STORING_S = 1.0
"""How long the prompt beginnings of a context are written to disk when it is closed; what is left then is computed again."""


@dataclass(frozen=True, slots=True)
class LaneKey:
    """What runs in a lane: an adapter or the base model, for people who wait or for jobs.

    They are kept apart because attention looks at all cells of a cache: a short question would take several times as long in
    one that a job has filled.
    """

    adapter: AdapterFile | None
    urgent: bool


class Lanes:
    """Makes lanes, lets them take turns, and gives their memory back. Used by the decode thread alone."""

    def __init__(
        self,
        options: RuntimeOptions,
        vocabulary: Vocabulary,
        *,
        stop: AbortSwitch,
        pause: AbortSwitch,
        deserted: Callable[[], bool],
        hurried: Callable[[], bool],
        statistics: Statistics,
    ) -> None:
        """Nothing is loaded yet.

        Args:
            options: how to run the model.
            vocabulary: of the same file.
            stop: ends decodes when the model is closed.
            pause: ends those of jobs, too, when someone asks something.
            deserted: whether nobody waits any more for the weights to be loaded.
            hurried: whether someone waits who should not wait for what is written to disk.
            statistics: to be counted up.
        """
        self._options = options
        self._vocabulary = vocabulary
        self._stop = stop
        self._pause = pause
        self._deserted = deserted
        self._hurried = hurried
        self._statistics = statistics
        self._parking = ParkingSpace(options.parked_bytes)
        self._model: LoadedModel | None = None
        self._facts: ModelFacts | None = None
        self._fewer_layers: int | None = None
        self._lanes: dict[LaneKey, Lane] = {}

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        return any(lane.busy for lane in self._lanes.values())

    @property
    def waiting(self) -> int:
        """Requests that have no place yet. Any thread may ask."""
        return sum(lane.queued for lane in list(self._lanes.values()))

    def place(self, generation: Generation) -> bool:
        """Give a generation to its lane; False while all that may exist are busy with other adapters.

        Raises:
            ModelError: its lane cannot be made.
            ContextOverflowError: memory allows no context that is large enough.
            CancelledError: nobody waited any more while the weights were loaded.
        """
        lane = self._lane_for(LaneKey(generation.adapter, generation.urgent), generation.cells)
        if lane is not None:
            generation.notice = smaller_notice(self._options.cells, lane.cells, self._fewer_layers)
            lane.add(generation)
        return lane is not None

    def step(self) -> None:
        """A step of each lane with work. Jobs wait while a person's prompt is read, but not for ever."""
        now = time.monotonic()
        for key, lane in sorted(self._lanes.items(), key=lambda entry: not entry[1].urgent):
            makes_way = not lane.urgent and self._someone_waits()
            if lane.busy and (not makes_way or now - lane.used_at >= PATIENCE_S):
                self._step(key, lane, owed=makes_way)
            else:
                lane.end_interrupted()
        for key, lane in list(self._lanes.items()):
            if not lane.busy and key != LaneKey(None, urgent=True) and now - lane.used_at > LANE_IDLE_S:
                self._close(key)

    def fail(self, error: NexusError) -> None:
        """End everything that runs or waits."""
        for lane in self._lanes.values():
            lane.fail(error)

    def rest(self) -> None:
        """Store what is worth it and give back the contexts and the weights, unless someone asks for something meanwhile."""
        for key in self._lanes:
            self._store_beginnings(key)
            if self._hurried():
                return
        self.unload(storing=False)

    def unload(self, *, storing: bool = True) -> None:
        """Give back the contexts and the weights, `storing` what is worth it before."""
        for key in list(self._lanes):
            self._close(key, storing=storing)
        model, self._model = self._model, None
        if model is not None:
            model.close()
            logger.info("Unloaded %s", self._options.path.name)

    def _someone_waits(self) -> bool:
        return any(lane.reading for lane in self._lanes.values())

    def _step(self, key: LaneKey, lane: Lane, *, owed: bool) -> None:
        """A step of a lane, timed; a broken lane goes away with what is in it."""
        started, before = time.perf_counter(), lane.decode_s
        try:
            lane.step(owed=owed)
        except ModelError as exc:
            lane.fail(exc)
            lane.close()
            del self._lanes[key]
        self._statistics.steps += 1
        self._statistics.step_s += time.perf_counter() - started
        self._statistics.decode_s += lane.decode_s - before

    def _close(self, key: LaneKey, *, storing: bool = True) -> None:
        if storing:
            self._store_beginnings(key)
        self._lanes.pop(key).close()

    def _store_beginnings(self, key: LaneKey) -> None:
        until = time.monotonic() + STORING_S
        missed = self._lanes[key].store_beginnings(lambda: self._hurried() or time.monotonic() >= until)
        if missed:
            named = "1 prompt beginning was" if missed == 1 else f"{missed} prompt beginnings were"
            logger.info("%s not stored for %s: there was no time", named, self._options.path.name)

    def _lane_for(self, key: LaneKey, cells: int) -> Lane | None:
        lane = self._lanes.get(key)
        if lane is not None and lane.cells < cells and not lane.busy:  # made when memory was short
            self._close(key)
            lane = None
        if lane is None:
            lane = self._make(key, cells)
        if lane is not None and lane.cells < cells:
            hint = "Shorten the conversation, or close other programs."
            raise ContextOverflowError(f"Memory is short: the context holds {lane.cells} tokens just now.", hint=hint)
        return lane

    def _make(self, key: LaneKey, cells: int) -> Lane | None:
        """A new lane, or that of the others with the same adapter where there is no memory for two."""
        if not self._room_for(key):
            return None
        try:
            lane = self._lanes[key] = self._new_lane(key, cells)
        except OutOfMemoryError:
            shared = self._lanes.get(LaneKey(key.adapter, not key.urgent))
            if shared is None:
                raise
            return shared
        return lane

    def _room_for(self, key: LaneKey) -> bool:
        adapters = {other.adapter for other in self._lanes if other.adapter is not None}
        if key.adapter is None or key.adapter in adapters or len(adapters) < MAX_ADAPTER_LANES:
            return True
        busy = {other.adapter for other, lane in self._lanes.items() if lane.busy}
        idle = [(lane.used_at, other.adapter) for other, lane in self._lanes.items() if other.adapter in adapters - busy]
        if not idle:
            return False
        oldest = min(idle, key=lambda entry: entry[0])[1]
        for other in [other for other in self._lanes if other.adapter == oldest]:
            self._close(other)
        return True

    def _new_lane(self, key: LaneKey, least: int) -> Lane:
        model, facts = self._load()
        store = self._store_for(key.adapter, model)
        path = key.adapter.path if key.adapter else None
        try:
            context = open_context(model, facts, self._options.shape, path, self._stop, least=least)
        except OutOfMemoryError:
            if not self._free_gpu_memory():
                raise
            return self._new_lane(key, least)
        return Lane(
            context,
            self._vocabulary,
            max_live=self._options.max_live,
            keeps_history=model.keeps_history,
            stop=self._stop,
            pause=self._pause,
            parking=self._parking,
            store=store,
        )

    def _store_for(self, adapter: AdapterFile | None, model: LoadedModel) -> PrefixStore | None:
        where = self._options.prefixes
        if where is None:
            return None
        origin = f"{model.identity} {adapter} {library_version()} {model.on_gpu}"
        return PrefixStore(where.folder, origin=origin, limit_bytes=where.limit_bytes)

    def _load(self) -> tuple[LoadedModel, ModelFacts]:
        if self._model is None or self._facts is None:
            started, options = time.monotonic(), self._options
            layers = options.gpu_layers if self._fewer_layers is None else self._fewer_layers
            self._facts = facts = read_facts(options.path)
            self._model, used = load_model(
                options.path, options.weights, layers, facts.layers, self._deserted, long_positions=options.long_positions
            )
            self._fewer_layers = used if used != options.gpu_layers else None
            self._statistics.load_s += time.monotonic() - started
            logger.info("Loaded %s in %.2f s", options.path.name, time.monotonic() - started)
        return self._model, self._facts

    def _free_gpu_memory(self) -> bool:
        """Unload the model, to be loaded again with half its layers on the GPU; False where that cannot help."""
        if self._model is None or self._facts is None or self._lanes or not self._model.on_gpu:
            return False
        layers = self._options.gpu_layers if self._fewer_layers is None else self._fewer_layers
        self._fewer_layers = (self._facts.layers if layers < 0 else layers) // 2
        logger.warning("The GPU is short of memory; %d layers are put on it.", self._fewer_layers)
        self.unload()
        return True
