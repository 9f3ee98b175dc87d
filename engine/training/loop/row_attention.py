"""Attention in a row that several examples share, computed part by part instead of with a mask over the whole row.

Of a row of eight examples a mask hides six of seven pairs of tokens, and all are multiplied nevertheless. Here the examples
are a batch: each one's queries meet the keys of the common beginning and its own. What comes out is the same.

PyTorch is imported with this module: import it inside the function that needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "nexus_rows"
"""How Transformers knows this attention."""
MOST_KEYS = 128
"""Keys of a part at most: its weights are kept for the backward pass, and those of longer ones take too much memory."""


@dataclass(frozen=True, slots=True)
class Part:
    """Blocks of a row that are alike: token numbers within the row, padded to the longest block."""

    queries: Tensor
    """Tokens whose outcome is wanted, flattened from (blocks, longest); padding repeats the last token of a block."""
    keys: Tensor
    """Tokens that they may see, flattened from (blocks, keys)."""
    hidden: Tensor
    """Whether a query does not see a key, shape (blocks, 1, longest, keys), bool."""
    real: Tensor
    """Which of the queries are no padding."""

    @property
    def tokens(self) -> Tensor:
        """The tokens without padding."""
        return self.queries[self.real]


def part(starts: Sequence[int], lengths: Sequence[int], shared: int = 0) -> Part:
    """Blocks that begin at `starts`; each token sees those before it in its block, and the first `shared` ones of the row."""
    first, length = torch.tensor(starts)[:, None], torch.tensor(lengths)[:, None]
    steps = torch.arange(max(lengths))
    own = first + torch.minimum(steps, length - 1)
    keys = torch.cat([torch.arange(shared).expand(len(starts), shared), own], dim=1)
    later = torch.cat([torch.zeros(len(steps), shared, dtype=torch.bool), steps[None] > steps[:, None]], dim=1)
    beyond = torch.cat([torch.zeros(len(starts), shared, dtype=torch.bool), steps >= length], dim=1)
    return Part(own.flatten(), keys.flatten(), (later | beyond[:, None])[:, None], (steps < length).flatten().nonzero()[:, 0])


def row_parts(shared: int, lengths: Sequence[int], alone: int = 0) -> tuple[Part, ...]:
    """The parts of a row: its beginning, what follows of the examples, and a block that sees none of them.

    Returns nothing where that would save nothing: with long blocks, or with lengths so different that padding is the most.
    """
    width = shared + sum(lengths) + alone
    longest = max(lengths)
    pairs = shared**2 + len(lengths) * longest * (shared + longest) + alone**2
    if max(shared + longest, alone) > MOST_KEYS or 2 * pairs > width**2:
        return ()
    starts = [shared + sum(lengths[:index]) for index in range(len(lengths))]
    found = [part([0], [shared])] if shared else []
    found.append(part(starts, lengths, shared))
    if alone:
        found.append(part([width - alone], [alone]))
    return tuple(found)


def use_row_attention(base: PreTrainedModel) -> bool:
    """Let a model compute by parts where it is told of them. Returns whether it does.

    Without parts, and where they do not apply, its attention is PyTorch's fused one, as before.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    if base.config._attn_implementation != "sdpa" or base.device.type != "cpu" or base.dtype != torch.float32:
        return False
    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    base.set_attn_implementation(NAME)
    return True


def _attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    row_parts: Sequence[Part] = (),
    **kwargs: object,
) -> tuple[Tensor, None]:
    """What Transformers calls: tensors of shape (rows, heads, tokens, width), and back (rows, tokens, heads, width)."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if not row_parts or dropout or len(query) > 1 or query.shape[2] != key.shape[2] or kwargs.get("position_bias") is not None:
        found: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return found
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))
    out: Tensor = _PartAttention.apply(q, k, v, row_parts, scale)  # type: ignore[no-untyped-call]
    return out[None], None


class _PartAttention(torch.autograd.Function):
    """softmax(scale · q·kᵀ + mask)·v by parts, on tensors of shape (tokens, heads, width); heads of k and v may be fewer."""

    @staticmethod
    def forward(ctx: FunctionCtx, q: Tensor, k: Tensor, v: Tensor, parts: Sequence[Part], scale: float) -> Tensor:
        out = torch.empty((*q.shape[:2], v.shape[2]), dtype=q.dtype)
        kept = []
        for each in parts:
            weights = _weights(_of_queries(q, each, k.shape[1]), _of_keys(k, each), each, scale)
            outcome = torch.bmm(weights, _of_keys(v, each))
            out[each.tokens] = _to_tokens(outcome, each, q.shape[1])[each.real]
            kept.append(weights)
        ctx.save_for_backward(q, k, v, *kept)
        ctx.parts, ctx.scale = parts, scale  # type: ignore[attr-defined]  # how PyTorch keeps what is no tensor
        return out

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, *kept = ctx.saved_tensors  # type: ignore[attr-defined]
        parts: Sequence[Part] = ctx.parts  # type: ignore[attr-defined]
        scale: float = ctx.scale  # type: ignore[attr-defined]
        g_q, g_k, g_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for each, weights in zip(parts, kept, strict=True):
            outer = _by_groups(_without_padding(gradient, each), len(each.hidden), k.shape[1])
            keys, values = _of_keys(k, each), _of_keys(v, each)
            slope = torch._softmax_backward_data(torch.bmm(outer, values.transpose(1, 2)), weights, -1, q.dtype).mul_(scale)
            g_q[each.tokens] = _to_tokens(torch.bmm(slope, keys), each, q.shape[1])[each.real]
            _add_to_keys(g_v, torch.bmm(weights.transpose(1, 2), outer), each)
            _add_to_keys(g_k, torch.bmm(slope.transpose(1, 2), _of_queries(q, each, k.shape[1])), each)
        return g_q, g_k, g_v, None, None


def _of_queries(states: Tensor, each: Part, groups: int) -> Tensor:
    """Shape (blocks · heads of keys, query heads of each · queries, width): heads that share keys are one matrix."""
    return _by_groups(states.index_select(0, each.queries), len(each.hidden), groups)


def _by_groups(chosen: Tensor, blocks: int, groups: int) -> Tensor:
    split = chosen.view(blocks, -1, groups, chosen.shape[1] // groups, chosen.shape[2])
    return split.permute(0, 2, 3, 1, 4).reshape(blocks * groups, -1, chosen.shape[2])


def _of_keys(states: Tensor, each: Part) -> Tensor:
    """Shape (blocks · heads, keys, width)."""
    chosen = states.index_select(0, each.keys).view(len(each.hidden), -1, *states.shape[1:])
    return chosen.transpose(1, 2).reshape(-1, chosen.shape[1], states.shape[2])


def _weights(queries: Tensor, keys: Tensor, each: Part, scale: float) -> Tensor:
    """Attention weights, shape (blocks · heads of keys, query heads of each · queries, keys)."""
    blocks, _, longest, count = each.hidden.shape
    scores = torch.bmm(queries, keys.transpose(1, 2)).mul_(scale)
    scores.view(blocks, -1, longest, count).masked_fill_(each.hidden, torch.finfo(scores.dtype).min)
    return scores.softmax(dim=-1)


def _to_tokens(states: Tensor, each: Part, heads: int) -> Tensor:
    """Back from the shape of `_of_queries` to (queries, heads, width)."""
    blocks, _, longest, _ = each.hidden.shape
    split = states.view(blocks, -1, heads * blocks // len(states), longest, states.shape[2])
    return split.permute(0, 3, 1, 2, 4).reshape(blocks * longest, heads, states.shape[2])


def _without_padding(gradient: Tensor, each: Part) -> Tensor:
    """Gradients of a part's outcome, zero where queries are padding."""
    padded = gradient.new_zeros((len(each.queries), *gradient.shape[1:]))
    padded[each.real] = gradient.index_select(0, each.tokens)
    return padded


def _add_to_keys(total: Tensor, gradient: Tensor, each: Part) -> None:
    """Add gradients in the shape of `_of_keys` to those of the tokens."""
    split = gradient.view(len(each.hidden), total.shape[1], -1, total.shape[2]).transpose(1, 2)
    total.index_add_(0, each.keys, split.reshape(-1, *total.shape[1:]))
