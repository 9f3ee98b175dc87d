"""A lane: one context (the base model, or it with one adapter) and the generations that run in it together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from engine.errors import ModelError, NexusError
from engine.llm.llamacpp.context import DecodingContext, Row
from engine.llm.llamacpp.generation import Generation
from engine.llm.llamacpp.prefixes import KeptSequence, KeptSequences, common_prefix
from engine.llm.llamacpp.sequence import LiveSequence
from engine.llm.llamacpp.tokens import Vocabulary

READING_SLICE = 128
"""Prompt tokens in one batch while others decode: what a reader waits longer for a token while a long prompt comes in."""

WORTH_SHARING = 32
"""A shorter common beginning is computed again rather than waited for or copied."""


@dataclass(frozen=True, slots=True)
class _Beginning:
    """A place for a sequence, and what of its prompt is computed there or will be copied from `donor`."""

    slot: int
    computed: int = 0
    donor: LiveSequence | None = None
    shared: int = 0


class Lane:
    """Runs generations in one context, joining and leaving at any token. Used by the decode thread alone."""

    def __init__(self, context: DecodingContext, vocabulary: Vocabulary, *, max_live: int, shares_prefixes: bool) -> None:
        self._context = context
        self._vocabulary = vocabulary
        self._max_live = max_live
        self._shares_prefixes = shares_prefixes
        self._waiting: list[Generation] = []
        self._live: list[LiveSequence] = []
        self._kept = KeptSequences()
        self._free_slots = list(range(context.shape.sequences))
        self.used_at = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits here."""
        return bool(self._live or self._waiting)

    def add(self, generation: Generation) -> None:
        """Let a generation wait for a place."""
        self._waiting.append(generation)
        self._waiting.sort(key=lambda waiting: waiting.order)

    def step(self) -> None:
        """End what must end, let in what fits, decode one batch, sample.

        Raises:
            ModelError: the context is broken; whoever called must `fail` and `close` this lane.
        """
        self.used_at = time.monotonic()
        self._end_interrupted(self.used_at)
        self._admit()
        self._copy_from_donors()
        rows, ends = self._plan()
        if not rows:
            return
        self._context.decode(rows)
        for sequence, last_row in ends:
            self._sample(sequence, last_row)

    def fail(self, error: NexusError) -> None:
        """End everything here with an error."""
        for sequence in self._live:
            sequence.fail(error)
        for generation in self._waiting:
            generation.fail(error)
        self._live, self._waiting = [], []

    def close(self) -> None:
        """Free the context. May be called again."""
        self._context.close()

    # --- coming and going

    def _end_interrupted(self, now: float) -> None:
        for sequence in list(self._live):
            reason = sequence.generation.interruption(now)
            if reason is not None:
                sequence.finish(reason)
                self._leave(sequence)
        for generation in list(self._waiting):
            reason = generation.interruption(now)
            if reason is not None:
                generation.finish("", reason, 0)
                self._waiting.remove(generation)

    def _admit(self) -> None:
        while self._waiting and len(self._live) < self._places_for(self._waiting[0]):
            if not self._make_room(self._waiting[0]):
                return
            self._start(self._waiting.pop(0))

    def _places_for(self, generation: Generation) -> int:
        """Jobs leave one place free, so that a person never waits for a job to end."""
        return self._max_live if generation.params.priority <= 0 else max(1, self._max_live - 1)

    def _make_room(self, generation: Generation) -> bool:
        """Drop kept sequences, the one this generation can build on last, until it fits. Whether it does."""
        spare, _ = self._kept.best_for(generation.prompt)
        while not self._fits(generation):
            victim = self._kept.oldest(spare)
            if victim is None:
                return spare is not None and generation.cells <= self._cells_left() + len(spare.tokens)
            self._drop(victim)
        return True

    def _fits(self, generation: Generation) -> bool:
        return bool(self._free_slots) and generation.cells <= self._cells_left()

    def _cells_left(self) -> int:
        """Cells that nobody may come to need. Shared cells count for each sharer, so this errs on the safe side."""
        return self._context.shape.cells - self._kept.cells - sum(live.generation.cells for live in self._live)

    def _start(self, generation: Generation) -> None:
        beginning = self._beginning_for(generation)
        sequence = LiveSequence(beginning.slot, generation, self._vocabulary)
        sequence.computed = generation.cached_tokens = beginning.computed
        sequence.donor, sequence.shared = beginning.donor, beginning.shared
        reason = sequence.begin()
        if reason is None:
            self._live.append(sequence)
            self._live.sort(key=lambda live: live.generation.order)
        else:
            sequence.finish(reason)
            self._forget(sequence.slot)

    def _leave(self, sequence: LiveSequence) -> None:
        """Take a sequence out; its cache is kept where that may save work."""
        for other in self._live:
            if other.donor is sequence:
                self._copy(sequence.slot, min(other.shared, sequence.computed), other)
        self._live.remove(sequence)
        kept = KeptSequence(sequence.slot, tuple(sequence.tokens[: sequence.computed]))
        if self._worth_keeping(sequence, kept):
            self._kept.add(kept)
            self._shrink_kept()
        else:
            self._forget(sequence.slot)

    def _worth_keeping(self, sequence: LiveSequence, kept: KeptSequence) -> bool:
        """A person may go on with a conversation; of a job's prompts only the common beginning is asked for again."""
        if not self._shares_prefixes or len(kept.tokens) < WORTH_SHARING:
            return False
        return sequence.generation.params.priority <= 0 or self._kept.best_for(kept.tokens)[1] < WORTH_SHARING

    def _shrink_kept(self) -> None:
        """Kept cells slow attention down for all: at most half of the context, and as many sequences as may be live."""
        while self._kept.cells > self._context.shape.cells // 2 or len(self._kept) > self._max_live:
            victim = self._kept.oldest()
            if victim is None:
                return
            self._drop(victim)

    def _drop(self, kept: KeptSequence) -> None:
        self._kept.remove(kept)
        self._forget(kept.slot)

    def _forget(self, slot: int) -> None:
        self._context.keep_prefix(slot, 0)
        self._free_slots.append(slot)

    # --- sharing beginnings

    def _beginning_for(self, generation: Generation) -> _Beginning:
        """Where a generation starts: from what another sequence has computed or is about to compute, or from nothing."""
        most = len(generation.prompt) - 1 if self._shares_prefixes else 0  # the last token is decoded for its logits
        kept, length = self._kept.best_for(generation.prompt)
        length = min(length, most)
        donor, shared = self._best_live(generation)
        shared = min(shared, most)
        if donor is not None and shared >= max(length, WORTH_SHARING):
            return _Beginning(self._take_slot(generation), donor=donor, shared=shared)
        if kept is None or length < WORTH_SHARING:
            return _Beginning(self._take_slot(generation))
        if 2 * length >= len(kept.tokens) or not self._fits(generation):
            self._kept.remove(kept)
            self._context.keep_prefix(kept.slot, length)
            return _Beginning(kept.slot, computed=length)
        self._kept.touch(kept)
        slot = self._take_slot(generation)
        self._context.copy_prefix(kept.slot, slot, length)
        return _Beginning(slot, computed=length)

    def _take_slot(self, generation: Generation) -> int:
        while not self._fits(generation):
            victim = self._kept.oldest()
            if victim is None:
                break
            self._drop(victim)
        return self._free_slots.pop(0)

    def _best_live(self, generation: Generation) -> tuple[LiveSequence | None, int]:
        """The running sequence with the longest common beginning; of a less urgent one only what is computed counts."""
        best: LiveSequence | None = None
        longest = 0
        for other in self._live:
            shared = common_prefix(other.tokens, generation.prompt)
            if other.generation.params.priority > generation.params.priority:
                shared = min(shared, other.computed)
            if shared > longest:
                best, longest = other, shared
        return best, longest

    def _copy_from_donors(self) -> None:
        for sequence in self._live:
            donor = sequence.donor
            if donor is not None and donor.computed >= sequence.shared:
                self._copy(donor.slot, sequence.shared, sequence)

    def _copy(self, slot: int, length: int, sequence: LiveSequence) -> None:
        if length:
            self._context.copy_prefix(slot, sequence.slot, length)
        sequence.donor = None
        sequence.computed = sequence.generation.cached_tokens = length

    # --- decoding

    def _plan(self) -> tuple[list[Row], list[tuple[LiveSequence, int]]]:
        """The next batch, and for each sequence that is to be sampled the row with its logits.

        Answers come first; what is left of the batch reads prompts, the most urgent first.
        """
        rows: list[Row] = []
        ends: list[tuple[LiveSequence, int]] = []
        ready = [sequence for sequence in self._live if sequence.donor is None]
        answering = [sequence for sequence in ready if not sequence.reading]
        limit = self._context.shape.batch
        budget = min(READING_SLICE, limit) if answering else limit
        for sequence in [*answering, *(sequence for sequence in ready if sequence.reading)]:
            room = limit - len(rows)
            take = min(sequence.waiting, room, budget if sequence.reading else room)
            budget -= take if sequence.reading else 0
            rows.extend(_rows_of(sequence, take))
            sequence.computed += take
            if take and not sequence.waiting:
                ends.append((sequence, len(rows) - 1))
        return rows, ends

    def _sample(self, sequence: LiveSequence, row: int) -> None:
        try:
            goes_on = sequence.advance(self._context.logits(row))
        except ModelError as exc:
            sequence.fail(exc)
            goes_on = False
        if not goes_on:
            self._leave(sequence)


def _rows_of(sequence: LiveSequence, count: int) -> Iterator[Row]:
    """The next tokens of a sequence; the last of all that wait is where the next token is sampled."""
    end = len(sequence.tokens)
    for position in range(sequence.computed, sequence.computed + count):
        yield Row(sequence.tokens[position], position, sequence.slot, position == end - 1)
