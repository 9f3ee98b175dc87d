"""Markdown (CommonMark with tables)."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping, Sequence
from typing import TYPE_CHECKING

from engine.domain import BlockKind, Page
from engine.ingest.decoding import decode
from engine.ingest.markup import markup_pieces
from engine.ingest.source import Source
from engine.ingest.structure import Piece, paginate
from engine.ingest.tables import table_pieces
from engine.ingest.text import clean, clean_lines, list_item

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?:(?!---|\.\.\.).*\n){0,500}?(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_MAX_INLINE = 4000
"""Emphasis and links are looked for in quadratic time; longer paragraphs keep their marks as they are."""
_OPENING = ("\n", "|", "- ", "* ", "+ ", "> ")
"""What a block or cell may begin with, or end."""
_TOKENS = 3
"""That the parser makes of each."""
_CODE = ("fence", "code_block")


def load_markdown(source: Source) -> Iterator[Page]:
    """Pages of a Markdown file: one for each top-level section."""
    return paginate(source, markdown_pieces(source, decode(source, source.read_bytes())))


def markdown_pieces(source: Source, text: str) -> Iterator[Piece]:
    """Headings, paragraphs, list items and table rows of a Markdown text; front matter is dropped.

    Raises:
        DocumentError: it is too long, or of more blocks than allowed.
    """
    from markdown_it import MarkdownIt

    source.check_raw_characters(len(text))
    source.check_elements(_TOKENS * sum(map(text.count, _OPENING)))
    lines = "\n".join(text.splitlines()) + "\n"
    parser = MarkdownIt("commonmark").enable("table").disable("inline")
    references: MutableMapping[str, object] = {}
    tokens = parser.parse(_FRONT_MATTER.sub("", lines, count=1), references)
    return _Walk(source, parser, references).pieces(tokens)


class _Walk:
    """Goes through the parser's flat list of tokens."""

    def __init__(self, source: Source, parser: MarkdownIt, references: MutableMapping[str, object]) -> None:
        self._source = source
        self._parser = parser
        self._references = references
        self._markers: list[str] = []
        self._item = ""
        self._level = 0
        self._rows: list[list[str]] | None = None

    def pieces(self, tokens: Sequence[Token]) -> Iterator[Piece]:
        """The blocks, in order."""
        for token in tokens:
            if token.type == "table_close":
                yield from table_pieces(self._rows or [], has_header=True)
                self._rows = None
            elif token.type == "inline":
                yield from self._inline(token)
            elif token.type in _CODE:
                yield self._block(clean_lines(token.content))
            elif token.type == "html_block":
                yield from markup_pieces(self._source, token.content)
            else:
                self._open_or_close(token)

    def _open_or_close(self, token: Token) -> None:
        match token.type:
            case "heading_open":
                self._level = int(token.tag[1])
            case "table_open":
                self._rows = []
            case "tr_open" if self._rows is not None:
                self._rows.append([])
            case "list_item_open":
                self._item = f"{token.info}{token.markup}" if token.info else "-"

    def _inline(self, token: Token) -> Iterator[Piece]:
        text = clean_lines(self._inline_text(token.content))
        if self._rows:
            self._rows[-1].append(text.replace("\n", " "))
        elif self._level:
            yield Piece(BlockKind.HEADING, clean(text), self._level)
            self._level = 0
        elif text:
            yield self._block(text)

    def _block(self, text: str) -> Piece:
        """The first block of a list item is the item; the others are paragraphs."""
        marker, self._item = self._item, ""
        return Piece(BlockKind.LIST_ITEM, list_item(text, marker)) if marker else Piece(BlockKind.PARAGRAPH, text)

    def _inline_text(self, source: str) -> str:
        if len(source) > _MAX_INLINE:
            return source.replace("\n", " ")
        children: list[Token] = []
        self._parser.inline.parse(source, self._parser, self._references, children)
        return _plain(children)


def _plain(tokens: Sequence[Token]) -> str:
    return "".join(map(_token_text, tokens))


def _token_text(token: Token) -> str:
    match token.type:
        case "softbreak":
            return " "
        case "hardbreak":
            return "\n"
        case "image":
            return _plain(token.children or [])
        case "html_inline":
            return "\n" if token.content.lower().startswith("<br") else ""
        case _:
            return token.content
