"""HTML pages."""

from __future__ import annotations

from collections.abc import Iterator

from engine.domain import Page
from engine.ingest.decoding import decode
from engine.ingest.markup import markup_pieces
from engine.ingest.source import Source
from engine.ingest.structure import paginate


def load_html(source: Source) -> Iterator[Page]:
    """Pages of an HTML file: one for each top-level section."""
    from bs4.dammit import EncodingDetector

    data = source.read_bytes()
    declared = EncodingDetector.find_declared_encoding(data, is_html=True)
    return paginate(source, markup_pieces(source, decode(source, data, declared)))
