"""One llama.cpp context: a key-value cache that several sequences share, and the batch that goes through it.

Everything that would end the process is checked here, before llama.cpp sees it: the size of a batch, the sequence numbers,
rows without logits, the positions of a sequence's tokens, the room that is left, the order of freeing.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import AdapterError, ModelError, OutOfMemoryError
from engine.llm.llamacpp.cells import CellLedger
from engine.llm.llamacpp.library import AbortSwitch, load_library
from engine.llm.llamacpp.loaded import LoadedAdapter, LoadedModel
from engine.llm.llamacpp.sampling import Logits
from engine.llm.llamacpp.tokens import Token

_ABORTED = 2
"""What `llama_decode` returns when it was told to stop. It removes the batch's tokens from the cache (llama-context.cpp)."""

_CELL_STEP = 256
"""llama.cpp rounds the size of the cache to this."""


@dataclass(frozen=True, slots=True)
class ContextShape:
    """How large a context is.

    `cells`: tokens that all sequences together may keep. `sequences`: sequence numbers in use, kept prefixes included.
    `batch`: tokens of one decode. `threads`: processor threads.
    """

    cells: int
    sequences: int
    batch: int
    threads: int


@dataclass(frozen=True, slots=True)
class Row:
    """A token to be decoded: its place in its sequence, and whether its logits are wanted."""

    token: Token
    position: int
    sequence: int
    wants_logits: bool


class DecodingContext:
    """A context over a model's weights, with at most one adapter. Used by the decode thread alone."""

    def __init__(self, model: LoadedModel, shape: ContextShape, adapter: Path | None, abort: AbortSwitch) -> None:
        """Make the context.

        Raises:
            AdapterError: the adapter cannot be used.
            ModelError: memory does not suffice.
        """
        self.shape = shape
        self._model = model
        self._abort = abort  # llama.cpp holds its address
        self._adapter = None if adapter is None else LoadedAdapter(model, adapter)
        self._rows_with_logits: frozenset[int] = frozenset()
        self.decode_s = 0.0
        """Seconds that llama.cpp has computed in all."""
        try:
            self._pointer = _new_context(model, shape)
            self._attach_adapter()
        except ModelError:
            self.close()
            raise
        library = load_library()
        abort.attach(self._pointer)
        self._memory: int = library.llama_get_memory(self._pointer)
        self._vocabulary_size: int = library.llama_vocab_n_tokens(library.llama_model_get_vocab(model.pointer))
        self._batch = library.llama_batch_init(shape.batch, 0, 1)
        self.cells = CellLedger(library.llama_n_ctx(self._pointer), shape.sequences)
        """Which cells are in use. Read it; this class writes it."""

    def heed(self, abort: AbortSwitch) -> None:
        """Let another switch end decodes from now on."""
        if abort is not self._abort:
            abort.attach(self._open_pointer())
            self._abort = abort

    def decode(self, rows: Sequence[Row]) -> bool:
        """Run tokens through the model; logits of those that want them are there until the next call.

        Returns False when it was told to stop; the sequences are as they were before then.

        Raises:
            ModelError: llama.cpp refused; the sequences of this context are in no known state then.
            ValueError: more rows than a batch takes or than cells are left, or a number out of range.
        """
        pointer = self._open_pointer()
        self._check(rows)
        batch = self._batch
        for index, row in enumerate(rows):
            batch.token[index] = row.token
            batch.pos[index] = row.position
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = row.sequence
            batch.logits[index] = row.wants_logits
        batch.n_tokens = len(rows)
        self._rows_with_logits = frozenset()
        started = time.perf_counter()
        status = load_library().llama_decode(pointer, batch)
        self.decode_s += time.perf_counter() - started
        if status == _ABORTED:
            self._take_back(rows)
            return False
        if status:
            raise ModelError(f"llama.cpp could not decode a batch (status {status}).", hint="Try again with a shorter text.")
        self._rows_with_logits = frozenset(index for index, row in enumerate(rows) if row.wants_logits)
        return True

    def logits(self, index: int) -> Logits:
        """The logits of a row of the last batch, shape (vocabulary,); a view that the next decode overwrites.

        Raises:
            ValueError: that row has none.
        """
        if index not in self._rows_with_logits:
            raise ValueError(f"row {index} of the last batch has no logits")
        address = load_library().llama_get_logits_ith(self._open_pointer(), index)
        return np.ctypeslib.as_array(address, shape=(self._vocabulary_size,))

    def copy_prefix(self, source: int, target: int, length: int) -> None:
        """Let `target` begin with the first `length` tokens of `source`. Takes no room: the cells are shared."""
        self._check_sequence(source)
        self._check_sequence(target)
        memory = self._memory_of_open()
        self.cells.copy(source, target, length)
        library = load_library()
        library.llama_memory_seq_rm(memory, target, -1, -1)
        library.llama_memory_seq_cp(memory, source, target, 0, length)

    def keep_prefix(self, sequence: int, length: int) -> None:
        """Forget all but the first `length` tokens of a sequence."""
        self._check_sequence(sequence)
        memory = self._memory_of_open()
        self.cells.truncate(sequence, length)
        load_library().llama_memory_seq_rm(memory, sequence, length, -1)

    def state_size(self, sequence: int) -> int:
        """The bytes that `read_state` would give; they are not read."""
        self._check_sequence(sequence)
        return int(load_library().llama_state_seq_get_size(self._open_pointer(), sequence))

    def read_state(self, sequence: int) -> bytes:
        """The keys and values of a sequence, to be given to `restore`."""
        library, pointer = load_library(), self._open_pointer()
        buffer = (ctypes.c_uint8 * self.state_size(sequence))()
        written = library.llama_state_seq_get_data(pointer, buffer, len(buffer), sequence)
        return bytes(memoryview(buffer)[:written])

    def restore(self, sequence: int, state: bytes, length: int) -> bool:
        """Let an empty sequence have what `read_state` gave. Whether llama.cpp took it; the sequence is empty if not.

        Args:
            sequence: without any token.
            state: from a context of the same model and adapter; llama.cpp trusts it.
            length: its tokens.

        Raises:
            ValueError: the sequence has tokens, or there is no room.
        """
        self._check_sequence(sequence)
        pointer = self._open_pointer()
        if self.cells.length(sequence):
            raise ValueError(f"sequence {sequence} is not empty")
        self.cells.append(sequence, length)
        library = load_library()
        buffer = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        taken = library.llama_state_seq_set_data(pointer, buffer, len(state), sequence)
        if taken and library.llama_memory_seq_pos_max(self._memory, sequence) == length - 1:
            return True
        self.keep_prefix(sequence, 0)
        return False

    def close(self) -> None:
        """Free the batch, the context and then its adapter. May be called again."""
        library = load_library()
        pointer, self._pointer = getattr(self, "_pointer", 0), 0
        if pointer:
            library.llama_free(pointer)
            self._model.give_back()
        batch = self.__dict__.pop("_batch", None)
        if batch is not None:
            library.llama_batch_free(batch)
        if self._adapter is not None:
            self._adapter.close()

    def _attach_adapter(self) -> None:
        if self._adapter is None:
            return
        library = load_library()
        adapters = (library.llama_adapter_lora_p_ctypes * 1)(self._adapter.pointer)
        if library.llama_set_adapters_lora(self._pointer, adapters, 1, (ctypes.c_float * 1)(1.0)):
            raise AdapterError("llama.cpp could not attach the adapter.", hint="Fine-tune again.")

    def _check(self, rows: Sequence[Row]) -> None:
        """Refuse what llama.cpp must not see; count the cells of what it may."""
        if not 0 < len(rows) <= self.shape.batch:
            raise ValueError(f"a batch takes 1 to {self.shape.batch} tokens, not {len(rows)}")
        if len(rows) > self.cells.free:
            raise ValueError(f"{len(rows)} tokens need more than the {self.cells.free} cells that are left")
        for row in rows:
            self._check_sequence(row.sequence)
            if row.position != self.cells.length(row.sequence):
                raise ValueError(f"sequence {row.sequence} goes on at {self.cells.length(row.sequence)}, not {row.position}")
            self.cells.append(row.sequence)

    def _take_back(self, rows: Sequence[Row]) -> None:
        """Forget the cells of a batch that llama.cpp has taken out of its cache again."""
        for row in reversed(rows):
            self.cells.truncate(row.sequence, row.position)

    def _check_sequence(self, sequence: int) -> None:
        if not 0 <= sequence < self.shape.sequences:
            raise ValueError(f"there is no sequence {sequence}")

    def _open_pointer(self) -> int:
        if not self._pointer:
            raise ModelError("The model was unloaded.")
        return self._pointer

    def _memory_of_open(self) -> int:
        self._open_pointer()
        return self._memory


def _new_context(model: LoadedModel, shape: ContextShape) -> int:
    library = load_library()
    params = library.llama_context_default_params()
    params.n_ctx = -(-shape.cells // _CELL_STEP) * _CELL_STEP
    params.n_batch = params.n_ubatch = shape.batch
    params.n_seq_max = shape.sequences
    params.n_threads = params.n_threads_batch = shape.threads
    params.kv_unified = True  # prefixes are shared between sequences; a part of a sequence can be copied only so
    params.swa_full = True  # sliding-window models must keep old cells for prefixes to be reused
    # On a processor it decodes a batch of eight up to five times slower, and less exactly: it adds up in half precision.
    on, off = library.LLAMA_FLASH_ATTN_TYPE_AUTO, library.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.flash_attn_type = on if model.on_gpu else off
    pointer: int = library.llama_init_from_model(model.borrow(), params) or 0
    if not pointer:
        model.give_back()
        hint = "Choose a smaller context (NEXUS_CONTEXT_TOKENS), or close other programs."
        raise OutOfMemoryError("There is not enough memory for the model's context.", hint=hint)
    return pointer
