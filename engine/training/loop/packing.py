"""A batch of examples laid out in few rows, with their common beginning computed once.

Every prompt of a chat model begins with the same tokens (the template's system message), and FAQ pairs are short: where
each example has a row of its own, most of the work goes into that beginning and into padding. Here several examples stand
in one row behind one copy of the beginning. An example sees the beginning and itself, and its positions count from the
beginning's end, so predictions and gradients are those of rows of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from engine.training.datasets.encoding import EncodedExample

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from engine.training.loop.row_attention import Part

LOGITS_AT_ONCE = 128
"""Tokens whose logits are held at once: 25 MB with a vocabulary of 49,000."""
LOGITS_IN_A_PIECE = LOGITS_AT_ONCE // 2
"""Of them, those of one of two pieces that are computed at the same time; see `engine.training.loop.pieces`."""
ANCHOR_WINDOW = 64
"""Tokens of general text that each pass of a training has besides; see `engine.training.loop.anchor`."""
ROW_TOKENS = 512
"""Tokens of a row that several examples share. Longer rows repeat the beginning less, and attention costs more in them."""
_EVEN = 0.6
"""The larger one's share of two pieces that are worth computing at the same time."""


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """Rows to give to a model, and where its outputs predict tokens of answers.

    `positions` and `visible` are None where each row holds one example: then the model's own causal mask is right.
    """

    tokens: Tensor
    """Token numbers, shape (rows, width); padded on the right with 0."""
    positions: Tensor | None
    """The position of each token in its example, shape (rows, width)."""
    visible: Tensor | None
    """Whether a token (second last axis) sees another (last axis), shape (rows, 1, width, width), bool."""
    predicting: Tensor
    """Indices into the flattened rows: the token before each token of an answer, in the order of the examples."""
    targets: Tensor
    """The tokens of the answers, in the same order."""
    window: Tensor
    """Indices into the flattened rows: the tokens of the text that stands beside the examples; empty without one."""
    parts: tuple[Part, ...] = ()
    """What sees what in a single row, where attention is cheaper part by part."""

    def to(self, device: torch.device) -> PackedBatch:
        """The batch on a device."""
        if self.tokens.device == device:
            return self
        moved = {name: None if tensor is None else tensor.to(device) for name, tensor in self._tensors().items()}
        return PackedBatch(**moved)  # type: ignore[arg-type]  # None stays where None was

    def _tensors(self) -> dict[str, Tensor | None]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "parts"}


def pack(batch: Sequence[EncodedExample], row_tokens: int = ROW_TOKENS, window: Sequence[int] = ()) -> PackedBatch:
    """Lay out a batch in rows of about `row_tokens` tokens; 0 gives each example a row of its own.

    An example that is longer has a row of its own.

    Args:
        batch: the examples.
        row_tokens: see above.
        window: tokens of a text that stands at the end of the shortest row, and sees nothing but itself.
    """
    rows, shared = _places(batch, row_tokens)
    return _layout(batch, rows, shared, window, masked=len(rows) < len(batch) or bool(window))


def in_pieces(batch: Sequence[EncodedExample], beside: int = 0) -> tuple[list[EncodedExample], list[EncodedExample]]:
    """A row's examples in two pieces to be computed at the same time, of about as many tokens; an empty one if they are uneven.

    Args:
        batch: the examples of a row.
        beside: tokens of a text that is computed with the second piece.
    """
    shared = _common_beginning(batch) if len(batch) > 1 else 0
    lengths = [len(item.tokens) - shared for item in batch]
    pieces: tuple[list[EncodedExample], list[EncodedExample]] = ([], [])
    filled = [0, beside]
    for index in sorted(range(len(batch)), key=lambda i: -lengths[i]):
        least = filled.index(min(filled))
        pieces[least].append(batch[index])
        filled[least] += lengths[index]
    even = all(pieces) and max(filled) <= _EVEN * sum(filled)
    return pieces if even else ([], list(batch))


def in_rows(
    batch: Sequence[EncodedExample], at_once: int | None = None, row_tokens: int = ROW_TOKENS
) -> list[list[EncodedExample]]:
    """The examples of a batch row by row, as `pack` lays them out, of no more than `at_once` examples each.

    Computed one after the other, with their gradients added up, they take the memory of a row instead of a batch's.
    """
    rows, _ = _places(batch, row_tokens)
    size = at_once or len(batch)
    return [[batch[index] for index in row[start : start + size]] for row in rows for start in range(0, len(row), size)]


def packed_shape(batch: Sequence[EncodedExample], row_tokens: int = ROW_TOKENS) -> tuple[int, int]:
    """Rows and width of what `pack` makes of a batch, found without PyTorch."""
    rows, shared = _places(batch, row_tokens)
    return len(rows), _width(batch, rows, shared)


def _places(batch: Sequence[EncodedExample], row_tokens: int) -> tuple[list[list[int]], int]:
    """The rows that examples go into, and how many tokens of a common beginning stand before them."""
    shared = _common_beginning(batch) if row_tokens and len(batch) > 1 else 0
    rows = _rows([len(item.tokens) - shared for item in batch], max(row_tokens - shared, 1))
    return (rows, shared) if len(rows) < len(batch) else ([[index] for index in range(len(batch))], 0)


def _width(batch: Sequence[EncodedExample], rows: Sequence[Sequence[int]], shared: int) -> int:
    return max(shared + sum(len(batch[index].tokens) - shared for index in row) for row in rows)


def _common_beginning(batch: Sequence[EncodedExample]) -> int:
    """How many tokens all prompts begin with; the last token of a prompt, which predicts, is not counted."""
    columns = zip(*(item.tokens[: item.prompt_length - 1] for item in batch), strict=False)  # ends with the shortest
    return sum(1 for _ in itertools.takewhile(lambda column: len(set(column)) == 1, columns))


def _rows(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Examples in rows of like length: the longest first, each into the emptiest row (Graham 1969)."""
    count = min(len(lengths), -(-sum(lengths) // capacity))
    rows: list[list[int]] = [[] for _ in range(count)]
    filled = [0] * count
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        row = filled.index(min(filled))
        rows[row].append(index)
        filled[row] += lengths[index]
    return rows


def _layout(
    batch: Sequence[EncodedExample], rows: Sequence[Sequence[int]], shared: int, window: Sequence[int], *, masked: bool
) -> PackedBatch:
    """The tensors of a batch whose examples stand in `rows`, behind a copy of their first `shared` tokens."""
    import torch

    ends = [shared + sum(len(batch[index].tokens) - shared for index in row) for row in rows]
    beside = ends.index(min(ends))
    width = max(*ends, ends[beside] + len(window))
    tokens = torch.zeros((len(rows), width), dtype=torch.long)
    positions = torch.zeros((len(rows), width), dtype=torch.long)
    owners = torch.full((len(rows), width), -1)  # -1 is padding, 0 the beginning, then the examples of the row, -2 the text
    predicting: list[Tensor] = [torch.empty(0)] * len(batch)
    for number, row in enumerate(rows):
        tokens[number, :shared] = torch.tensor(batch[row[0]].tokens[:shared], dtype=torch.long)
        positions[number, :shared] = torch.arange(shared)
        owners[number, :shared] = 0
        at = shared
        for owner, index in enumerate(row, start=1):
            item = batch[index]
            end = at + len(item.tokens) - shared
            tokens[number, at:end] = torch.tensor(item.tokens[shared:])
            positions[number, at:end] = torch.arange(shared, len(item.tokens))
            owners[number, at:end] = owner
            predicting[index] = torch.arange(end - item.answer_length, end) - 1 + number * width
            at = end
    text = slice(ends[beside], ends[beside] + len(window))
    tokens[beside, text] = torch.tensor(window, dtype=torch.long)
    positions[beside, text] = torch.arange(len(window))
    owners[beside, text] = -2
    targets = torch.tensor([token for item in batch for token in item.tokens[item.prompt_length :]])
    found = torch.cat(predicting), targets, torch.arange(text.start, text.stop) + beside * width
    if not masked:
        return PackedBatch(tokens, None, None, *found)
    return PackedBatch(tokens, positions, _visible(owners), *found, _parts(batch, rows, shared, len(window)))


def _parts(batch: Sequence[EncodedExample], rows: Sequence[Sequence[int]], shared: int, alone: int) -> tuple[Part, ...]:
    from engine.training.loop.row_attention import row_parts

    if len(rows) > 1:
        return ()
    return row_parts(shared, [len(batch[index].tokens) - shared for index in rows[0]], alone)


def _visible(owners: Tensor) -> Tensor:
    """Which tokens see which: earlier ones of the same example and of the beginning; padding sees padding."""
    import torch

    width = owners.shape[1]
    earlier = torch.ones((width, width), dtype=torch.bool).tril()
    mine = owners[:, :, None] == owners[:, None, :]
    common = (owners[:, None, :] == 0) & (owners[:, :, None] >= 0)
    return ((mine | common) & earlier)[:, None]
