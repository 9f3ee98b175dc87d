"""PDF, through PyMuPDF. Nothing in the file is executed: MuPDF's JavaScript stays off, links are not followed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from engine.domain import Page
from engine.ingest.pdf.extraction import PdfFile
from engine.ingest.pdf.furniture import drop_furniture
from engine.ingest.pdf.layout import Element, Line, PageLayout
from engine.ingest.pdf.order import reading_order
from engine.ingest.pdf.paragraphs import page_pieces
from engine.ingest.pdf.style import DocumentStyle, document_style
from engine.ingest.source import Source
from engine.ingest.structure import HeadingTrail, build_page


def load_pdf(source: Source) -> Iterator[Page]:
    """The pages of a PDF, numbered as in the file; pages without text stay, empty, so that the numbers hold."""
    file = PdfFile(source)
    try:
        outline = file.outline()
        layouts = drop_furniture(list(_layouts(source, file)))
    finally:
        file.close()
    _warn_of_pictures(source, layouts)
    style = document_style(layouts, outline)
    trail = HeadingTrail()
    for layout in layouts:
        yield _page(layout, style, trail)


def _layouts(source: Source, file: PdfFile) -> Iterator[PageLayout]:
    """Each page's layout; stops a document that holds too much text before all of it is in memory."""
    characters = 0
    for number in range(1, file.page_count + 1):
        layout = file.layout(number)
        characters += sum(len(line.text) for line in layout.lines)
        source.check_characters(characters)
        yield layout


def _page(layout: PageLayout, style: DocumentStyle, trail: HeadingTrail) -> Page:
    def is_heading(element: Element) -> bool:
        return isinstance(element, Line) and element.size in style.levels

    ordered = reading_order(layout.elements, is_heading)
    page = build_page(layout.number, page_pieces(ordered, style, layout.number), trail)
    return replace(page, width=layout.width, height=layout.height)


def _warn_of_pictures(source: Source, layouts: list[PageLayout]) -> None:
    empty = [str(layout.number) for layout in layouts if not layout.elements]
    if empty and len(empty) < len(layouts):
        shown = ", ".join(empty[:10]) + (" …" if len(empty) > 10 else "")
        source.warnings.append(f"No text was found on page {shown} (blank, or a picture of text).")
