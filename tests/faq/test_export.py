"""Exports, safe and whole."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain import FaqPair, FaqStatus, utc_now
from engine.errors import InputError, StorageError
from engine.faq.export import FIELDS, FORMATS, export_pairs, pairs_to_csv, to_jsonl, to_markdown

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
)


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_each_format_has_the_pair_and_its_proof(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"pairs.{kind}"
    assert export_pairs([PAIR], path, kind) == 1
    text = path.read_text(encoding="utf-8")
    for value in ("When do you open?", "At 9:00.", "We open at 9:00.", "hours.pdf", "2", "Hours", "0.81", "smol"):
        assert value in text


def test_jsonl_reads_back() -> None:
    [line] = to_jsonl([PAIR]).splitlines()
    assert json.loads(line) == {name: getattr(PAIR, name) for name in FIELDS}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_cells_are_never_formulas(start: str) -> None:
    pair = replace(PAIR, question=f'{start}HYPERLINK("http://evil")', document=f"{start}cmd")
    rows = list(csv.reader(io.StringIO(pairs_to_csv([pair]), newline="")))
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row)


@given(st.text(max_size=60))
def test_any_text_survives_csv(text: str) -> None:
    stream = io.StringIO(pairs_to_csv([replace(PAIR, answer=text.replace("\r", " ").replace("\x00", ""))]), newline="")
    rows = list(csv.DictReader(stream))
    assert rows[0]["answer"].removeprefix("'") == text.replace("\r", " ").replace("\x00", "").removeprefix("'")


def test_markdown_has_no_live_markup() -> None:
    text = to_markdown([replace(PAIR, question="<script>x</script> [a](javascript:b)\n# Big?", page=None)])
    assert "<script>" not in text
    assert "[a]" not in text
    assert "\n# Big" not in text


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
