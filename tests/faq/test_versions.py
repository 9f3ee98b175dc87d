"""A new version of a document, whatever has changed in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain import Chunk, Document, FaqPair, FaqStatus, Place, utc_now
from engine.faq.versions import GONE, Succession, fingerprint, inherited, succession

SENTENCES = [f"Part {letter} costs {number} euros." for number, letter in enumerate("abcdef")]
VERSIONS = st.lists(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=3, unique=True), max_size=6)


def chunks_of(document_id: str, texts: list[list[str]]) -> list[Chunk]:
    """A page for each chunk."""
    lines = [" ".join(text) for text in texts]
    return [Chunk(f"{document_id}-{at}", document_id, at, at + 1, 0, len(line), line) for at, line in enumerate(lines)]


def pair_of(chunk: Chunk, quote: str, number: int, status: FaqStatus) -> FaqPair:
    start = chunk.text.index(quote)
    return FaqPair(
        id=f"p{number}",
        collection_id="c",
        question=f"Question {number}?",
        answer=quote,
        quote=quote,
        document_id=chunk.document_id,
        document="d.md",
        page=chunk.page,
        heading="",
        score=0.9,
        status=status,
        reason="",
        model="m",
        created_at=utc_now(),
        chunk_id=chunk.id,
        place=Place(start, start + len(quote)),
    )


@settings(max_examples=150)
@given(VERSIONS, VERSIONS, st.data())
def test_every_pair_has_one_place_in_the_new_version_or_is_flagged(
    before: list[list[str]], after: list[list[str]], data: st.DataObject
) -> None:
    old, new = chunks_of("old", before), chunks_of("new", after)
    by_id, pages = {chunk.id: chunk for chunk in new}, {chunk.page: chunk.text for chunk in new}
    statuses = st.sampled_from(FaqStatus)
    made = [(chunk, quote) for chunk, text in zip(old, before, strict=True) for quote in text]
    pairs = [pair_of(chunk, quote, number, data.draw(statuses)) for number, (chunk, quote) in enumerate(made)]
    finished = {chunk.id for chunk in old if data.draw(st.booleans())}

    def place(page: int, quote: str, near: int) -> Place | None:
        at = pages[page].find(quote)
        return None if at < 0 else Place(at, at + len(quote))

    document = Document("new", "d.md", "text/markdown", 1, len(new), utc_now())
    done = succession(document, new, old_chunks=old, pairs=pairs, place=place)

    assert [pair.id for pair in done.pairs] == [pair.id for pair in pairs]
    kept = {fingerprint(chunk) for chunk in old} & {fingerprint(chunk) for chunk in new}
    assert (done.unchanged, done.changed) == (sum(fingerprint(chunk) in kept for chunk in new), len(new) - done.unchanged)
    asked_before = {fingerprint(chunk) for chunk in old if chunk.id in finished}
    assert set(inherited(new, old, finished)) == {chunk.id for chunk in new if fingerprint(chunk) in asked_before}
    for (chunk, quote), was, now in zip(made, pairs, done.pairs, strict=True):
        assert (now.document_id, now.question, now.answer, now.score) == ("new", was.question, was.answer, was.score)
        stands = any(quote in text for text in pages.values())
        if now.place is not None:
            assert by_id[now.chunk_id].text[now.place.start : now.place.end] == quote
        if fingerprint(chunk) in kept:
            assert (now.status, now.reason, now.place is not None) == (was.status, "", True)
        elif was.status is FaqStatus.REJECTED:
            assert now.status is FaqStatus.REJECTED
        else:
            assert now.id in done.flagged
            assert now.reason
            assert (now.place is not None) == stands
            assert now.status is (FaqStatus.PENDING if stands or was.status is FaqStatus.APPROVED else FaqStatus.REJECTED)


def one_page(document_id: str, *texts: str) -> list[Chunk]:
    """All chunks on one page, a blank between them."""
    starts = [sum(len(text) + 1 for text in texts[:at]) for at in range(len(texts))]
    return [
        Chunk(f"{document_id}-{at}", document_id, at, 1, start, start + len(text), text)
        for at, (start, text) in enumerate(zip(starts, texts, strict=True))
    ]


def next_version(old: Sequence[Chunk], new: Sequence[Chunk], pairs: Sequence[FaqPair]) -> Succession:
    page = " ".join(chunk.text for chunk in new)

    def place(_: int, quote: str, near: int) -> Place | None:
        at = page.find(quote)
        return None if at < 0 else Place(at, at + len(quote))

    document = Document("new", "d.md", "text/markdown", 1, 1, utc_now())
    return succession(document, new, old_chunks=old, pairs=pairs, place=place)


def test_an_approved_pair_whose_quote_is_gone_is_flagged_though_its_passage_stands() -> None:
    old = one_page("old", "Delivery takes 3 days.", "Returns cost 5 euros.")
    new = one_page("new", "Delivery takes 3 days.", "Returns cost 9 euros.")
    delivery = pair_of(old[0], "Delivery takes 3 days.", 1, FaqStatus.APPROVED)
    requoted = replace(delivery, id="p2", quote="Returns cost 5 euros.", answer="5 euros.", place=Place(23, 44))
    done = next_version(old, new, [delivery, requoted])
    kept, now = done.pairs
    assert (kept.status, kept.chunk_id) == (FaqStatus.APPROVED, "new-0")
    assert (now.status, now.reason, now.chunk_id, now.place) == (FaqStatus.PENDING, GONE, None, None)
    assert done.flagged == ("p2",)


@pytest.mark.parametrize("place", [None, Place(0, 22)])
def test_a_rejected_pair_that_never_had_a_place_keeps_its_reason(place: Place | None) -> None:
    old, new = one_page("old", "Delivery takes 3 days."), one_page("new", "Delivery takes 3 days.", "And more.")
    pair = pair_of(old[0], "Delivery takes 3 days.", 1, FaqStatus.REJECTED)
    (now,) = next_version(old, new, [replace(pair, quote="Delivery is free.", place=place, reason="Weak.")]).pairs
    assert (now.status, now.reason) == (FaqStatus.REJECTED, "Weak." if place is None else GONE)


def test_a_fingerprint_hangs_on_headings_and_words_not_on_place_or_white_space() -> None:
    chunk = Chunk("1", "d", 0, 1, 0, 5, "Two  words\n", ("A", "B"))
    assert fingerprint(chunk) == fingerprint(Chunk("2", "e", 7, 3, 9, 20, "Two\nwords", ("A", "B")))
    assert fingerprint(chunk) != fingerprint(Chunk("1", "d", 0, 1, 0, 5, "Two words", ("A", "C")))
    assert fingerprint(chunk) != fingerprint(Chunk("1", "d", 0, 1, 0, 5, "two words", ("A", "B")))
