"""`nexus documents …`."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from engine.cli.root import root
from engine.config import load_settings
from engine.container import Engine
from engine.domain import Document, Page, utc_now

Nexus = Callable[..., Result]


@pytest.fixture
def nexus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nexus:
    """Runs `nexus … --json` over a home with two documents of one name and one with a warning, in one collection."""
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path))
    with Engine(load_settings()) as engine:
        collection = engine.repositories.collections.ensure("shop")
        first = Document("a" * 64, "terms.md", "text/markdown", 100, 1, utc_now())
        documents = [
            first,
            replace(first, id="b" * 64),
            replace(first, id="c" * 64, name="scan.pdf", warnings=("Page 2 is empty.",)),
        ]
        for document in documents:
            engine.repositories.documents.add(
                document, [Page(1, f"Text of {document.id[0]}.")], [], collection_id=collection.id
            )
    return lambda *arguments: CliRunner().invoke(root, ["documents", *arguments, "--json"])


def records(result: Result) -> list[dict]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_list(nexus: Nexus) -> None:
    rows = records(nexus("list", "--collection", "shop"))
    assert [row["name"] for row in rows] == ["terms.md", "terms.md", "scan.pdf"]
    assert rows == records(nexus("list"))


def test_show_by_name_and_by_the_beginning_of_the_identifier(nexus: Nexus) -> None:
    (by_name,) = records(nexus("show", "scan.pdf", "--collection", "shop"))
    (by_id,) = records(nexus("show", "cccccc", "--collection", "shop"))
    assert by_name == by_id
    assert (by_name["passages"], by_name["pairs"]) == (0, {"pending": 0, "approved": 0, "rejected": 0})
    (page,) = records(nexus("show", "bbbbbb", "--collection", "shop", "--page", "1"))
    assert (page["text"], page["source"]) == ("Text of b.", "text")


def test_warnings(nexus: Nexus) -> None:
    assert [(row["document"], row["warning"]) for row in records(nexus("warnings"))] == [("scan.pdf", "Page 2 is empty.")]


def test_remove(nexus: Nexus) -> None:
    (done,) = records(nexus("remove", "aaaaaa", "--collection", "shop"))
    assert done["removed"] == "terms.md"
    assert [row["id"][0] for row in records(nexus("list"))] == ["b", "c"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "terms.md", "--collection", "shop"), "conflict"),
        (("remove", "other.md", "--collection", "shop"), "not_found"),
        (("remove", "a", "--collection", "shop"), "not_found"),
        (("list", "--collection", "none"), "not_found"),
        (("show", "scan.pdf", "--collection", "shop", "--page", "7"), "not_found"),
    ],
)
def test_what_is_not_there_or_not_clear_is_said(nexus: Nexus, arguments: tuple[str, ...], code: str) -> None:
    result = nexus(*arguments)
    assert result.exit_code == 1
    error = json.loads(result.stdout)["error"]
    assert error["code"] == code
    assert error["message"]
