"""Data sets in SQuAD's format, as documents with the spans that people asked about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.config import PROJECT_ROOT
from engine.domain import Block, BlockKind, Page
from engine.ingest import read_document

PARTS = {"even": (0,), "odd": (1,), "all": (0, 1)}
"""Articles by the parity of their number: what was tuned on is even."""


@dataclass(frozen=True)
class Gold:
    """A question that a person asked, and the span of the page that answers it."""

    question: str
    page: int
    start: int
    end: int


@dataclass(frozen=True)
class Article:
    """A document with what people asked about it."""

    name: str
    pages: tuple[Page, ...]
    golds: tuple[Gold, ...] = ()

    @property
    def words(self) -> int:
        """Words of its text."""
        return sum(len(page.text.split()) for page in self.pages)


def read_squad(path: Path, part: str) -> Sequence[Article]:
    """The articles of a part of the set; each paragraph is a block of the article's only page."""
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    return [_article(found) for number, found in enumerate(articles) if number % 2 in PARTS[part]]


def samples() -> Iterator[Article]:
    """The sample documents, about which no one has asked."""
    for path in sorted((PROJECT_ROOT / "data" / "samples").iterdir()):
        if path.suffix in (".pdf", ".docx", ".md", ".html"):
            yield Article(path.name, tuple(read_document(path).pages))


def _article(found: dict) -> Article:
    title = found["title"].replace("_", " ")
    text, blocks, golds = "", [], []
    for paragraph in found["paragraphs"]:
        context = paragraph["context"]
        body = context.strip()
        start = len(text)
        shift = start - context.index(body)
        blocks.append(Block(BlockKind.PARAGRAPH, start, start + len(body), (title,)))
        for asked in paragraph["qas"]:
            if asked["answers"]:
                answer = asked["answers"][0]
                at = shift + answer["answer_start"]
                golds.append(Gold(asked["question"], 1, at, at + len(answer["text"])))
        text += body + "\n"
    return Article(title, (Page(1, text, tuple(blocks)),), tuple(golds))
