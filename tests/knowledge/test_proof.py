"""What is shown beside a pair: its page, the quote's place, and the picture."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pymupdf
import pytest

from engine.config import Settings
from engine.db.repositories import Repositories
from engine.db.session import Database
from engine.domain import Document, FaqPair, FaqStatus, utc_now
from engine.knowledge.documents import DocumentLibrary
from engine.knowledge.proof import PICTURE_WIDTH, Proof, proof_of

QUOTE = "Parcels arrive within 3 working days."


@pytest.fixture
def stored(tmp_path: Path) -> Repositories:
    return Repositories.over(Database(tmp_path / "nexus.db"))


@pytest.fixture
def library(tmp_path: Path, stored: Repositories) -> DocumentLibrary:
    return DocumentLibrary(stored, Settings(home=tmp_path))


def added(library: DocumentLibrary, stored: Repositories, path: Path) -> tuple[Document, FaqPair]:
    """The document of a file in a collection, and a pair made from its second line or page."""
    collection = stored.collections.ensure("Shop")
    document = library.add(path, collection.id)
    number = next(page.number for page in stored.documents.pages(document.id) if QUOTE in page.text)
    source = document.id, document.name, number
    return document, FaqPair("p", collection.id, "?", QUOTE, QUOTE, *source, "", 1.0, FaqStatus.PENDING, "", "m", utc_now())


def shown(pair: FaqPair, stored: Repositories, library: DocumentLibrary) -> Proof:
    found = proof_of(pair, stored, library)
    assert found is not None
    return found


def test_a_pdf_page_is_drawn_with_the_quote_marked(tmp_path: Path, stored: Repositories, library: DocumentLibrary) -> None:
    pdf = pymupdf.open()
    for text in ("Nothing of interest.", QUOTE):
        pdf.new_page().insert_text((72, 400), text)
    pdf.save(tmp_path / "terms.pdf")
    _, pair = added(library, stored, tmp_path / "terms.pdf")
    proof = shown(pair, stored, library)
    assert proof.page.number == 2
    assert proof.place is not None
    assert proof.page.text[proof.place.start : proof.place.end] == QUOTE
    plain = shown(replace(pair, quote="not there"), stored, library)
    assert plain.place is None
    marked, bare = (pymupdf.Pixmap(io.BytesIO(one.picture)) for one in (proof, plain))
    assert (marked.width, bare.width) == (PICTURE_WIDTH, PICTURE_WIDTH)
    assert marked.samples != bare.samples


def test_other_formats_give_their_text(tmp_path: Path, stored: Repositories, library: DocumentLibrary) -> None:
    path = tmp_path / "terms.md"
    path.write_text(f"# Delivery\n\nWe ship.\n\n{QUOTE}\n")
    _, pair = added(library, stored, path)
    proof = shown(pair, stored, library)
    assert proof.picture is None
    assert proof.place is not None
    assert proof.page.text[proof.place.start : proof.place.end] == QUOTE


def test_a_pair_without_a_page_has_no_proof(tmp_path: Path, stored: Repositories, library: DocumentLibrary) -> None:
    path = tmp_path / "terms.md"
    path.write_text(QUOTE)
    document, pair = added(library, stored, path)
    assert proof_of(replace(pair, document_id=None, page=None), stored, library) is None
    assert proof_of(replace(pair, page=99), stored, library) is None
    library.original(document.id).unlink()
    assert shown(pair, stored, library).picture is None
