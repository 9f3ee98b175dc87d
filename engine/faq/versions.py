"""A new version of a document: which passages it has kept, and what becomes of the pairs of the old version."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.domain import Chunk, Document, FaqPair, FaqStatus, Place

GONE = "The passage has changed or is gone."
STANDS = "The passage has changed; the quote still stands in it."
"""What a pair says whose passage is not in the new version as it was."""

Placing = Callable[[int, str, int], Place | None]
"""Finds a quote on a page of the new version: the page's number, the quote, and the offset near which it should be."""


@dataclass(frozen=True, slots=True)
class Succession:
    """What takes the place of an old version's passages and pairs.

    `pairs` are all pairs of the old version as they are in the new one, and `flagged` those whose passage is another one now,
    which a person should look at. `gone` are the pairs whose quote the new version lacks. `unchanged` and `changed` count the
    new version's chunks.
    """

    pairs: tuple[FaqPair, ...]
    flagged: tuple[str, ...]
    gone: tuple[str, ...]
    unchanged: int
    changed: int


def fingerprint(chunk: Chunk) -> str:
    """What a chunk says, wherever it stands: the SHA-256 of its heading path and its text, white space made one blank."""
    lines = [*chunk.heading_path, "", chunk.text]
    return hashlib.sha256("\n".join(" ".join(line.split()) for line in lines).encode("utf-8", "replace")).hexdigest()


def succession(
    document: Document,
    chunks: Sequence[Chunk],
    *,
    old_chunks: Sequence[Chunk],
    pairs: Sequence[FaqPair],
    place: Placing,
) -> Succession:
    """Move the pairs of an old version to a new one.

    A pair of a passage that the new version still has, with its quote, stays as it is. One whose passage has changed waits
    for review if its quote is still somewhere in the document. Where the quote is gone, a pair that was approved waits for
    review and any other is rejected.

    Args:
        document: the new version.
        chunks: its chunks.
        old_chunks: those of the old version.
        pairs: the old version's pairs.
        place: finds a quote on a page of the new version.
    """
    new = by_fingerprint(chunks)
    heir: dict[str, Chunk] = {}
    kept: set[str] = set()
    for mark, olds in by_fingerprint(old_chunks).items():
        news = new.get(mark, ())
        kept.update(chunk.id for chunk in news)
        heir.update({old.id: news[min(at, len(news) - 1)] for at, old in enumerate(olds) if news})
    old_by_id = {chunk.id: chunk for chunk in old_chunks}
    search = _Search([chunk for chunk in chunks if chunk.id not in kept] + [chunk for chunk in chunks if chunk.id in kept])
    moved, flagged = [], []
    for pair in pairs:
        old = old_by_id.get(pair.chunk_id or "")
        target = heir.get(old.id) if old is not None else None
        if old is not None and target is not None:
            stands = _unchanged(pair, document, old, target, place)
            if stands.place is not None or (pair.place is None and pair.status is FaqStatus.REJECTED):
                moved.append(stands)
                continue
        pair_now = _changed(pair, document, search.find(pair.quote), chunks, place)
        moved.append(pair_now)
        if pair.status is not FaqStatus.REJECTED:
            flagged.append(pair.id)
    gone = tuple(pair.id for pair in moved if pair.reason == GONE and pair.chunk_id is None)
    return Succession(tuple(moved), tuple(flagged), gone, len(kept), len(chunks) - len(kept))


def inherited(chunks: Sequence[Chunk], old_chunks: Sequence[Chunk], finished: Collection[str]) -> list[str]:
    """The chunks of a new version that say what chunks of the old one say that were asked in full."""
    new = by_fingerprint(chunks)
    marks = dict.fromkeys(fingerprint(old) for old in old_chunks if old.id in finished)
    return [chunk.id for mark in marks for chunk in new.get(mark, ())]


def comparable(stored: Iterable[FaqPair]) -> list[FaqPair]:
    """The stored pairs of a collection as new ones are to be compared with them.

    What a pair asks whose quote is gone may be asked anew. A pair whose passage has changed is as good as an approved one: what
    a person decided on it is not displaced by a new pair.
    """
    return [
        replace(pair, status=FaqStatus.APPROVED) if pair.reason == STANDS else pair for pair in stored if pair.reason != GONE
    ]


def by_fingerprint(chunks: Sequence[Chunk]) -> Mapping[str, Sequence[Chunk]]:
    """Chunks by what they say, in their order."""
    groups: defaultdict[str, list[Chunk]] = defaultdict(list)
    for chunk in chunks:
        groups[fingerprint(chunk)].append(chunk)
    return groups


def _unchanged(pair: FaqPair, document: Document, old: Chunk, new: Chunk, place: Placing) -> FaqPair:
    inside = 0 if pair.place is None else max(0, pair.place.start - old.start)
    return _moved(pair, document, new, place, near=new.start + inside)


def _changed(pair: FaqPair, document: Document, found: Chunk | None, chunks: Sequence[Chunk], place: Placing) -> FaqPair:
    if found is not None:
        moved = _moved(pair, document, found, place, near=found.start)
        if moved.place is not None:
            return moved if pair.status is FaqStatus.REJECTED else replace(moved, status=FaqStatus.PENDING, reason=STANDS)
    status = FaqStatus.PENDING if pair.status is FaqStatus.APPROVED else FaqStatus.REJECTED
    last = max((chunk.page for chunk in chunks), default=1)
    return replace(
        pair,
        document_id=document.id,
        document=document.name,
        page=min(pair.page or 1, last),
        chunk_id=None,
        place=None,
        status=status,
        reason=GONE,
    )


def _moved(pair: FaqPair, document: Document, chunk: Chunk, place: Placing, *, near: int) -> FaqPair:
    return replace(
        pair,
        document_id=document.id,
        document=document.name,
        page=chunk.page,
        heading=" › ".join(chunk.heading_path),
        chunk_id=chunk.id,
        place=place(chunk.page, pair.quote, near),
    )


class _Search:
    """Finds the chunk that a quote is in, white space apart. One pass over the whole text for each quote."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self._chunks = chunks
        self._starts: list[int] = []
        parts: list[str] = []
        at = 0
        for chunk in chunks:
            text = " ".join(chunk.text.split())
            self._starts.append(at)
            parts.append(text)
            at += len(text) + 1
        self._text = "\n".join(parts)

    def find(self, quote: str) -> Chunk | None:
        """The first chunk that has the quote."""
        wanted = " ".join(quote.split())
        at = self._text.find(wanted) if wanted else -1
        return None if at < 0 else self._chunks[bisect_right(self._starts, at) - 1]
