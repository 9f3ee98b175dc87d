"""Storing the pairs of passages as they come: no question twice, the best of each kept, each with its place."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from engine.domain import Collection, Document, FaqPair, FaqStatus, Json
from engine.embedding.remembering import RememberingEmbedder
from engine.faq.curation import faq_pairs
from engine.faq.dedupe import DuplicateIndex, put_aside
from engine.faq.types import ScoredPair
from engine.faq.versions import comparable
from engine.faq.words import words
from engine.handlers.pages import PageTexts
from engine.handlers.parts import Parts
from engine.jobs import JobContext

TELL_EVERY_S = 0.25
"""New pairs are reported no more often than this: each report is a transaction of its own."""
_SECONDS_PER_MINUTE = 60.0


@dataclass(slots=True)
class Tally:
    """What the job has made so far: the new pairs that wait for review, how many were rejected for
    their own sake or because another one asks the same, and what the person should know of it."""

    pending: set[str] = field(default_factory=set)
    rejected: int = 0
    duplicates: int = 0
    notes: list[str] = field(default_factory=list)


class PairKeeper:
    """Keeps the pairs of a job: compares each with all of the collection, stores it, counts it and tells the job."""

    def __init__(self, parts: Parts, context: JobContext, collection: Collection, embedder: RememberingEmbedder) -> None:
        """Start with what the collection has.

        Raises:
            EmbeddingError: the encoder failed.
        """
        self.tally = Tally()
        self._parts = parts
        self._context = context
        self._collection = collection
        self._embedder = embedder
        known = comparable(parts.repositories.faqs.list(collection.id))
        self._index = DuplicateIndex(embedder, known)
        self._seen = {_identity(pair) for pair in known}
        self._began = self._told_at = time.monotonic()
        self._untold: list[str] = []

    def per_minute(self) -> float:
        """New pairs for review for each minute since the keeper was made."""
        elapsed = max(time.monotonic() - self._began, 1e-3)
        return len(self.tally.pending) * _SECONDS_PER_MINUTE / elapsed

    def tell(self) -> None:
        """Report the new pairs that nobody was told of yet."""
        if self._untold:
            told: list[Json] = list(self._untold)
            self._context.emit({"pairs": told, "per_minute": round(self.per_minute(), 1)})
        self._untold, self._told_at = [], time.monotonic()

    def keep(
        self,
        scored: Sequence[ScoredPair],
        document: Document,
        pages: PageTexts,
        *,
        model: str,
        language: str,
        room: int | None = None,
        finished: Sequence[str] = (),
        translated: str = "",
    ) -> int:
        """Store pairs, in one transaction with the marks that their chunks are done. Returns how many new ones wait for review.

        What asks the same as a better pair is stored as rejected and linked to it, new or old; what is there
        already word for word is left out.

        Args:
            scored: what curation gave.
            document: where they are from.
            pages: its pages.
            model: the name of the model that worded questions.
            language: the document's language.
            room: keep at most so many for review and leave the others out; rejected ones are kept all the same. None: all.
            finished: the chunks that were asked in full.
            translated: the language in which they were asked, where it is not the document's.
        """
        new = self._new(scored, document, pages, model, language)
        self._embedder.embed([pair.question for pair in new])  # together, where the index asks for one at a time
        kept: dict[str, FaqPair] = {}
        displaced: dict[str, str] = {}
        good = 0
        for pair in sorted(new, key=lambda pair: -pair.score):
            if pair.status is not FaqStatus.REJECTED and room is not None and good >= room:
                continue
            self._seen.add(_identity(pair))
            verdict = self._index.add(pair)
            kept[pair.id] = pair if verdict.duplicate_of is None else put_aside(pair, verdict.duplicate_of)
            for worse in verdict.displaced:
                if worse in kept:
                    kept[worse] = put_aside(kept[worse], pair.id)
                    good -= 1
                else:
                    displaced[worse] = pair.id
            good += kept[pair.id].status is not FaqStatus.REJECTED
        gone = self._parts.repositories.extraction.store(
            self._collection.id,
            [kept[pair.id] for pair in new if pair.id in kept],
            displaced=displaced,
            finished=finished,
            language=translated,
        )
        self._count(list(kept.values()), gone)
        return good

    def _new(
        self, scored: Sequence[ScoredPair], document: Document, pages: PageTexts, model: str, language: str
    ) -> list[FaqPair]:
        """The pairs as they are stored, without those that are there already."""
        made = faq_pairs(scored, collection_id=self._collection.id, document=document.name, model=model)
        new: dict[tuple[str, ...], FaqPair] = {}
        for one, pair in zip(scored, made, strict=True):
            chunk = one.candidate.chunk
            near = chunk.start + max(0, chunk.text.find(pair.quote))
            translation = one.candidate.translation
            spoken = language if translation is None else translation.target
            placed = replace(pair, place=pages.place(chunk.page, pair.quote, near), language=spoken)
            if _identity(placed) not in self._seen:
                new.setdefault(_identity(placed), placed)
        return list(new.values())

    def _count(self, pairs: Sequence[FaqPair], displaced: Sequence[str]) -> None:
        good = [pair.id for pair in pairs if pair.status is not FaqStatus.REJECTED]
        self.tally.pending.update(good)
        duplicates = sum(pair.duplicate_of is not None for pair in pairs)
        self.tally.rejected += len(pairs) - len(good) - duplicates
        self.tally.duplicates += duplicates + len(displaced)
        self.tally.pending.difference_update(displaced)
        self._parts.metrics.faq_pairs("pending", len(good))
        self._parts.metrics.faq_pairs("rejected", len(pairs) - len(good))
        self._untold += good
        if time.monotonic() - self._told_at >= TELL_EVERY_S:
            self.tell()


def _identity(pair: FaqPair) -> tuple[str, ...]:
    """What makes a pair the same as one that is stored: question and quote, word for word, in one document."""
    return pair.document_id or "", " ".join(words(pair.question.lower())), " ".join(pair.quote.split())
