"""How a model is fitted to a machine: layers on the GPU, context, sequences, batch and threads, each with its reason.

Arithmetic over what the model file says (`ModelFacts`), what the machine has (`engine.machine.Hardware`) and what the person
has set (`Wishes`). Nothing is loaded or tried here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.config import Settings
from engine.errors import ModelFileError
from engine.llm.llamacpp.long_rope import LongRope, long_rope
from engine.machine import Hardware, inspect_hardware
from engine.model_registry.gguf_file import GgufArray, GgufHeader, array_numbers, read_gguf

ALL_LAYERS = -1
SMALLEST_CONTEXT = 1024
"""Cells below which no context is made unless a person asks for fewer: a question with one passage still fits."""
CELL_STEP = 256
"""llama.cpp rounds the size of the cache to this."""

_CONVERSATION = 8192
"""Tokens that one conversation may take where the model was trained for as many."""
_CELLS_A_SEQUENCE = 512
"""A passage with its question and answer: what each of the sequences decoded together takes."""
_MOST_ON_CPU, _MOST_ON_GPU, _LEAST = 32, 64, 4
_STEP_S = 0.1
"""Longest time of a step with all sequences: what a person waits for each word while a job fills the other places."""
_CORE_RATE = 1.6e10
"""Parameters times tokens that a core computes in a second, in a batch. Measured: 277 tokens/s of 134 million parameters
with 24 sequences on two cores with AVX-512."""
_PLAIN_CORE_RATE = 0.8e10
"""The same without AVX-512 or AMX."""
BATCH_TOKENS = 512
"""Tokens of one decode at most: llama.cpp's default for the batch that is computed at once."""
MOST_PARKED_MB = 256
"""Megabytes for conversations that ended and may go on: some dozens of them with a small model, one or two with a large one."""
_PARKED_SHARE = 1 / 16
"""Part of the memory left beside the weights that they may take."""
_SHARE = 0.25
"""Part of the memory left beside all that which one context may take: there are up to four, and other work."""
_KEPT_FREE = 0.1
"""Part of the machine's memory, or of the GPU's, that is left alone."""
_WORD = 4
"""Bytes of a number in llama.cpp's working memory."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What of a model decides how it fits. `kv_elements`: numbers kept for each cell, of all layers together."""

    layers: int
    heads: int
    kv_elements: int
    vocabulary: int
    trained_context: int
    parameters: int
    weights_bytes: int
    long_rope: LongRope | None = None

    @property
    def cell_bytes(self) -> int:
        """Bytes of a cell: keys and values in half precision, 2 · layers · KV heads · head size · 2 bytes."""
        return 2 * self.kv_elements

    def context_bytes(self, cells: int, sequences: int, batch: int, *, on_gpu: bool = False) -> int:
        """Bytes of a context: the cache, the attention scores of a batch over it, and the logits.

        Flash attention, which is used on a GPU, never holds the scores.
        """
        scores = 0 if on_gpu else cells * batch * (self.heads + 1) * _WORD
        return cells * self.cell_bytes + scores + sequences * self.vocabulary * _WORD


_NOTHING_KNOWN = ModelFacts(0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person has set; None: choose."""

    context_tokens: int | None = None
    max_sequences: int | None = None
    threads: int | None = None
    gpu_layers: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A value and why it is that."""

    value: int
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model is run here.

    `parked`: megabytes for conversations outside of the contexts. `memory`: bytes of the weights, one context and those.
    `long_positions`: whether a LongRoPE model takes its long factors.
    """

    gpu_layers: Choice
    context: Choice
    sequences: Choice
    batch: Choice
    threads: Choice
    parked: Choice
    memory: int
    long_positions: bool = False

    def rows(self) -> Iterator[tuple[str, Choice]]:
        """The choices under the names of their settings, where there is one."""
        yield "gpu_layers", self.gpu_layers
        yield "context_tokens", self.context
        yield "max_sequences", self.sequences
        yield "batch", self.batch
        yield "threads", self.threads
        yield "parked_mb", self.parked


def read_facts(path: Path, header: GgufHeader | None = None) -> ModelFacts:
    """The facts of a model file.

    Raises:
        ModelFileError: it cannot be used.
    """
    header = header or read_gguf(path)
    key = header.architecture
    layers, heads = header.integer(f"{key}.block_count"), _most(path, header, f"{key}.attention.head_count")
    size = header.integer(f"{key}.embedding_length") // max(1, heads)
    keys, values = (header.integer(f"{key}.attention.{name}_length", size) for name in ("key", "value"))
    kv_heads = _sum(path, header, f"{key}.attention.head_count_kv", layers, heads)
    vocabulary = header.metadata.get("tokenizer.ggml.tokens")
    return ModelFacts(
        layers=layers,
        heads=heads,
        kv_elements=kv_heads * (keys + values),
        vocabulary=vocabulary.length if isinstance(vocabulary, GgufArray) else 0,
        trained_context=header.integer(f"{key}.context_length"),
        parameters=header.parameters,
        weights_bytes=sum(tensor.size for tensor in header.tensors),
        long_rope=long_rope(path, header),
    )


def fit(facts: ModelFacts, machine: Hardware, wishes: Wishes = Wishes()) -> Plan:
    """Choose how to run a model on a machine; what the person has set stays as it is."""
    threads = _set("NEXUS_THREADS", wishes.threads) or _threads(machine)
    sequences = _set("NEXUS_MAX_SEQUENCES", wishes.max_sequences) or _sequences(facts, machine, threads.value)
    context = _set("NEXUS_CONTEXT_TOKENS", wishes.context_tokens) or _context(facts, machine, sequences.value)
    if wishes.max_sequences is None and sequences.value > max(1, context.value // CELL_STEP):
        fewer = max(1, context.value // CELL_STEP)
        sequences = Choice(fewer, f"the context of {context.value} tokens has room for no more")
    batch = _batch(facts, machine, context.value)
    layers = _set("NEXUS_GPU_LAYERS", wishes.gpu_layers) or _gpu_layers(facts, machine, context.value, sequences.value)
    taken = facts.context_bytes(context.value, 2 * sequences.value, batch.value, on_gpu=layers.value != 0)
    parked = _parked(facts, machine)
    memory = facts.weights_bytes + taken + (parked.value << 20)
    long_positions = facts.long_rope is not None and facts.long_rope.is_long(wishes.context_tokens)
    return Plan(layers, context, sequences, batch, threads, parked, memory, long_positions)


def plan_for(path: Path, settings: Settings, machine: Hardware | None = None) -> Plan:
    """The plan for a model file on this machine. A file that cannot be read gets one too: the error comes when it is used."""
    try:
        facts = read_facts(path)
    except ModelFileError:
        facts = _NOTHING_KNOWN
    wishes = Wishes(settings.context_tokens, settings.max_sequences, settings.threads, settings.gpu_layers)
    return fit(facts, machine or inspect_hardware(), wishes)


def cells_within(
    facts: ModelFacts, cells: int, sequences: int, batch: int, *, available: int, least: int, on_gpu: bool = False
) -> int:
    """The most cells whose context fits into so many bytes: as asked for, or half of it as often as need be.

    Never fewer than `least`: that is tried in any case, since what is available is an estimate.
    """
    while cells > least and facts.context_bytes(cells, sequences, batch, on_gpu=on_gpu) > available:
        cells = max(least, cells // 2)
    return cells


def _set(name: str, value: int | None) -> Choice | None:
    return None if value is None else Choice(value, f"set by {name}")


def _threads(machine: Hardware) -> Choice:
    return Choice(machine.physical_cores, "the physical cores that this process may use")


def _on_gpu(machine: Hardware) -> bool:
    return machine.llama_cpp_gpu and bool(machine.gpus)


def _sequences(facts: ModelFacts, machine: Hardware, threads: int) -> Choice:
    if _on_gpu(machine):
        return Choice(_MOST_ON_GPU, "a GPU computes many sequences in the time of one")
    wide = {"avx512f", "amx_int8", "amx_bf16"} & set(machine.cpu_flags)
    rate = (_CORE_RATE if wide else _PLAIN_CORE_RATE) * threads
    together = _round_up(round(rate * _STEP_S / max(1, facts.parameters)), 4)
    count = max(_LEAST, min(_MOST_ON_CPU, together))
    if count == _LEAST:
        return Choice(count, "the model is large for this processor; more would only make everyone wait")
    limit = f", which gain nothing beyond {count}" if count == _MOST_ON_CPU else ""
    return Choice(count, f"so many are decoded together in about {_STEP_S:g} s on {_counted(threads, 'thread')}{limit}")


def _context(facts: ModelFacts, machine: Hardware, sequences: int) -> Choice:
    rope = facts.long_rope
    conversation = min((rope.original if rope else facts.trained_context) or _CONVERSATION, _CONVERSATION)
    wanted = _round_up(max(conversation, sequences * _CELLS_A_SEQUENCE), CELL_STEP)
    room = int(_room(facts, machine) * _SHARE)
    gpu = _on_gpu(machine)
    cells = cells_within(facts, wanted, sequences, BATCH_TOKENS, available=room, least=SMALLEST_CONTEXT, on_gpu=gpu)
    if cells < wanted:
        return Choice(cells, f"memory is short: {wanted} tokens would take more than a quarter of what is left")
    size = f"takes {facts.cell_bytes * cells / 1e6:.0f} MB{rope.remark if rope else ''}"
    if wanted > conversation:
        return Choice(cells, f"{_CELLS_A_SEQUENCE} tokens for each of {sequences} sequences; {size}")
    return Choice(cells, f"one long conversation, shared by all sequences; {size}")


def _batch(facts: ModelFacts, machine: Hardware, cells: int) -> Choice:
    if not _on_gpu(machine):
        scores = facts.context_bytes(cells, 0, BATCH_TOKENS) - cells * facts.cell_bytes
        if scores > _room(facts, machine) * _SHARE:
            return Choice(BATCH_TOKENS // 4, "memory is short, so a prompt is read in smaller pieces")
    return Choice(BATCH_TOKENS, "llama.cpp's own default; larger batches are not faster")


def _gpu_layers(facts: ModelFacts, machine: Hardware, cells: int, sequences: int) -> Choice:
    if not machine.llama_cpp_gpu:
        return Choice(0, "llama.cpp was built for the processor alone")
    if not machine.gpus:
        return Choice(ALL_LAYERS, "all; how much memory the GPU has is not known")
    room = sum(gpu.memory_free for gpu in machine.gpus) * (1 - _KEPT_FREE)
    whole = facts.weights_bytes + facts.context_bytes(cells, sequences, BATCH_TOKENS, on_gpu=True)
    if whole <= room:
        return Choice(ALL_LAYERS, f"all: {whole / 1e9:.1f} of {room / 1e9:.1f} GB of GPU memory")
    layers = int(room / (whole / (facts.layers + 1)))
    return Choice(layers, f"as many of {facts.layers} as {room / 1e9:.1f} GB of GPU memory hold; the rest on the processor")


def _parked(facts: ModelFacts, machine: Hardware) -> Choice:
    megabytes = int(_ordinary_room(facts, machine) * _PARKED_SHARE) >> 20
    if megabytes < MOST_PARKED_MB:
        return Choice(megabytes, "memory is short: a sixteenth of what is left is for conversations that may go on")
    return Choice(MOST_PARKED_MB, "conversations that may go on are kept there, to be read no second time")


def _room(facts: ModelFacts, machine: Hardware) -> float:
    """Bytes left for contexts, on the GPU where one computes."""
    if not _on_gpu(machine):
        return _ordinary_room(facts, machine) - (_parked(facts, machine).value << 20)
    room = sum(gpu.memory_free for gpu in machine.gpus) - _KEPT_FREE * sum(gpu.memory_total for gpu in machine.gpus)
    return max(0.0, room - facts.weights_bytes)


def _ordinary_room(facts: ModelFacts, machine: Hardware) -> float:
    """Bytes left in ordinary memory, beside the weights where no GPU has them."""
    weights = 0 if _on_gpu(machine) else facts.weights_bytes
    return max(0.0, machine.memory_available - _KEPT_FREE * machine.memory_total - weights)


def _most(path: Path, header: GgufHeader, key: str) -> int:
    """A number that may differ by layer: the largest."""
    return int(max(_numbers(path, header, key), default=0))


def _sum(path: Path, header: GgufHeader, key: str, layers: int, default: int) -> int:
    """A number for each layer, added up; one number is that of every layer."""
    numbers = _numbers(path, header, key)
    return sum(numbers) if len(numbers) > 1 else layers * (numbers[0] if numbers else default)


def _numbers(path: Path, header: GgufHeader, key: str) -> list[int]:
    value = header.metadata.get(key)
    if isinstance(value, GgufArray):
        return [int(number) for number in array_numbers(path, value)] if value.kind not in ("string", "array") else []
    return [header.integer(key)] if value is not None else []


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
