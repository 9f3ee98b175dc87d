"""Which pairs are kept from training, to measure with."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain import FaqPair
from engine.training.datasets.split import Row, groups_of, held_out_groups, source_of


def held_out(pairs: Sequence[FaqPair], fraction: float, seed: int = 0) -> list[FaqPair]:
    """About `fraction` of the pairs, the same ones each time, by fine-tuning's rule (`engine.training.datasets.split`).

    Pairs of one passage stay together, and so do two wordings of one question. At least one passage's pairs are held out, and
    never all; none when there are too few pairs.
    """
    rows = [Row(source_of(pair.chunk_id, pair.document_id, pair.page), pair.question, pair.answer) for pair in pairs]
    groups = groups_of(rows)
    chosen = held_out_groups(groups, fraction, seed)
    return [pair for pair, group in zip(pairs, groups, strict=True) if group in chosen]
