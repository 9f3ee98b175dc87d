"""One module for each format, and the registry that finds them by media type.

A loader turns a file into pages and nothing else: what kind of file it is was settled before (`engine.ingest.media`), and
that it holds text and keeps the limits is checked afterwards (`engine.ingest.reading`).
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.ingest import media
from engine.ingest.loaders.csv import load_csv
from engine.ingest.loaders.docx import load_docx
from engine.ingest.loaders.epub import load_epub
from engine.ingest.loaders.html import load_html
from engine.ingest.loaders.markdown import load_markdown
from engine.ingest.loaders.pdf import load_pdf
from engine.ingest.loaders.pptx import load_pptx
from engine.ingest.loaders.text import load_text
from engine.ingest.loaders.xlsx import load_xlsx
from engine.ingest.source import Loader

LOADERS: Mapping[str, Loader] = {
    media.PDF: load_pdf,
    media.DOCX: load_docx,
    media.PPTX: load_pptx,
    media.XLSX: load_xlsx,
    media.EPUB: load_epub,
    media.MARKDOWN: load_markdown,
    media.HTML: load_html,
    media.TEXT: load_text,
    media.CSV: load_csv,
}
"""The loader of each media type."""

__all__ = ["LOADERS"]
