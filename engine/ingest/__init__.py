"""Reading documents: files of seven formats become pages, blocks and chunks.

Lives here: finding out what a file is, refusing what is hostile or broken with an error that says what to do, the loaders
(`loaders/`, one module for each format), splitting text into sentences and pages into chunks, and finding a quote in its
page. Not here: where documents and chunks are stored, embedding, and anything that needs a model.
"""

from engine.ingest.chunking import chunk_pages, estimate_tokens
from engine.ingest.limits import Limits
from engine.ingest.media import SUPPORTED_SUFFIXES
from engine.ingest.names import safe_name
from engine.ingest.quotes import locate_quote
from engine.ingest.reading import LoadedDocument, read_document
from engine.ingest.sentences import split_sentences

__all__ = [
    "SUPPORTED_SUFFIXES",
    "Limits",
    "LoadedDocument",
    "chunk_pages",
    "estimate_tokens",
    "locate_quote",
    "read_document",
    "safe_name",
    "split_sentences",
]
