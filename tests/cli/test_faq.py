"""`nexus faq …`: looking at pairs, deciding, undoing and exporting."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from engine.domain import DUPLICATE_REASON, FaqStatus

Records = Callable[..., list[dict]]


@pytest.fixture
def linked(home: Any) -> str:
    """The identifier of a rejected pair that links to pair-0."""
    pair = replace(
        home.pairs[0], id="linked-1", question="Café?", status=FaqStatus.REJECTED, reason="The same.", duplicate_of="pair-0",
        document="other.pdf", parts={"fact": 0.5}, origin="rule", language="en", score=0.1,
    )  # fmt: skip
    home.engine.repositories.faqs.add([pair])
    return pair.id


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], ["pair-0", "pair-1", "pair-2", "linked-1"]),
        (["--status", "pending"], ["pair-0", "pair-1", "pair-2"]),
        (["--status", "rejected", "--status", "approved"], ["linked-1"]),
        (["--duplicates"], ["linked-1"]),
        (["--document", "other.pdf"], ["linked-1"]),
        (["--min-score", "0.3", "--max-score", "0.8"], ["pair-1", "pair-2"]),
        (["--flagged"], []),
    ],
)
def test_lists_are_filtered(records: Records, linked: str, options: list[str], found: list[str]) -> None:
    rows = records("faq", "list", "--collection", "cards", *options)
    assert sorted(row["id"] for row in rows) == sorted(found)


def test_words_are_found_in_any_letters(records: Records, linked: str) -> None:
    assert [row["id"] for row in records("faq", "find", "CAFE", "gift", "--collection", "cards")] == [linked]
    assert [row["id"] for row in records("faq", "find", "question 2", "--collection", "cards")] == ["pair-2"]
    assert records("faq", "find", "nothing", "--collection", "cards") == []


def test_a_pair_is_shown_whole_with_those_put_aside_for_it(records: Records, linked: str) -> None:
    (best,) = records("faq", "show", "pair-0", "--collection", "cards")
    assert best["duplicates"] == [linked]
    (aside,) = records("faq", "show", "linked", "--collection", "cards")
    assert (aside["duplicate_of"], aside["parts"], aside["origin"]) == ("pair-0", {"fact": 0.5}, "rule")
    assert aside["place"] is None


def test_a_beginning_that_several_have_is_refused(nexus: Callable[..., Result], home: Any) -> None:
    home.engine.repositories.faqs.add([replace(home.pairs[0], id=f"abcdef{number}") for number in range(2)])
    result = nexus("faq", "show", "abcdef", "--collection", "cards", "--json")
    assert json.loads(result.stdout)["error"]["code"] == "invalid_input"
    assert nexus("faq", "show", "abc", "--collection", "cards").exit_code == 1


def test_a_rejected_pair_is_overruled_reopened_and_all_is_undone(records: Records, home: Any, linked: str) -> None:
    faqs = home.engine.repositories.faqs
    before = faqs.get(linked)
    records("faq", "approve", linked, "--collection", "cards")
    assert (faqs.get(linked).status, faqs.get(linked).duplicate_of) == (FaqStatus.APPROVED, None)
    (report,) = records("faq", "reopen", linked, "--collection", "cards")
    assert report["reopened"] == 1
    assert faqs.get(linked).status is FaqStatus.PENDING
    records("faq", "reject", "--all", "--collection", "cards", "--document", "other.pdf", "--reason", "Old.")
    assert [pair.reason for pair in home.engine.faqs("cards", FaqStatus.REJECTED)] == ["Old."]
    undone = [records("faq", "undo", "--collection", "cards")[0] for _ in range(4)]
    assert [(row["undone"], row["ids"]) for row in undone] == [
        ("reject", [linked]),
        ("reopen", [linked]),
        ("approve", [linked]),
        (None, []),
    ]
    assert faqs.get(linked) == before


def test_of_the_pairs_named_only_those_that_the_options_mean_are_decided(records: Records, home: Any, linked: str) -> None:
    named = ["pair-0", "pair-2", linked]
    (report,) = records("faq", "approve", *named, "--collection", "cards", "--document", "cards.pdf", "--min-score", "0.5")
    assert report["approved"] == 1
    assert [pair.id for pair in home.engine.faqs("cards", FaqStatus.APPROVED)] == ["pair-0"]


def test_an_unsupported_edit_is_flagged_and_listed(records: Records, nexus: Callable[..., Result]) -> None:
    nexus("faq", "edit", "pair-1", "--collection", "cards", "--answer", "For 3 weeks.")
    (flagged,) = records("faq", "list", "--collection", "cards", "--flagged")
    assert "3 weeks" in flagged["reason"]
    refused = nexus("faq", "approve", "pair-1", "--collection", "cards", "--json")
    assert json.loads(refused.stdout)["error"]["code"] == "conflict"


def test_an_edited_question_that_another_pair_asks_is_said_and_undone(
    records: Records, nexus: Callable[..., Result], home: Any
) -> None:
    result = nexus("faq", "edit", "pair-1", "--collection", "cards", "--question", home.pairs[2].question.upper())
    assert "Another pair asks the same" in result.stderr
    assert f"{home.pairs[2].question} (pair-2)" in result.stderr
    (edited,) = records("faq", "show", "pair-1", "--collection", "cards")
    assert edited["duplicate_of"] == "pair-2"
    nexus("faq", "undo", "--collection", "cards")
    (undone,) = records("faq", "show", "pair-1", "--collection", "cards")
    assert (undone["duplicate_of"], undone["reason"]) == (None, "")


def test_what_was_put_aside_for_a_pair_that_goes_is_said(nexus: Callable[..., Result], home: Any, linked: str) -> None:
    home.engine.repositories.faqs.change([linked], "edit", lambda pair: replace(pair, reason=DUPLICATE_REASON))
    for command in (["edit", "pair-0", "--question", "Who sells cards?"], ["reject", "pair-0"]):
        result = nexus("faq", *command, "--collection", "cards")
        assert f"nexus faq reopen {linked}" in result.stderr.replace("\n", " ")


@pytest.mark.parametrize("kind", ["jsonl", "csv", "md", "html", "jsonld", "chat"])
def test_each_format_is_exported_without_rejected_pairs(records: Records, tmp_path: Path, linked: str, kind: str) -> None:
    out = tmp_path / "pairs"
    (report,) = records("faq", "export", "--collection", "cards", "--format", kind, "--out", str(out))
    assert report["count"] == 3
    assert "Caf" not in out.read_text(encoding="utf-8")
    options = ["--status", "rejected", "--document", "other.pdf"]
    (report,) = records("faq", "export", "--collection", "cards", "--format", kind, "--out", str(out), *options)
    assert report["count"] == 1
    assert "Café?" in out.read_text(encoding="utf-8")


@pytest.mark.models
def test_pairs_are_imported(records: Records, home: Any, tmp_path: Path, models_dir: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text('Question,Answer\nDo you wrap gifts?,"Yes, gladly."\n', encoding="utf-8")
    (report,) = records("faq", "import", str(file), "--collection", "cards")
    assert (report["imported"], report["duplicates"], report["already_there"]) == (1, 0, 0)
    (shown,) = records("faq", "show", report["ids"][0], "--collection", "cards")
    assert (shown["question"], shown["answer"], shown["origin"]) == ("Do you wrap gifts?", "Yes, gladly.", "imported")
