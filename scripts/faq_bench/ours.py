"""Extraction as the job does it, without the database."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from engine.domain import Chunk, FaqStatus
from engine.embedding.base import Embedder
from engine.embedding.remembering import RememberingEmbedder
from engine.faq.curation import Curator
from engine.faq.dedupe import drop_duplicates
from engine.faq.extraction import extract_pairs
from engine.faq.types import ScoredPair
from engine.ingest.chunking import chunk_pages
from engine.llm.base import ChatModel
from scripts.faq_bench.data import Article

TARGET_TOKENS = 220


@dataclass(frozen=True)
class Extracted:
    """What extraction made of an article. `shown` go to the reviewer."""

    article: Article
    chunks: Sequence[Chunk]
    shown: Sequence[ScoredPair]
    rejected: Sequence[ScoredPair]
    seconds: float


def extract(article: Article, model: ChatModel, inner: Embedder) -> Extracted:
    """Extract pairs from an article."""
    started = time.perf_counter()
    embedder = RememberingEmbedder(inner)
    identifier = hashlib.sha256(article.name.encode()).hexdigest()
    chunks = chunk_pages(identifier, article.pages, target_tokens=TARGET_TOKENS)
    curator = Curator(embedder, chunks, {page.number: page.text for page in article.pages})
    pairs = [pair for _, found in extract_pairs(chunks, model=model) for pair in curator.curate(found)]
    kept = drop_duplicates(pairs, embedder=embedder)
    shown = [pair for pair in kept if pair.status is not FaqStatus.REJECTED]
    rejected = [pair for pair in kept if pair.status is FaqStatus.REJECTED]
    return Extracted(article, chunks, shown, rejected, time.perf_counter() - started)
