"""Passages: what the index holds and finds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from engine.domain import Chunk, FaqPair, FaqStatus

PassageKind = Literal["chunk", "faq"]

_TRANSLATED = "translated"
"""The origin of pairs in another language than their quote, see `FaqPair`."""
_PREFIXES: dict[PassageKind, str] = {"chunk": "c:", "faq": "f:"}


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document, or an approved FAQ pair, that was found.

    `text` is the chunk's text or the pair's quote, verbatim from the page. `score` is the cosine similarity to the question, in
    -1…1. `question` and `answer` are set for FAQ pairs; imported pairs have no document (`document_id` and `page` are None).
    `vouched` is a pair in another language than its quote which a person has compared with it and approved: words prove nothing
    there.
    """

    source_id: str
    kind: PassageKind
    document_id: str | None
    document: str
    page: int | None
    text: str
    heading_path: tuple[str, ...]
    score: float
    question: str = ""
    answer: str = ""
    vouched: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Something that belongs into the index: what it is, the key it has there, and its texts."""

    kind: PassageKind
    key: str
    heading: str
    body: str

    @property
    def text(self) -> str:
        """What is embedded."""
        return f"{self.heading}\n{self.body}" if self.heading else self.body


def key_prefix(kind: PassageKind | None) -> str:
    """How the keys of a kind begin; of all kinds, empty."""
    return "" if kind is None else _PREFIXES[kind]


def key_of_chunk(chunk_id: str) -> str:
    """The key of a chunk. Chunks never change."""
    return f"{_PREFIXES['chunk']}{chunk_id}"


def key_of_faq(pair: FaqPair) -> str:
    """The key of a pair: an edited pair has another one, so that it is embedded again."""
    digest = hashlib.sha256(f"{pair.question}\0{pair.answer}".encode()).hexdigest()[:16]
    return f"{_PREFIXES['faq']}{pair.id}:{digest}"


def id_of_key(key: str) -> str:
    """The identifier of the chunk or pair behind a key."""
    return key.split(":")[1]


def source_of_chunk(chunk: Chunk) -> Source:
    """A chunk, to be found by its headings and its text."""
    return Source("chunk", key_of_chunk(chunk.id), " > ".join(chunk.heading_path), chunk.text)


def source_of_faq(pair: FaqPair) -> Source:
    """A pair, to be found by its question and its answer."""
    return Source("faq", key_of_faq(pair), pair.question, pair.answer)


def passage_of_chunk(chunk: Chunk, document: str, score: float) -> Passage:
    """A chunk that was found."""
    return Passage(chunk.id, "chunk", chunk.document_id, document, chunk.page, chunk.text, chunk.heading_path, score)


def passage_of_faq(pair: FaqPair, score: float) -> Passage:
    """A pair that was found."""
    heading = (pair.heading,) if pair.heading else ()
    return Passage(
        pair.id,
        "faq",
        pair.document_id,
        pair.document,
        pair.page,
        pair.quote,
        heading,
        score,
        question=pair.question,
        answer=pair.answer,
        vouched=pair.origin == _TRANSLATED and pair.status is FaqStatus.APPROVED,
    )
