"""Exports, safe and whole."""

import csv
import io
import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from engine.csv_export import cell_text
from engine.domain import FaqPair, FaqStatus, Place, utc_now
from engine.errors import InputError, StorageError
from engine.faq.export import FIELDS, FORMATS, export_pairs, pair_record, pairs_to_csv, to_chat, to_jsonl
from engine.faq.export_pages import to_html, to_json_ld, to_markdown
from engine.faq.words import word_set
from engine.training.datasets.dataset_files import read_examples

PAIR = FaqPair(
    id="id1",
    collection_id="c1",
    question="When do you open?",
    answer="At 9:00.",
    quote="We open at 9:00.",
    document_id="d1",
    document="hours.pdf",
    page=2,
    heading="Hours",
    score=0.81,
    status=FaqStatus.APPROVED,
    reason="",
    model="smol",
    created_at=utc_now(),
    place=Place(11, 27, ((1.0, 2.5, 3.0, 4.0),)),
    parts={"relevance": 0.75, "fact": 0.5},
    language="en",
    origin="rule",
)

HOSTILE = st.sampled_from(
    [
        *("<script>alert(1)</script>", "</script><b>", "<!--", "-->", "&lt;&amp;", '"><img src=x onerror=1>', "<![CDATA[", '"'),
        *("[a](javascript:b)", "![x](http://evil)", "http://evil.test www.evil.test a@b.test", "`code` *b* _i_ ~~s~~", "\\"),
        *("# Big", "1. one", "- item", "=== ---", "> q", "| a | b |", "$x$", "{{x}}", ": x", "***", "+ a", "12) x", "a\\\nb"),
        *("=HYPERLINK(1)", "'=1", "''+x", "\t=1", "a\nb\r\nc", "\u2028", "\x85", "\x00\x1b", "\u202eevil", "ﬁ", "𝔘"),
    ]
)
TEXT = st.lists(HOSTILE | st.text(max_size=12), max_size=4).map(" ".join)
FILLED = TEXT.filter(lambda text: bool(re.sub(r"[\s\x00-\x1f\x7f-\x9f]", "", text)))
PAIRS = st.builds(
    FaqPair,
    id=TEXT,
    collection_id=st.just("c"),
    question=FILLED,
    answer=FILLED,
    quote=FILLED,
    document_id=st.none() | TEXT,
    document=FILLED,
    page=st.none() | st.integers(1, 9999),
    heading=TEXT,
    score=st.floats(0, 1),
    status=st.sampled_from(FaqStatus),
    reason=TEXT,
    model=FILLED,
    created_at=st.just(PAIR.created_at),
    place=st.none()
    | st.builds(Place, st.integers(0, 99), st.integers(99, 999), st.just(()) | st.just(((0.0, 1.5, 2.0, 3.25),))),
    parts=st.dictionaries(TEXT, st.floats(0, 1), max_size=2),
    duplicate_of=st.none() | TEXT,
    language=TEXT | st.just("de"),
    origin=TEXT,
)


def shown(text: str) -> list[str]:
    """The lines of a text as a page can show them: no control characters, single spaces, no empty lines."""
    lines = re.split(r"[\n\r\v\f\x85\u2028\u2029]", text)
    visible = (" ".join(re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]", "", line).split()) for line in lines)
    return [line for line in visible if line]


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_each_format_has_the_pair_and_its_proof(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"pairs.{kind}"
    assert export_pairs([PAIR], path, kind) == 1
    text = path.read_text(encoding="utf-8")
    for value in ("When do you open?", "At 9:00.", "We open at 9:00.", "hours.pdf", "2", "Hours", "0.81", "smol"):
        assert value in text
    for value in ("relevance", "0.75", "fact", "0.5", "rule", "en", "11", "27"):
        assert value in text


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_nothing_to_write_is_a_valid_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"pairs.{kind}"
    assert export_pairs([], path, kind) == 0
    assert path.is_file()


@settings(max_examples=40)
@given(st.lists(PAIRS, max_size=2))
def test_jsonl_reads_back(pairs: list[FaqPair]) -> None:
    text = to_jsonl(pairs)
    assert [json.loads(line) for line in text.splitlines()] == [pair_record(pair) for pair in pairs]
    assert [tuple(json.loads(line)) for line in text.splitlines()] == [FIELDS] * len(pairs)


@settings(max_examples=40)
@given(st.lists(PAIRS, max_size=2))
def test_csv_reads_back_and_has_no_formulas(pairs: list[FaqPair]) -> None:
    rows = list(csv.DictReader(io.StringIO(pairs_to_csv(pairs), newline="")))
    assert not any(cell.startswith(("=", "+", "@", "\t", "\r", "\n")) for row in rows for cell in row.values())
    for row, pair in zip(rows, pairs, strict=True):
        record = pair_record(pair)
        for name in ("id", "question", "answer", "quote", "document", "heading", "reason", "model", "language", "origin"):
            assert cell_text(row[name]) == record[name]
        assert float(row["score"]) == pair.score
        assert json.loads(row["parts"]) == record["parts"]
        assert (json.loads(row["place"]) if row["place"] else None) == record["place"]
        assert row["page"] == ("" if pair.page is None else str(pair.page))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_cells_are_never_formulas(start: str) -> None:
    pair = replace(PAIR, question=f'{start}HYPERLINK("http://evil")', document=f"{start}cmd")
    rows = list(csv.reader(io.StringIO(pairs_to_csv([pair]), newline="")))
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row)


@settings(max_examples=40)
@given(st.lists(PAIRS, max_size=2))
def test_chat_reads_back_as_training_examples(pairs: list[FaqPair]) -> None:
    for line, pair in zip(to_chat(pairs).splitlines(), pairs, strict=True):
        row = json.loads(line)
        assert row["messages"] == [
            {"role": "user", "content": pair.question.strip()},
            {"role": "assistant", "content": pair.answer.strip()},
        ]
        assert row["source"] == {name: value for name, value in pair_record(pair).items() if name not in ("question", "answer")}


def test_our_own_fine_tuning_reads_the_chat_format(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    export_pairs([PAIR], path, "chat")
    [example] = read_examples(path)
    assert (example.question, example.answer) == (PAIR.question, PAIR.answer)


def markdown_texts(text: str) -> tuple[list[str], list[list[str]]]:
    """The headings of the second level, and the lines of the paragraphs; fails where there is anything else."""
    headings, paragraphs, tag = [], [], ""
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        assert token.type.removesuffix("_open").removesuffix("_close") in ("heading", "paragraph", "inline", "blockquote")
        tag = token.tag if token.type.endswith("_open") else tag
        if token.type == "inline":
            children = token.children or []
            assert {child.type for child in children} <= {"text", "text_special", "hardbreak"}
            lines = "".join("\n" if child.type == "hardbreak" else child.content for child in children).split("\n")
            if tag == "p":
                paragraphs.append(lines)
            elif tag == "h2":
                headings.append(lines[0])
    return headings, paragraphs


@settings(max_examples=40)
@given(st.lists(PAIRS, max_size=2))
def test_markdown_reads_back_and_has_no_live_markup(pairs: list[FaqPair]) -> None:
    headings, paragraphs = markdown_texts(to_markdown(pairs))
    assert headings == [" ".join(shown(pair.question)) for pair in pairs]
    assert paragraphs[0::3] == [shown(pair.answer) for pair in pairs]
    assert paragraphs[1::3] == [shown(pair.quote) for pair in pairs]
    for [source], pair in zip(paragraphs[2::3], pairs, strict=True):
        for value in (pair.document, pair.heading, pair.model, pair.origin, f"{pair.score:.2f}"):
            assert " ".join(shown(value)) in source


def test_addresses_in_markdown_are_no_links() -> None:
    text = to_markdown([replace(PAIR, answer="See http://evil.test, www.evil.test or a@evil.test")])
    assert not re.search(r"http://|www\.|a@", text)


class Page(HTMLParser):
    """The texts of a page by element, and all its tags."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._open = dict(attrs).get("class") or tag
        self.texts.setdefault(self._open, []).append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open][-1] += data


_HEAD, _BODY = "html head meta title style body main", "h1 nav ol li a article h2 p figure blockquote figcaption"
TAGS = word_set(f"{_HEAD} {_BODY} details summary dl dt dd")
ATTRIBUTES = word_set("lang charset name content http-equiv aria-label href id dir class")


@settings(max_examples=40)
@given(st.lists(PAIRS, max_size=2))
def test_html_reads_back_and_runs_nothing(pairs: list[FaqPair]) -> None:
    page = Page(to_html(pairs))
    for name, texts in (
        ("h2", [pair.question for pair in pairs]),
        ("a", [pair.question for pair in pairs]),
        ("answer", [pair.answer for pair in pairs]),
        ("blockquote", [pair.quote for pair in pairs]),
    ):
        assert [shown(text) for text in page.texts.get(name, [])] == [shown(text) for text in texts]
    for caption, pair in zip(page.texts.get("figcaption", []), pairs, strict=True):
        assert "".join(shown(pair.document)) in "".join(shown(caption))
    assert set(page.tags) <= TAGS
    assert {name for name, _ in page.attributes} <= ATTRIBUTES
    assert all((value or "").startswith("#q") for name, value in page.attributes if name == "href")
    assert all(re.fullmatch(r"[A-Za-z-]+\w*", value or "") for name, value in page.attributes if name == "lang")


@settings(max_examples=40)
@given(st.lists(PAIRS, max_size=2))
def test_json_ld_is_a_faq_page_and_cannot_leave_its_script(pairs: list[FaqPair]) -> None:
    text = to_json_ld(pairs)
    assert not set("<>&") & set(text)
    page = json.loads(text)
    assert page["@type"] == "FAQPage"
    assert page["@context"][0] == "https://schema.org"
    for question, pair in zip(page["mainEntity"], pairs, strict=True):
        assert question["@type"] == "Question"
        assert question["name"] == pair.question
        answer = question["acceptedAnswer"]
        assert answer["@type"] == "Answer"
        assert not re.search(r"<(?!br>)", answer["text"])
        assert shown(unescape(answer["text"].replace("<br>", "\n"))) == shown(pair.answer)
        assert answer["citation"]["text"] == pair.quote
        assert answer["citation"]["isPartOf"] == {"@type": "DigitalDocument", "name": pair.document}
        for name in ("document", "page", "heading", "score", "parts", "status", "model", "origin", "place"):
            assert question[f"nexus:{name}"] == pair_record(pair)[name]


def test_imported_pairs_have_no_citation() -> None:
    [question] = json.loads(to_json_ld([replace(PAIR, quote="", document_id=None, document="", page=None)]))["mainEntity"]
    assert "citation" not in question["acceptedAnswer"]


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        export_pairs([PAIR], tmp_path / "x", "xlsx")


def test_a_failed_export_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("before")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError):
        export_pairs([PAIR], path, "csv")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        export_pairs([PAIR], tmp_path / "none" / "pairs.csv", "csv")
