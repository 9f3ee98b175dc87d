"""The decode thread of one model: the only thread that touches the weights and the contexts."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from engine.errors import AdapterError, ContextOverflowError, ModelError, NexusError, OutOfMemoryError
from engine.llm.llamacpp.context import ContextShape
from engine.llm.llamacpp.fitting import ModelFacts, read_facts
from engine.llm.llamacpp.generation import AdapterFile, Generation
from engine.llm.llamacpp.lane import Lane
from engine.llm.llamacpp.library import AbortSwitch, library_version
from engine.llm.llamacpp.loaded import LoadedModel
from engine.llm.llamacpp.loading import ChooseWeights, load_model, open_context, smaller_notice
from engine.llm.llamacpp.prefix_store import PrefixFolder, PrefixStore
from engine.llm.llamacpp.tokens import Vocabulary

logger = logging.getLogger(__name__)

MAX_ADAPTER_LANES = 3
"""Adapters with a context at the same time; each takes the memory of a key-value cache."""

CLOSING_S = 2.0
"""How long `close` waits for the decode thread. A decode is aborted at its next graph node, so this is long."""

BATCH_TOKENS = 512
"""Tokens of one decode at most: llama.cpp's default for the batch that is computed at once."""

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
    weights: ChooseWeights | None = None
    """Gives the file to load in place of `path`."""
    prefixes: PrefixFolder | None = None
    """Where prompt beginnings are left for the next time."""

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


class Scheduler:
    """Takes generations from any thread and runs them in its own.

    The thread starts with the first request; weights are loaded by it when they are needed and given back when they were
    not needed for a while. Should it ever end by an error, its requests fail and the next request starts a new one.
    """

    def __init__(self, options: RuntimeOptions, vocabulary: Vocabulary) -> None:
        self._options = options
        self._vocabulary = vocabulary
        self._changed = threading.Condition()
        self._inbox: list[Generation] = []
        self._closed = False
        self._thread: threading.Thread | None = None
        self._abort = AbortSwitch()
        self.statistics = Statistics()
        # From here on: the decode thread's own.
        self._model: LoadedModel | None = None
        self._facts: ModelFacts | None = None
        self._fewer_layers: int | None = None
        self._lanes: dict[AdapterFile | None, Lane] = {}
        self._unplaced: list[Generation] = []

    def submit(self, generation: Generation) -> None:
        """Hand in a generation; its events come through its `deliver`.

        Raises:
            ModelError: the model was closed.
        """
        with self._changed:
            if self._closed:
                raise ModelError("The model was closed.", hint="Load it again.")
            self._inbox.append(generation)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"decode-{self._options.path.stem}", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self) -> None:
        """End everything that runs with an error, free all memory, end the thread. May be called again."""
        with self._changed:
            self._closed = True
            self._abort.throw()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(CLOSING_S)

    # --- the decode thread

    def _run(self) -> None:
        try:
            while self._await_work():
                self._place_new()
                self._step_lanes()
        finally:
            self._end_thread()

    def _await_work(self) -> bool:
        """Take in new requests; wait where there is nothing to do. False when the model was closed."""
        with self._changed:
            if not self._has_work() and not self._changed.wait_for(self._has_work, self._options.idle_unload_s):
                self._unload()
                self._changed.wait_for(self._has_work)
            self._unplaced += self._inbox
            self._inbox = []
            return not self._closed

    def _has_work(self) -> bool:
        return bool(self._closed or self._inbox or self._unplaced or any(lane.busy for lane in self._lanes.values()))

    def _place_new(self) -> None:
        """Give each new request to the lane of its adapter; those whose lane has no room yet stay."""
        remaining: list[Generation] = []
        for generation in sorted(self._unplaced, key=lambda generation: generation.order):
            if not self._place(generation):
                remaining.append(generation)
        self._unplaced = remaining

    def _place(self, generation: Generation) -> bool:
        """Whether the request needs no further placing: it has a lane, or it ended."""
        reason = generation.interruption(time.monotonic())
        if reason is not None:
            generation.finish("", reason, 0)
            return True
        try:
            lane = self._lane_for(generation)
        except ModelError as exc:
            generation.fail(exc)
            return True
        if lane is not None:
            generation.notice = smaller_notice(self._options.cells, lane.cells, self._fewer_layers)
            lane.add(generation)
        return lane is not None

    def _lane_for(self, generation: Generation) -> Lane | None:
        """The lane of an adapter, made if need be; None while all that may exist are busy with other adapters.

        Raises:
            ModelError: it cannot be made.
            ContextOverflowError: memory allows no context that is large enough.
        """
        adapter = generation.adapter
        lane = self._lanes.get(adapter)
        if lane is not None and lane.cells < generation.cells and not lane.busy:  # made when memory was short
            self._lanes.pop(adapter).close()
            lane = None
        if lane is None and self._room_for_lane(adapter):
            lane = self._lanes[adapter] = self._new_lane(adapter, generation.cells)
        if lane is not None and lane.cells < generation.cells:
            hint = "Shorten the conversation, or close other programs."
            raise ContextOverflowError(f"Memory is short: the context holds {lane.cells} tokens just now.", hint=hint)
        return lane

    def _room_for_lane(self, adapter: AdapterFile | None) -> bool:
        adapters = {key: lane for key, lane in self._lanes.items() if key is not None}
        if adapter is None or len(adapters) < MAX_ADAPTER_LANES:
            return True
        idle = [(lane.used_at, key) for key, lane in adapters.items() if not lane.busy]
        if not idle:
            return False
        self._lanes.pop(min(idle, key=lambda entry: entry[0])[1]).close()
        return True

    def _new_lane(self, adapter: AdapterFile | None, least: int) -> Lane:
        model, facts = self._load()
        path = adapter.path if adapter else None
        try:
            context = open_context(model, facts, self._options.shape, path, self._abort, least=least)
        except OutOfMemoryError:
            if not self._free_gpu_memory():
                raise
            return self._new_lane(adapter, least)
        return Lane(
            context,
            self._vocabulary,
            max_live=self._options.max_live,
            keeps_history=model.keeps_history,
            store=self._store_for(adapter, model),
        )

    def _store_for(self, adapter: AdapterFile | None, model: LoadedModel) -> PrefixStore | None:
        where = self._options.prefixes
        if where is None:
            return None
        weights = model.path.stat()
        origin = f"{model.path.name} {weights.st_size} {weights.st_mtime_ns} {adapter} {library_version()} {model.on_gpu}"
        return PrefixStore(where.folder, origin=origin, limit_bytes=where.limit_bytes)

    def _load(self) -> tuple[LoadedModel, ModelFacts]:
        if self._model is None or self._facts is None:
            started, options = time.monotonic(), self._options
            layers = options.gpu_layers if self._fewer_layers is None else self._fewer_layers
            self._facts = facts = read_facts(options.path)
            self._model, used = load_model(options.path, options.weights, layers, facts.layers, lambda: self._closed)
            self._fewer_layers = used if used != options.gpu_layers else None
            self.statistics.load_s += time.monotonic() - started
            logger.info("Loaded %s in %.2f s", options.path.name, time.monotonic() - started)
        return self._model, self._facts

    def _free_gpu_memory(self) -> bool:
        """Unload the model, to be loaded again with half its layers on the GPU; False where that cannot help."""
        if self._model is None or self._facts is None or self._lanes or not self._model.on_gpu:
            return False
        layers = self._options.gpu_layers if self._fewer_layers is None else self._fewer_layers
        self._fewer_layers = (self._facts.layers if layers < 0 else layers) // 2
        logger.warning("The GPU is short of memory; %d layers are put on it.", self._fewer_layers)
        self._unload()
        return True

    def _step_lanes(self) -> None:
        for key, lane in list(self._lanes.items()):
            if not lane.busy:
                continue
            try:
                self._step(lane)
            except ModelError as exc:
                lane.fail(self._closing_error() if self._closed else exc)
                lane.close()
                del self._lanes[key]

    def _step(self, lane: Lane) -> None:
        """A step of a lane, timed."""
        started, before = time.perf_counter(), lane.decode_s
        lane.step()
        self.statistics.steps += 1
        self.statistics.step_s += time.perf_counter() - started
        self.statistics.decode_s += lane.decode_s - before

    def _unload(self) -> None:
        for lane in self._lanes.values():
            lane.store_beginnings()
            lane.close()
        self._lanes = {}
        model, self._model = self._model, None
        if model is not None:
            model.close()
            logger.info("Unloaded %s", self._options.path.name)

    def _end_thread(self) -> None:
        """Leave nobody waiting and nothing in memory, however the thread ends."""
        with self._changed:
            error = self._closing_error()
            for lane in self._lanes.values():
                lane.fail(error)
            for generation in [*self._unplaced, *self._inbox]:
                generation.fail(error)
            self._unplaced, self._inbox = [], []
            self._thread = None
            self._unload()

    def _closing_error(self) -> NexusError:
        if self._closed:
            return ModelError("The model was closed while it answered.", hint="Ask again.")
        return ModelError("The local runtime stopped by an error of its own.", hint="Ask again.", retryable=True)


def adapter_file(path: Path) -> AdapterFile:
    """An adapter's file as it is now.

    Raises:
        AdapterError: there is none.
    """
    try:
        status = path.stat()
    except OSError as exc:
        raise AdapterError(f"The adapter {path.name} cannot be read.", hint="Fine-tune again, or choose another.") from exc
    return AdapterFile(path.absolute(), status.st_mtime_ns, status.st_size)
