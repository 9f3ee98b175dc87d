"""PDF, through PyMuPDF. Nothing in the file is executed: MuPDF's JavaScript stays off, links are not followed.

A document is looked at several times: headings and running headers can only be told from the whole. What is on the pages is
kept on the disk meanwhile (`engine.ingest.pdf.spool`), so that a long document takes no more memory than a short one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from engine.domain import Page
from engine.errors import DocumentError
from engine.ingest.ocr import find_tesseract
from engine.ingest.pdf.extraction import PdfFile
from engine.ingest.pdf.furniture import find_furniture
from engine.ingest.pdf.layout import NOMINAL_SIZE, Element, Line, PageLayout
from engine.ingest.pdf.order import reading_order
from engine.ingest.pdf.paragraphs import carry_over, page_pieces
from engine.ingest.pdf.recognition import read_layouts
from engine.ingest.pdf.spool import layout_spool
from engine.ingest.pdf.style import DocumentStyle, document_style, most_frequent
from engine.ingest.source import Source
from engine.ingest.spool import Spool
from engine.ingest.structure import HeadingTrail, build_page


def load_pdf(source: Source) -> Iterator[Page]:
    """The pages of a PDF, numbered as in the file; pages without text stay, empty, so that the numbers hold."""
    with layout_spool() as spool:
        outline, body = _fill(source, spool)

        def layouts() -> Iterator[PageLayout]:
            return (_in_scale(layout, body) for layout in spool)

        furniture = find_furniture(layouts, body)
        style = document_style(map(furniture.removed_from, layouts()), outline)
        for page in _pages(map(furniture.removed_from, layouts()), style):
            source.on_page(len(spool), len(spool))  # all were told before, one by one; this can be stopped too
            yield page


def _pages(layouts: Iterator[PageLayout], style: DocumentStyle) -> Iterator[Page]:
    """Each page once the next is known: a word may go on there."""
    trail = HeadingTrail()
    waiting: tuple[PageLayout, list[Element]] | None = None
    for layout in layouts:
        ordered = _ordered(layout, style)
        if waiting is not None:
            carry_over(waiting[1], ordered, style, waiting[0].number)
            yield _page(*waiting, style, trail)
        waiting = layout, ordered
    if waiting is not None:
        yield _page(*waiting, style, trail)


def _fill(source: Source, spool: Spool[PageLayout]) -> tuple[list[tuple[int, str, int]], float]:
    """Put the layout of each page into the spool. Returns the bookmarks and the type size of most letters."""
    file = PdfFile(source)
    letters = Counter[float]()
    characters, has_words = 0, False
    try:
        outline = file.outline()
        for layout in read_layouts(source, file):
            text = layout.text
            characters += len(text)
            source.check_characters(characters)
            has_words = has_words or any(map(str.isalnum, text))
            if layout.source == "text":
                letters.update({line.size: 0 for line in layout.lines})
                for line in layout.lines:
                    letters[line.size] += len(line.text)
            spool.add(layout)
    finally:
        file.close()
    if not has_words:
        raise _no_words(source)
    return outline, most_frequent(letters) or NOMINAL_SIZE


def _no_words(source: Source) -> DocumentError:
    hint = (
        "Text recognition (OCR) found no words on them. Scan them again, upright and at 300 dots per inch."
        if find_tesseract()
        else "Install tesseract-ocr (Debian: apt-get install tesseract-ocr) and add it again to have them read (OCR)."
    )
    return DocumentError(f"{source.name} has no text layer: its pages are pictures (a scan?).", hint=hint)


def _in_scale(layout: PageLayout, body: float) -> PageLayout:
    """Give recognised text the size that body text has elsewhere in the document."""
    if layout.source == "text":
        return layout
    elements = [
        replace(element, size=element.size / NOMINAL_SIZE * body) if isinstance(element, Line) else element
        for element in layout.elements
    ]
    return replace(layout, elements=tuple(elements))


def _ordered(layout: PageLayout, style: DocumentStyle) -> list[Element]:
    def is_heading(element: Element) -> bool:
        return isinstance(element, Line) and element.size in style.levels

    return reading_order(layout.elements, is_heading)


def _page(layout: PageLayout, ordered: list[Element], style: DocumentStyle, trail: HeadingTrail) -> Page:
    page = build_page(layout.number, page_pieces(ordered, style, layout.number), trail)
    return replace(page, width=layout.width, height=layout.height, source=layout.source)
