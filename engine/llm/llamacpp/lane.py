"""A lane: one context (the base model, or it with one adapter) and the generations that run in it together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import ModelError, NexusError
from engine.llm.llamacpp.context import DecodingContext, Row
from engine.llm.llamacpp.generation import Generation
from engine.llm.llamacpp.library import AbortSwitch
from engine.llm.llamacpp.places import Places
from engine.llm.llamacpp.prefix_store import Enough, PrefixStore
from engine.llm.llamacpp.prefixes import ParkingSpace, common_prefix
from engine.llm.llamacpp.sequence import LiveSequence
from engine.llm.llamacpp.tokens import Token, Vocabulary

READING_SLICE = 128
"""Prompt tokens in one batch while others decode: what a reader waits longer for a token while a long prompt comes in."""

MAKING_UP = 16
"""Tokens of a decode that nobody may end: hardly slower than one token, since the weights are read once for all of them."""

GUESSING_SEQUENCES = 4
"""With more answers at once the processor is busy enough, and tokens that are guessed wrong cost time. JSON pairs of eight
passages came a tenth faster with 4 than with 2, and no faster with 8 (two cores, BF16)."""


@dataclass(frozen=True, slots=True)
class _Sampling:
    """A sequence that gets a token: the row of the batch with its logits, and the guesses in the rows after that."""

    sequence: LiveSequence
    row: int
    guessed: Sequence[Token]


class Lane:
    """Runs generations in one context, joining and leaving at any token. Used by the decode thread alone."""

    def __init__(
        self,
        context: DecodingContext,
        vocabulary: Vocabulary,
        *,
        max_live: int,
        keeps_history: bool,
        stop: AbortSwitch,
        pause: AbortSwitch,
        parking: ParkingSpace,
        store: PrefixStore | None = None,
    ) -> None:
        """Begin with an empty context.

        Args:
            context: closed by this lane.
            vocabulary: of the same model.
            max_live: generations that are decoded together.
            keeps_history: whether a sequence can be copied and cut off in the middle.
            stop: ends its decodes when the model is closed.
            pause: ends those that no person waits for when someone asks something.
            parking: memory for finished sequences, which other lanes share.
            store: prompt beginnings on disk, of the same model and adapter.
        """
        self._context = context
        self._vocabulary = vocabulary
        self._max_live = max_live
        self._guesses = keeps_history
        self._stop = stop
        self._pause = pause if keeps_history else stop  # what cannot be cut off cannot be taken back either
        self._owed = False
        self._waiting: list[Generation] = []
        self._live: list[LiveSequence] = []
        self._places = Places(context, max_kept=max_live, shares_prefixes=keeps_history, parking=parking, store=store)
        self.used_at = time.monotonic()

    @property
    def queued(self) -> int:
        """Generations that wait for a place."""
        return len(self._waiting)

    @property
    def urgent(self) -> bool:
        """Whether a person waits for anything here. Lanes are kept apart by that, but for want of memory they may share one."""
        waits = bool(self._waiting) and self._waiting[0].urgent  # both lists have the most urgent first
        return waits or (bool(self._live) and self._live[0].generation.urgent)

    @property
    def reading(self) -> bool:
        """Whether a person's prompt is being read or waits for it."""
        if self._waiting and self._waiting[0].urgent:
            return True
        return any(sequence.generation.urgent and sequence.reading for sequence in self._live)

    @property
    def decode_s(self) -> float:
        """Seconds that llama.cpp has computed for this lane."""
        return self._context.decode_s

    @property
    def cells(self) -> int:
        """Tokens that all sequences together may keep."""
        return self._context.shape.cells

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits here."""
        return bool(self._live or self._waiting)

    def add(self, generation: Generation) -> None:
        """Let a generation wait for a place."""
        if not self.busy:
            self.used_at = time.monotonic()
        self._waiting.append(generation)
        self._waiting.sort(key=lambda waiting: waiting.order)

    def step(self, *, owed: bool = False) -> None:
        """End what must end, let in what fits, decode one batch, sample.

        A decode that no person waits for is given up when someone asks something. The one after that is short and nobody may
        end it, or a job would never get on where people ask often; the same where a step is `owed` for another reason.

        Raises:
            ModelError: the context is broken; whoever called must `fail` and `close` this lane.
        """
        self.used_at = time.monotonic()
        self._owed = self._owed or owed
        self.end_interrupted()
        self._admit()
        self._copy_from_donors()
        batch = self._plan()
        if not batch.rows:
            return
        self._context.heed(self._stop if self._owed or self._live[0].generation.urgent else self._pause)
        self._owed = not self._context.decode(batch.rows)
        if self._owed:
            batch.take_back()
            return
        for sampling in batch.samplings:
            self._sample(sampling)

    def end_interrupted(self) -> None:
        """End what nobody waits for any more, or for too long."""
        now = time.monotonic()
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

    def fail(self, error: NexusError) -> None:
        """End everything here with an error."""
        for sequence in self._live:
            sequence.fail(error)
        for generation in self._waiting:
            generation.fail(error)
        self._live, self._waiting = [], []

    def store_beginnings(self, enough: Enough) -> int:
        """Leave on disk what several prompts began with, until there was `enough` of it; returns how many were left out.

        Call it before `close`, when nothing runs here.
        """
        return 0 if self._live else self._places.store_beginnings(enough)

    def close(self) -> None:
        """Free the context and what is parked. May be called again."""
        self._places.close()
        self._context.close()

    # --- coming and going

    def _admit(self) -> None:
        while self._waiting and len(self._live) < self._max_live:
            generation = self._waiting[0]
            place = self._places.take(generation, self._live)
            if place is None:
                return
            generation.cached_tokens = place.computed
            sequence = LiveSequence(place.slot, generation, self._vocabulary)
            sequence.computed, sequence.donor, sequence.shared = place.computed, place.donor, place.shared
            self._waiting.pop(0)
            self._begin(sequence)

    def _begin(self, sequence: LiveSequence) -> None:
        self._live.append(sequence)
        self._live.sort(key=lambda live: live.generation.order)
        reason = sequence.begin()
        if reason is not None:
            self._live.remove(sequence)
            sequence.finish(reason)
            self._places.free(sequence.slot)

    def _leave(self, sequence: LiveSequence) -> None:
        """Take a sequence out; those that wait for its beginning get it, or another of them goes on with it."""
        self._live.remove(sequence)
        heirs = [other for other in self._live if other.donor is sequence]
        first = max(heirs, key=lambda heir: heir.shared, default=None)
        for heir in heirs:
            if heir is first or sequence.computed >= heir.shared:
                self._copy(sequence.slot, min(heir.shared, sequence.computed), heir)
            else:
                heir.donor = first
        self._places.leave(sequence)

    # --- sharing beginnings

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

    def _plan(self) -> _Batch:
        """The next batch. Answers come first; what is left of it reads prompts, the most urgent first."""
        ready = [sequence for sequence in self._live if sequence.donor is None]
        answering = [sequence for sequence in ready if not sequence.reading]
        limit = self._context.shape.batch
        batch = _Batch(min(limit, max(MAKING_UP, len(answering))) if self._owed else limit)
        for sequence in answering:
            batch.add(sequence, sequence.waiting, self._guess(sequence, len(answering)))
        budget = READING_SLICE if answering else limit
        for sequence in (sequence for sequence in ready if sequence.reading):
            budget -= batch.add(sequence, budget)
        return batch

    def _guess(self, sequence: LiveSequence, answering: int) -> Sequence[Token]:
        if not self._guesses or answering > GUESSING_SEQUENCES or sequence.waiting != 1:
            return ()
        return sequence.guess()

    def _sample(self, sampling: _Sampling) -> None:
        """Sample the next token, and one more for each guess that was right."""
        sequence, guessed = sampling.sequence, sampling.guessed
        before, right, goes_on = len(sequence.tokens), 0, True
        try:
            while goes_on:
                goes_on = sequence.advance(self._context.logits(sampling.row + right))
                said = sequence.tokens[before:]
                right = common_prefix(said, guessed)
                if right < len(said):
                    break
        except ModelError as exc:
            sequence.fail(exc)
            goes_on = False
        if guessed:
            sequence.learn(len(guessed), right)
            sequence.computed += right
            self._context.keep_prefix(sequence.slot, sequence.computed)
        if not goes_on:
            self._leave(sequence)


class _Batch:
    """The tokens of one decode, as they are gathered."""

    def __init__(self, limit: int) -> None:
        self.rows: list[Row] = []
        self.samplings: list[_Sampling] = []
        self._limit = limit
        self._before: list[tuple[LiveSequence, int]] = []

    def add(self, sequence: LiveSequence, most: int, guessed: Sequence[Token] = ()) -> int:
        """Add the next tokens of a sequence, as many as there is room for, and count them as computed.

        The last of all that wait is where the next token is sampled, and each guess is where the one after it is. Returns how
        many tokens were added, guesses aside.
        """
        count = min(sequence.waiting, most, self._limit - len(self.rows))
        start, end = sequence.computed, sequence.computed + count
        last = count > 0 and count == sequence.waiting
        for position in range(start, end):
            self.rows.append(Row(sequence.tokens[position], position, sequence.slot, last and position == end - 1))
        self._before.append((sequence, start))
        sequence.computed = end
        if last:
            guessed = guessed[: self._limit - len(self.rows)]
            self.samplings.append(_Sampling(sequence, len(self.rows) - 1, guessed))
            self.rows += [Row(token, position, sequence.slot, True) for position, token in enumerate(guessed, end)]
        return count

    def take_back(self) -> None:
        """The batch was not decoded: nothing of it is computed."""
        for sequence, computed in self._before:
            sequence.computed = computed
