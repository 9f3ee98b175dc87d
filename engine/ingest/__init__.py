"""Reading documents: files of many formats become pages, blocks and chunks.

Lives here: finding out what a file is, refusing what is hostile or broken with an error that says what to do, the loaders
(`loaders/`, one module for each format), splitting text into sentences and pages into chunks, finding a quote in its page, and
pictures of pages. Not here: where documents and chunks are stored, embedding, and anything that needs a model.
"""

from engine.ingest.chunking import TokenCounter, chunk_pages, cut_pages, estimate_tokens
from engine.ingest.limits import Limits
from engine.ingest.media import SUPPORTED_SUFFIXES
from engine.ingest.names import safe_name
from engine.ingest.pictures import page_picture
from engine.ingest.quotes import locate_quote, place_of
from engine.ingest.reading import LoadedDocument, OpenedDocument, open_document, read_document
from engine.ingest.sentences import split_sentences
from engine.ingest.source import PageCallback
from engine.ingest.spool import chunk_spool, page_spool

__all__ = [
    "SUPPORTED_SUFFIXES",
    "Limits",
    "LoadedDocument",
    "OpenedDocument",
    "PageCallback",
    "TokenCounter",
    "chunk_pages",
    "chunk_spool",
    "cut_pages",
    "estimate_tokens",
    "locate_quote",
    "open_document",
    "page_picture",
    "page_spool",
    "place_of",
    "read_document",
    "safe_name",
    "split_sentences",
]
