"""HTML, from a page or from a book, as blocks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.domain import BlockKind
from engine.ingest.source import Source
from engine.ingest.structure import Piece
from engine.ingest.tables import table_pieces
from engine.ingest.text import clean, clean_lines, list_item

if TYPE_CHECKING:
    from bs4.element import PageElement, Tag

_NO_CONTENT = """
    script style nav footer template noscript head svg math iframe object embed form button select canvas audio video dialog
"""
_DROPPED = frozenset(_NO_CONTENT.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCK_LEVEL = """
    address article aside blockquote body caption dd details div dl dt fieldset figcaption figure header hgroup hr html main
    ol p pre section summary table tbody td tfoot th thead tr ul
"""
_BLOCKS = frozenset(_BLOCK_LEVEL.split())
_MAX_NESTED_TABLES = 8
"""Tables inside so many others lay out a page; a closer look at each level of a deep nest would take quadratic time."""
_MAX_SPAN = 100
_MAX_REPEATED = 200
"""A longer text in a cell over several rows stands in the first of them alone: repeating it could fill the memory."""
_WHITE_SPACE = re.compile(r"\s+")


def markup_pieces(source: Source, html: str) -> Iterator[Piece]:
    """Headings, paragraphs, list items and table rows of an HTML text; what is no content (scripts, navigation) is dropped.

    Raises:
        DocumentError: it has more tags than allowed.
    """
    from bs4 import BeautifulSoup

    source.check_elements(html.count("<"))
    return _Walk().pieces(BeautifulSoup(html, "lxml"))


class _Walk:
    """Goes through a tree without recursion, since hostile trees are deep, and collects text until a block ends."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._kind = BlockKind.PARAGRAPH
        self._level = 0
        self._marker = "-"
        self._verbatim = 0
        self._tables = 0
        self._items = Counter[int]()

    def pieces(self, root: Tag) -> Iterator[Piece]:
        """The blocks below `root`, in order."""
        stack: list[tuple[PageElement, bool]] = [(root, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                yield from self._leave(node)
                continue
            children, table = self._enter(node)
            if children is None:
                continue
            if _is_block(node):
                yield from self._flush()
                self._begin(node)
            yield from table
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(children))

    def _enter(self, node: PageElement) -> tuple[list[PageElement] | None, Iterator[Piece]]:
        """The children to go through (None for text and what is dropped), and the rows of a data table."""
        from bs4.element import NavigableString, PreformattedString, Tag

        if isinstance(node, NavigableString):
            if not isinstance(node, PreformattedString):  # comments, declarations
                self._text.append(str(node) if self._verbatim else _WHITE_SPACE.sub(" ", str(node)))
            return None, iter(())
        if not isinstance(node, Tag) or node.name in _DROPPED or _is_hidden(node):
            return None, iter(())
        if node.name == "br":
            self._text.append("\n")
        if node.name == "table" and self._tables < _MAX_NESTED_TABLES and _is_data_table(node):
            return [], _rows(node)
        return list(node.children), iter(())

    def _begin(self, node: PageElement) -> None:
        name = getattr(node, "name", "")
        if name in _HEADINGS:
            self._kind, self._level = BlockKind.HEADING, _HEADINGS[name]
        elif name == "li":
            self._kind, self._marker = BlockKind.LIST_ITEM, self._item_marker(node)
        self._verbatim += name == "pre"
        self._tables += name == "table"

    def _item_marker(self, item: PageElement) -> str:
        parent = item.parent
        if parent is None or parent.name != "ol":
            return "-"
        self._items[id(parent)] += 1
        return f"{self._items[id(parent)]}."

    def _leave(self, node: PageElement) -> Iterator[Piece]:
        if _is_block(node):
            yield from self._flush()
            self._kind, self._level = BlockKind.PARAGRAPH, 0
            name = getattr(node, "name", "")
            self._verbatim -= name == "pre"
            self._tables -= name == "table"

    def _flush(self) -> Iterator[Piece]:
        """The block that was collected. An element with no text yet passes its kind on: `<li><p>…` is a list item."""
        raw, self._text = "".join(self._text), []
        text = clean(raw) if self._kind is BlockKind.HEADING else clean_lines(raw)
        if not text:
            return
        if self._kind is BlockKind.LIST_ITEM:
            text = list_item(text, self._marker)
        yield Piece(self._kind, text, self._level)
        self._kind, self._level = BlockKind.PARAGRAPH, 0


def _is_block(node: PageElement) -> bool:
    name = getattr(node, "name", None)
    return name in _BLOCKS or name in _HEADINGS or name == "li"


def _is_hidden(tag: Tag) -> bool:
    style = str(tag.get("style", "")).replace(" ", "").lower()
    return tag.has_attr("hidden") or "display:none" in style or "visibility:hidden" in style


def _is_data_table(table: Tag) -> bool:
    """Tables that hold tables or headings only lay out a page; what is in them is read like anything else."""
    return table.find(["table", *_HEADINGS, "ul", "ol"]) is None and table.find("tr") is not None


def _rows(table: Tag) -> Iterator[Piece]:
    rows: list[list[Tag]] = [row.find_all(["td", "th"]) for row in table.find_all("tr")]
    first = next(filter(None, rows), None)
    has_header = True if first is not None and all(cell.name == "th" for cell in first) else None
    caption = table.find("caption")
    if caption is not None:
        yield Piece(BlockKind.PARAGRAPH, clean(caption.get_text(" ")))
    yield from table_pieces(list(_grid(rows)), has_header=has_header)


def _grid(rows: list[list[Tag]]) -> Iterator[list[str]]:
    """Each row's texts, one for each column: wide cells are followed by empty ones, tall ones repeated."""
    held: dict[int, tuple[int, str]] = {}
    for row in rows:
        cells: list[str] = []
        for cell in row:
            _repeat(cells, held)
            text = cell.get_text(" ")
            below = _count(cell, "rowspan") - 1
            for value in [text, *[""] * (_count(cell, "colspan") - 1)]:
                held[len(cells)] = (below, value if len(value) <= _MAX_REPEATED else "")
                cells.append(value)
        _repeat(cells, held)
        yield cells


def _repeat(cells: list[str], held: dict[int, tuple[int, str]]) -> None:
    """Add the cells that reach down from the rows above."""
    while (waiting := held.get(len(cells), (0, "")))[0] > 0:
        held[len(cells)] = (waiting[0] - 1, waiting[1])
        cells.append(waiting[1])


def _count(cell: Tag, attribute: str) -> int:
    value = str(cell.get(attribute, "1")).strip()
    return min(max(int(value), 1), _MAX_SPAN) if value.isdecimal() and len(value) < 6 else 1
