"""Cutting pages into chunks: the passages that are retrieved, and that FAQ pairs are made from."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.domain import Block, BlockKind, Chunk, Page
from engine.ingest.sentences import split_sentences

_CHARACTERS_PER_TOKEN = 4
_DENSE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]")
_NOT_LATIN = re.compile(r"[\u0370-\u1dff\ua000-\uabff]")
_SLACK = 2
"""A chunk may be this many times the target to keep a table row or list item whole, or a heading with what it heads."""
_WHOLE = frozenset({BlockKind.TABLE_ROW, BlockKind.LIST_ITEM})
_LONGEST_TOKEN = 32
"""Characters. Few tokens are longer, so that a text with more than this for each token allowed is looked at no further."""


class TokenCounter(Protocol):
    """Counts the tokens of a text, always the same for the same text."""

    def __call__(self, text: str, /) -> int:
        """How many there are."""
        ...


@dataclass(slots=True)
class _Span:
    """A part of a page's text that is on its way to be a chunk."""

    start: int
    end: int
    path: tuple[str, ...]
    only_headings: bool


def estimate_tokens(text: str) -> int:
    """A rough count where no tokenizer is at hand: four characters to a token, as in English text.

    Of other scripts than Latin a character is counted as half a token, and of Chinese, Japanese and Korean as a whole one, so
    that a passage in them still fits where an English one does.
    """
    if text.isascii():
        return -(-len(text) // _CHARACTERS_PER_TOKEN)
    dense, other = len(_DENSE.findall(text)), len(_NOT_LATIN.findall(text))
    return dense - (-other // 2) - (-(len(text) - dense - other) // _CHARACTERS_PER_TOKEN)


def chunk_pages(
    document_id: str, pages: Iterable[Page], *, target_tokens: int, count: TokenCounter = estimate_tokens
) -> list[Chunk]:
    """Cut pages into chunks of about `target_tokens`.

    A chunk never crosses a page and starts anew at each heading. Blocks stay whole where they fit; longer ones are cut between
    sentences, and sentences that are too long between words. A table row or list item is kept whole up to twice the target,
    and no chunk is longer than that. The chunks of a page cover all its characters but white space, once and in order.

    Args:
        document_id: becomes part of each chunk's identifier, which is the same each time the same document is cut alike.
        pages: the document's pages.
        target_tokens: the size to aim for, in tokens as `count` counts them.
        count: counts the tokens of a text, such as a model's tokenizer.
    """
    return list(cut_pages(document_id, pages, target_tokens=target_tokens, count=count))


def cut_pages(
    document_id: str, pages: Iterable[Page], *, target_tokens: int, count: TokenCounter = estimate_tokens
) -> Iterator[Chunk]:
    """As `chunk_pages`, one by one."""
    cutter = _Cutter(max(1, target_tokens), count)
    index = 0
    for page in pages:
        for span in cutter.spans(page):
            yield _chunk(document_id, index, page, span)
            index += 1


def _chunk(document_id: str, index: int, page: Page, span: _Span) -> Chunk:
    key = f"{document_id}\0{page.number}\0{span.start}\0{span.end}"
    identifier = hashlib.sha256(key.encode()).hexdigest()[:32]
    return Chunk(identifier, document_id, index, page.number, span.start, span.end, page.text[span.start : span.end], span.path)


class _Cutter:
    """Cuts one page at a time."""

    def __init__(self, target: int, count: TokenCounter) -> None:
        self._target = target
        self._count = count

    def spans(self, page: Page) -> Iterator[_Span]:
        """The chunks of a page, in order."""
        current: _Span | None = None
        for part in self._parts(page):
            if current is not None and self._belongs(page.text, current, part):
                current.end = part.end
                current.path, current.only_headings = (
                    (part.path, part.only_headings) if current.only_headings else (current.path, False)
                )
                continue
            if current is not None:
                yield current
            current = part
        if current is not None:
            yield current

    def _belongs(self, text: str, current: _Span, part: _Span) -> bool:
        if part.only_headings and not current.only_headings:
            return False
        limit = self._target * (_SLACK if current.only_headings else 1)
        return self._fits(text, current.start, part.end, limit)

    def _parts(self, page: Page) -> Iterator[_Span]:
        """The page's blocks, those that are too long cut into pieces."""
        for block in _all_blocks(page):
            heading = block.kind is BlockKind.HEADING
            path = (*block.heading_path, page.text[block.start : block.end]) if heading else block.heading_path
            limit = self._target * (_SLACK if block.kind in _WHOLE else 1)
            for start, end in self._pieces(page.text, block.start, block.end, limit):
                yield _Span(start, end, path, heading)

    def _pieces(self, text: str, start: int, end: int, limit: int) -> Iterator[tuple[int, int]]:
        """Halve what does not fit, between sentences where there are any, until it fits."""
        if self._fits(text, start, end, limit):
            yield start, end
            return
        sentences = [start + at for at, _ in split_sentences(text[start:end])][1:]
        stack = [(start, end)]
        while stack:
            low, high = stack.pop()
            if self._fits(text, low, high, limit):
                yield low, high
                continue
            cut = _cut_point(text, low, high, sentences)
            stack += [_trim(text, cut, high), _trim(text, low, cut)]

    def _fits(self, text: str, start: int, end: int, limit: int) -> bool:
        if end - start > limit * _LONGEST_TOKEN:
            return False
        return end - start <= 1 or self._count(text[start:end]) <= limit


def _cut_point(text: str, low: int, high: int, sentences: Sequence[int]) -> int:
    """The start of a sentence, else of a word, nearest the middle; else the middle itself."""
    middle = (low + high) // 2
    at = bisect_left(sentences, middle)
    near = [cut for cut in sentences[max(0, at - 1) : at + 1] if low < cut < high]
    if near:
        return min(near, key=lambda cut: abs(cut - middle))
    before = [text.rfind(space, low + 1, middle) for space in " \n"]
    after = [text.find(space, middle, high - 1) for space in " \n"]
    gaps = [gap + 1 for gap in (*before, *after) if gap > low]
    return min(gaps, key=lambda cut: abs(cut - middle), default=middle)


def _all_blocks(page: Page) -> Iterator[Block]:
    """The page's blocks, and as paragraphs whatever text stands between them."""
    position = 0
    for block in page.blocks:
        yield from _gap(page.text, position, block.start)
        yield from _trimmed(page.text, block)
        position = block.end
    yield from _gap(page.text, position, len(page.text))


def _gap(text: str, start: int, end: int) -> Iterator[Block]:
    return _trimmed(text, Block(BlockKind.PARAGRAPH, start, end))


def _trimmed(text: str, block: Block) -> Iterator[Block]:
    start, end = _trim(text, block.start, block.end)
    if start < end:
        yield Block(block.kind, start, end, block.heading_path)


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    inner = text[start:end]
    return end - len(inner.lstrip()), start + len(inner.rstrip())
