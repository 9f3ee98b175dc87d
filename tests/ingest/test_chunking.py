"""Chunks follow the structure of a page, are bounded, and lose nothing."""

import base64
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain import BlockKind, Chunk, Page
from engine.ingest import chunk_pages, estimate_tokens, read_document
from engine.ingest.chunking import TokenCounter
from engine.ingest.structure import HeadingTrail, Piece, build_page
from engine.llm.llamacpp import LlamaCppModel

KINDS = st.sampled_from(list(BlockKind))
TEXTS = st.text(st.sampled_from("ab. \n!,xyzé-1"), min_size=1, max_size=400).map(str.strip).filter(bool)


def page_of(*pieces: tuple[BlockKind, str]) -> Page:
    return build_page(1, [Piece(kind, text, level=kind is BlockKind.HEADING) for kind, text in pieces], HeadingTrail())


@pytest.fixture(scope="module")
def tokens(chat_gguf: Path) -> Iterator[TokenCounter]:
    """Counts in the default model's own tokens."""
    model = LlamaCppModel(chat_gguf)
    yield model.count_tokens
    model.close()


def check(page: Page, chunks: list[Chunk], target: int, count: TokenCounter = estimate_tokens) -> None:
    position = 0
    for index, chunk in enumerate(chunks):
        assert chunk.index == index
        assert chunk.text == page.text[chunk.start : chunk.end] == chunk.text.strip() != ""
        assert not page.text[position : chunk.start].strip()
        assert count(chunk.text) <= 2 * target
        position = chunk.end
    assert not page.text[position:].strip()
    assert len({chunk.id for chunk in chunks}) == len(chunks)


@given(st.lists(st.tuples(KINDS, TEXTS), max_size=12), st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_every_character_once_and_in_order(pieces: list[tuple[BlockKind, str]], target: int) -> None:
    page = page_of(*pieces)
    check(page, chunk_pages("d", [page], target_tokens=target), target)


@given(st.text(max_size=2000), st.integers(1, 80))
@settings(max_examples=100, deadline=None)
def test_pages_without_blocks(text: str, target: int) -> None:
    page = Page(1, text)
    check(page, chunk_pages("d", [page], target_tokens=target), target)


@pytest.mark.parametrize("text", ["word " * 100_000, "x" * 1_000_000, "One two three. " * 60_000, "a\n" * 100_000])
def test_pathological_text_is_bounded(text: str) -> None:
    page = Page(1, text)
    chunks = chunk_pages("d", [page], target_tokens=200)
    check(page, chunks, 200)
    assert all(estimate_tokens(chunk.text) <= 200 for chunk in chunks)


def test_words_stay_whole_where_there_are_any() -> None:
    chunks = chunk_pages("d", [Page(1, "someword " * 5_000)], target_tokens=100)
    assert {word for chunk in chunks for word in chunk.text.split()} == {"someword"}


def test_each_heading_starts_a_chunk() -> None:
    page = page_of((BlockKind.HEADING, "A"), (BlockKind.PARAGRAPH, "a."), (BlockKind.HEADING, "B"), (BlockKind.PARAGRAPH, "b."))
    chunks = chunk_pages("d", [page], target_tokens=100)
    assert [(chunk.text, chunk.heading_path) for chunk in chunks] == [("A\na.", ("A",)), ("B\nb.", ("B",))]


def test_heading_stays_with_what_it_heads() -> None:
    body = "This is one sentence of the text. " * 20
    page = page_of((BlockKind.PARAGRAPH, "Before."), (BlockKind.HEADING, "Terms"), (BlockKind.PARAGRAPH, body.strip()))
    chunks = chunk_pages("d", [page], target_tokens=60)
    assert chunks[1].text.startswith("Terms\nThis is")
    assert all(chunk.text.endswith(".") for chunk in chunks)


def test_list_items_stay_below_their_heading() -> None:
    items = [(BlockKind.LIST_ITEM, f"- item {n}") for n in range(6)]
    chunks = chunk_pages("d", [page_of((BlockKind.HEADING, "Rules"), *items)], target_tokens=100)
    assert len(chunks) == 1


@pytest.mark.parametrize("kind", [BlockKind.TABLE_ROW, BlockKind.LIST_ITEM])
def test_rows_and_list_items_are_never_cut(kind: BlockKind) -> None:
    rows = [(kind, f"Item: number {n}. Price: {n} euros. Note: some words about it") for n in range(30)]
    chunks = chunk_pages("d", [page_of(*rows)], target_tokens=40)
    assert [line for chunk in chunks for line in chunk.text.split("\n")] == [text for _, text in rows]


def test_pages_are_never_crossed() -> None:
    pages = [Page(1, "One."), Page(2, "Two.")]
    assert [(chunk.page, chunk.text) for chunk in chunk_pages("d", pages, target_tokens=100)] == [(1, "One."), (2, "Two.")]


def test_identifiers_depend_on_document_page_and_place() -> None:
    def ids(document: str, number: int, text: str) -> list[str]:
        return [chunk.id for chunk in chunk_pages(document, [Page(number, text)], target_tokens=50)]

    assert ids("d", 1, "One.") == ids("d", 1, "One.")
    assert all(len(identifier) == 32 for identifier in ids("d", 1, "One."))
    assert len({*ids("d", 1, "One."), *ids("e", 1, "One."), *ids("d", 2, "One."), *ids("d", 1, " One.")}) == 4


def test_sample(sample_pdf: object) -> None:
    document = read_document(sample_pdf)  # type: ignore[arg-type]
    chunks = chunk_pages(document.id, document.pages, target_tokens=220)
    assert [chunk.heading_path[-1] for chunk in chunks if chunk.page == 3] == [
        "Warranty",
        "Repairs",
        "Care",
        "Safety",
        "Models",
    ]


def test_scripts_that_take_more_tokens_give_shorter_chunks() -> None:
    assert estimate_tokens("four letters") == 3
    assert estimate_tokens("größer als") == 3
    assert estimate_tokens("доставка") == 4
    assert estimate_tokens("送料無料です") == 6
    text = "配送には三日かかります。" * 40
    chunks = chunk_pages("d", [page_of((BlockKind.PARAGRAPH, text))], target_tokens=100)
    assert all(len(chunk.text) <= 200 for chunk in chunks)
    assert "".join(chunk.text for chunk in chunks) == text


class TestOwnTokens:
    """Sized with a model's tokenizer."""

    ODD = st.lists(
        st.one_of(
            st.text(max_size=60),
            st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), max_size=80),
            st.text(st.characters(min_codepoint=0x1F300, max_codepoint=0x1FAFF), max_size=60),
            st.binary(max_size=90).map(lambda data: base64.b64encode(data).decode()),
            st.sampled_from(["<|im_end|>", "=" * 90, "0123456789" * 9, "e\u0301" * 20, "No. 5. It is. ", "a b c d e f " * 9]),
        ),
        max_size=10,
    )

    @given(texts=ODD, kind=KINDS, target=st.integers(8, 80))
    @settings(max_examples=60, deadline=None)
    def test_text_that_tokenises_badly(self, tokens: TokenCounter, texts: list[str], kind: BlockKind, target: int) -> None:
        page = page_of(*((kind, text) for text in map(str.strip, texts) if text))
        check(page, chunk_pages("d", [page], target_tokens=target, count=tokens), target, tokens)

    @pytest.mark.parametrize(
        "text",
        [
            "配送には三日かかります" * 2_000,
            "🫖🧹👩‍🔬" * 3_000,
            base64.b64encode(random.Random(4).randbytes(60_000)).decode(),
            " ".join(f"word{n % 977}" for n in range(100_000)),
        ],
        ids=["Chinese characters", "emoji", "base64", "100,000 words without a full stop"],
    )
    def test_long_text_without_a_place_to_cut(self, tokens: TokenCounter, text: str) -> None:
        page = Page(1, text)
        chunks = chunk_pages("d", [page], target_tokens=220, count=tokens)
        check(page, chunks, 110, tokens)
        assert max(tokens(chunk.text) for chunk in chunks) > 100, "chunks are not much too small either"

    def test_fewer_tokens_make_longer_chunks(self) -> None:
        page = Page(1, "One two three four. " * 200)
        assert len(chunk_pages("d", [page], target_tokens=40, count=lambda text: text.count(" ") + 1)) == 32

    def test_the_counter_never_sees_much_more_than_can_fit(self) -> None:
        longest = 0

        def count(text: str) -> int:
            nonlocal longest
            longest = max(longest, len(text))
            return len(text) // 4

        chunk_pages("d", [Page(1, "word " * 100_000)], target_tokens=100, count=count)
        assert longest <= 100 * 64
