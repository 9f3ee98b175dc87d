"""Extraction as the job does it, without the database."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.config import load_settings
from engine.domain import Chunk, FaqStatus
from engine.embedding.base import Embedder
from engine.embedding.remembering import RememberingEmbedder
from engine.faq.curation import Curator, faq_pairs
from engine.faq.dedupe import DuplicateIndex
from engine.faq.extraction import extract_pairs
from engine.faq.types import ScoredPair
from engine.ingest.chunking import chunk_pages
from engine.llm.base import ChatModel
from scripts.faq_bench.data import Article


@dataclass(frozen=True)
class Extracted:
    """What extraction made of an article. `shown` go to the reviewer."""

    article: Article
    chunks: Sequence[Chunk]
    shown: Sequence[ScoredPair]
    rejected: Sequence[ScoredPair]
    seconds: float


def chunks_of(article: Article, model: ChatModel) -> Sequence[Chunk]:
    """The chunks of an article, as the product cuts it: sized in the model's own tokens."""
    identifier = hashlib.sha256(article.name.encode()).hexdigest()
    return chunk_pages(identifier, article.pages, target_tokens=load_settings().chunk_tokens, count=model.count_tokens)


def extract(article: Article, model: ChatModel, inner: Embedder) -> Extracted:
    """Extract pairs from an article."""
    started = time.perf_counter()
    chunks = chunks_of(article, model)
    shown, rejected = pairs_of(chunks, model, inner, {page.number: page.text for page in article.pages})
    return Extracted(article, chunks, shown, rejected, time.perf_counter() - started)


def pairs_of(
    chunks: Sequence[Chunk], model: ChatModel, inner: Embedder, pages: Mapping[int, str] | None = None
) -> tuple[Sequence[ScoredPair], Sequence[ScoredPair]]:
    """The pairs of some chunks: those that are shown, and the rejected ones that are no duplicates."""
    embedder = RememberingEmbedder(inner)
    curator = Curator(embedder, chunks, pages or _pages(chunks))
    pairs = [pair for _, found in extract_pairs(chunks, model=model) for pair in curator.curate(found)]
    index = DuplicateIndex(embedder, [])
    made = faq_pairs(pairs, collection_id="bench", document="bench", model=model.name)
    ranked = sorted(zip(pairs, made, strict=True), key=lambda both: -both[1].score)
    kept = [scored for scored, pair in ranked if index.add(pair).duplicate_of is None]
    shown = [pair for pair in kept if pair.status is not FaqStatus.REJECTED]
    return shown, [pair for pair in kept if pair.status is FaqStatus.REJECTED]


def _pages(chunks: Sequence[Chunk]) -> dict[int, str]:
    pages: dict[int, str] = {}
    for chunk in chunks:
        pages[chunk.page] = f"{pages.get(chunk.page, '')}\n{chunk.text}"
    return pages
