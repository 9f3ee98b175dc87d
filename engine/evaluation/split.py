"""Which pairs are kept from training, to measure with."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from engine.domain import FaqPair

LEAST_PAIRS = 10
"""With fewer pairs none is held out: each is needed to learn from."""


def held_out(pairs: Sequence[FaqPair], fraction: float, seed: int = 0) -> list[FaqPair]:
    """About `fraction` of the pairs, the same ones each time.

    Pairs of one passage stay together, so that two wordings of one fact are never on both sides. At least one passage's pairs
    are held out, and never all; none when there are fewer than `LEAST_PAIRS`.
    """
    if fraction <= 0 or len(pairs) < LEAST_PAIRS:
        return []
    groups: dict[str, list[FaqPair]] = defaultdict(list)
    for pair in pairs:
        groups[pair.chunk_id or pair.question].append(pair)
    wanted = max(1, round(fraction * len(pairs)))
    chosen: list[FaqPair] = []
    for key in sorted(groups, key=lambda key: hashlib.sha256(f"{seed}:{key}".encode()).digest()):
        group = groups[key]
        # A passage that would overshoot is left to training, unless nothing has been chosen yet.
        if len(chosen) + len(group) <= wanted or not chosen:
            chosen += group
        if len(chosen) >= wanted:
            break
    ids = {pair.id for pair in chosen}
    return [pair for pair in pairs if pair.id in ids] if len(ids) < len(pairs) else []
