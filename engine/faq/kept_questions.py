"""Whether a collection has a pair already that asks what a changed one asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from engine.db.repositories.faqs import FaqRepository
from engine.domain import FaqPair, FaqStatus
from engine.embedding.base import Embedder
from engine.embedding.remembering import RememberingEmbedder
from engine.errors import NexusError
from engine.faq.dedupe import NEAR, DuplicateIndex, normal_question, rank
from engine.faq.versions import comparable
from engine.observability.logging import get_logger

logger = get_logger(__name__)


class KeptQuestions:
    """The questions of the pairs that are not rejected, as they are stored now. Safe to ask from any thread.

    Vectors are remembered, so that of a large collection only the first question takes seconds.
    """

    def __init__(self, faqs: FaqRepository, embedder: Callable[[], Embedder]) -> None:
        """Look into these pairs. `embedder` gives the encoder when it is first needed."""
        self._faqs = faqs
        self._make = embedder
        self._embedder: RememberingEmbedder | None = None
        self._lock = threading.Lock()

    def best_like(self, pair: FaqPair) -> FaqPair | None:
        """The best other pair of its collection that asks what a pair asks; see `engine.faq.dedupe`. None: nobody asks it.

        Where the encoder cannot be used, only the normalised texts are compared: a person's work is not refused for that.
        """
        stored = comparable(self._faqs.list(pair.collection_id))
        kept = [other for other in stored if other.id != pair.id and other.status is not FaqStatus.REJECTED]
        text = normal_question(pair.question)
        alike = [other for other in kept if normal_question(other.question) == text]
        try:
            return next(iter(self._same(pair, kept, alike)), None)
        except NexusError as exc:
            logger.warning("questions are compared by their texts alone: %s", exc.message)
            return max(alike, key=rank, default=None)

    def prepare(self, questions: Sequence[str]) -> None:
        """Do beforehand what takes long: load the encoder and embed these. May run beside anything else."""
        try:
            with self._lock:
                self._remembering().embed(questions)
        except NexusError as exc:
            logger.warning("questions were not prepared for comparison: %s", exc.message)

    def _remembering(self) -> RememberingEmbedder:
        self._embedder = self._embedder or RememberingEmbedder(self._make())
        return self._embedder

    def _same(self, pair: FaqPair, kept: Sequence[FaqPair], alike: Sequence[FaqPair]) -> Sequence[FaqPair]:
        with self._lock:  # of what remembers vectors
            embedder = self._remembering()
            vectors = embedder.embed([pair.question, *(other.question for other in kept)])
            near = [kept[row] for row in np.flatnonzero(vectors[1:] @ vectors[0] >= NEAR).tolist()]
            found = {other.id: other for other in [*alike, *near]}
            return DuplicateIndex(embedder, list(found.values())).same(pair)
