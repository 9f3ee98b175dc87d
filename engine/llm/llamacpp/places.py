"""The places of a context: which sequence numbers are taken, what finished sequences left there, and what still fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import NotFoundError
from engine.llm.llamacpp.context import DecodingContext
from engine.llm.llamacpp.generation import Generation
from engine.llm.llamacpp.prefix_store import Enough, PrefixStore
from engine.llm.llamacpp.prefixes import Beginnings, KeptSequence, KeptSequences, ParkedSequences, ParkingSpace, common_prefix
from engine.llm.llamacpp.sequence import LiveSequence
from engine.llm.llamacpp.tokens import Token

WORTH_SHARING = 32
"""A shorter common beginning is computed again rather than waited for or copied."""

WORTH_STORING = 128
"""A shorter beginning is computed again as fast as it is read from a disk."""

CELLS_KEPT = 1024
"""Cells that finished conversations may hold; more of them are parked outside the cache. Attention looks at all cells, so
that 4,000 of them made a short question take twice as long (135M model, two cores)."""

STORED_AT_ONCE = 4
"""Beginnings stored when a context is closed: that must not take long."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place for a sequence, and what of its prompt is computed there or will be copied from `donor`."""

    slot: int
    computed: int = 0
    donor: LiveSequence | None = None
    shared: int = 0


class Places:
    """Gives sequences their places and takes them back. Used by the decode thread alone.

    The cells that live sequences may still come to need are set aside when they begin, so that the cache is never full in the
    middle of an answer.
    """

    def __init__(
        self,
        context: DecodingContext,
        *,
        max_kept: int,
        shares_prefixes: bool,
        parking: ParkingSpace,
        store: PrefixStore | None = None,
    ) -> None:
        """Begin with an empty context.

        Args:
            context: whose places these are.
            max_kept: finished sequences that are kept at most.
            shares_prefixes: whether a part of a sequence can be copied.
            parking: takes what no longer fits into the context.
            store: beginnings from earlier, and where to leave some for later.
        """
        self._store = store if shares_prefixes else None
        self._parked = ParkedSequences(parking)
        self._beginnings = Beginnings()
        self._context = context
        self._max_kept = max_kept
        self._shares_prefixes = shares_prefixes
        self._kept = KeptSequences()
        self._free = list(range(context.shape.sequences))

    def take(self, generation: Generation, live: Sequence[LiveSequence]) -> Place | None:
        """A place for a generation, dropping what was kept longest if need be; None when it has to wait."""
        donor, shared = self._best_live(generation, live)
        restored = self._restored(generation, max(shared, self._best_kept(generation)[1]), live)
        if restored is not None:
            return restored
        kept, length = self._best_kept(generation)
        if donor is not None and shared >= max(length, WORTH_SHARING):
            if not self._make_room(generation.cells - shared, live, None):
                return None
            self._note(generation, shared)
            return Place(self._free.pop(0), donor=donor, shared=shared)
        if kept is not None and length >= WORTH_SHARING:
            return self._begin_from(kept, length, generation, live)
        return Place(self._free.pop(0)) if self._make_room(generation.cells, live, None) else None

    def leave(self, sequence: LiveSequence) -> None:
        """Take a sequence's place back; its cells are kept where that may save work."""
        kept = KeptSequence(sequence.slot, tuple(sequence.tokens[: sequence.computed]))
        if self._worth_keeping(sequence, kept.tokens):
            self._kept.add(kept)
            self._shrink()
        else:
            self.free(sequence.slot)

    def free(self, slot: int) -> None:
        """Take a place back and forget what is there."""
        self._context.keep_prefix(slot, 0)
        self._free.append(slot)

    def close(self) -> None:
        """Forget what is parked; the context is the caller's to close."""
        self._parked.clear()

    def store_beginnings(self, enough: Enough) -> int:
        """Leave on disk what several prompts began with and what is still here, until there was `enough` of it.

        Nothing may be live any more. Returns how many there was no time for.
        """
        missed = 0
        for beginning in self._beginnings.commonest(STORED_AT_ONCE):
            if self._store is not None and self._free and not self._store.holds(beginning):
                stored = not enough() and self._store_one(self._store, beginning, enough)
                missed += enough() and not stored
        return missed

    def _store_one(self, store: PrefixStore, beginning: Sequence[Token], enough: Enough) -> bool:
        slot = self._recall(beginning)
        if slot is None:
            return False
        stored = store.save(beginning, self._context.read_state(slot), enough)
        self.free(slot)
        return stored

    def _recall(self, beginning: Sequence[Token]) -> int | None:
        """A place with exactly this beginning, from what is kept or parked."""
        kept, length = self._kept.best_for(beginning)
        if kept is not None and length == len(beginning):
            slot = self._free.pop(0)
            self._context.copy_prefix(kept.slot, slot, length)
            return slot
        parked, length = self._parked.best_for(beginning)
        if length < len(beginning) or self._context.cells.free < len(parked):
            return None
        slot = self._free.pop(0)
        if not self._context.restore(slot, self._parked.look_at(parked), len(parked)):
            self._free.append(slot)
            return None
        self._context.keep_prefix(slot, length)
        return slot

    def _begin_from(
        self, kept: KeptSequence, length: int, generation: Generation, live: Sequence[LiveSequence]
    ) -> Place | None:
        """Go on from a kept sequence: in its place where most of it is used, else in a copy that shares its cells."""
        noted = length if length < len(kept.tokens) else 0
        most_of_it = 2 * length >= len(kept.tokens)
        if not most_of_it and self._make_room(generation.cells - length, live, kept):
            self._note(generation, noted)
            self._kept.touch(kept)
            slot = self._free.pop(0)
            self._context.copy_prefix(kept.slot, slot, length)
            return Place(slot, computed=length)
        freed = self._context.cells.owned(kept.slot, length)
        if not self._make_room(generation.cells - length - freed, live, kept, needs_slot=False):
            return None
        self._note(generation, noted)  # only now: a request that waits for room asks again at every step
        self._kept.remove(kept)
        self._context.keep_prefix(kept.slot, length)
        return Place(kept.slot, computed=length)

    def _restored(self, generation: Generation, better_than: int, live: Sequence[LiveSequence]) -> Place | None:
        """A place with a beginning from memory or from the disk, where that is longer than what is in the cache."""
        parked, length = self._parked.best_for(generation.prompt)
        stored = None if self._store is None else self._store.best_for(generation.prompt)
        on_disk = 0 if stored is None else len(stored.tokens)
        if max(length, on_disk) < better_than + WORTH_SHARING:
            return None
        if length >= on_disk:
            return self._taken_up(parked, length, generation, live)
        if self._store is None or stored is None or not self._make_room(generation.cells, live, None):
            return None
        try:
            state = self._store.load(stored)
        except NotFoundError:
            return None
        return self._refill(stored.tokens, state, on_disk, generation)

    def _taken_up(
        self, parked: tuple[Token, ...], length: int, generation: Generation, live: Sequence[LiveSequence]
    ) -> Place | None:
        """A place that begins as a parked sequence does. What goes to make room for it is parked, and must not oust it."""
        state = self._parked.take(parked)
        if self._make_room(max(generation.cells, len(parked)), live, None):
            return self._refill(parked, state, length, generation)
        self._parked.park(parked, state)
        return None

    def _refill(self, tokens: Sequence[Token], state: bytes, length: int, generation: Generation) -> Place:
        """A place that begins with the first `length` tokens of a state."""
        slot = self._free.pop(0)
        usable = min(length, _most(generation)) if self._context.restore(slot, state, len(tokens)) else 0
        self._context.keep_prefix(slot, usable)
        return Place(slot, computed=usable)

    def _note(self, generation: Generation, length: int) -> None:
        """Two prompts begin alike and go on differently, as with an instruction: not so the turns of one conversation, nor the
        same question asked again (whose last token is computed anew, for its logits)."""
        if self._store is not None and WORTH_STORING <= length < len(generation.prompt) - 1:
            self._beginnings.note(generation.prompt[:length])

    def _make_room(
        self, cells: int, live: Sequence[LiveSequence], spare: KeptSequence | None, *, needs_slot: bool = True
    ) -> bool:
        """Drop kept sequences, the least recently used first, until that many cells and a slot are free. Whether they are."""
        set_aside = sum(self._growth(sequence) for sequence in live)
        while (needs_slot and not self._free) or self._context.cells.free - set_aside < cells:
            victim = self._kept.oldest(spare)
            if victim is None:
                return False
            self._drop(victim)
        return True

    def _growth(self, sequence: LiveSequence) -> int:
        """Cells that a live sequence may still come to need; what it will copy from another takes none."""
        pending = sequence.shared if sequence.donor is not None else 0
        return sequence.generation.cells - pending - self._context.cells.length(sequence.slot)

    def _best_live(self, generation: Generation, live: Sequence[LiveSequence]) -> tuple[LiveSequence | None, int]:
        """The running sequence with the longest common beginning; of a less urgent one only what is computed counts."""
        best: LiveSequence | None = None
        longest = 0
        for other in live if self._shares_prefixes else ():
            shared = common_prefix(other.tokens, generation.prompt)
            if other.generation.params.priority > generation.params.priority:
                shared = min(shared, other.computed)
            if shared > longest:
                best, longest = other, shared
        return best, min(longest, _most(generation))

    def _best_kept(self, generation: Generation) -> tuple[KeptSequence | None, int]:
        if not self._shares_prefixes:
            return None, 0
        kept, length = self._kept.best_for(generation.prompt)
        return kept, min(length, _most(generation))

    def _worth_keeping(self, sequence: LiveSequence, tokens: Sequence[Token]) -> bool:
        """A person may go on with a conversation; of a job's prompts only the common beginning is asked for again."""
        if not self._shares_prefixes or len(tokens) < WORTH_SHARING:
            return False
        return sequence.generation.urgent or self._kept.best_for(tokens)[1] < WORTH_SHARING

    def _shrink(self) -> None:
        """Park conversations beyond `CELLS_KEPT`; drop what is more than half of the context or than may be live."""
        while self._kept_cells() > CELLS_KEPT:
            victim = next((kept for kept in self._kept if self._stands_alone(kept)), None)
            if victim is None:
                break
            self._drop(victim)
        while len(self._kept) > self._max_kept or self._kept_cells() > self._context.cells.total // 2:
            victim = self._kept.oldest()
            if victim is None:
                return
            self._drop(victim)

    def _stands_alone(self, kept: KeptSequence) -> bool:
        """Whether a sequence shares less than half of its cells, so that they would become free without it."""
        return 2 * self._context.cells.owned(kept.slot) > len(kept.tokens)

    def _kept_cells(self) -> int:
        return self._context.cells.used_by(kept.slot for kept in self._kept)

    def _drop(self, kept: KeptSequence) -> None:
        """Take a sequence out of the cache, and park it where that gives room. What could not be parked is not even read."""
        if self._stands_alone(kept) and self._parked.fits(self._context.state_size(kept.slot)):
            self._parked.park(kept.tokens, self._context.read_state(kept.slot))
        self._kept.remove(kept)
        self.free(kept.slot)


def _most(generation: Generation) -> int:
    """What of a prompt can be taken over: the last token is decoded for its logits."""
    return len(generation.prompt) - 1
