"""Finding pairs: words without letter case and accents, and the filters."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.db.repositories import Repositories
from engine.db.session import Database, folded
from engine.domain import FaqPair, FaqQuery, FaqStatus, utc_now


@pytest.fixture
def repositories(tmp_path: Path) -> Repositories:
    return Repositories.over(Database(tmp_path / "nexus.db"))


@pytest.fixture
def collection(repositories: Repositories) -> str:
    """Four pairs: a and b of menu.pdf, c rejected as a duplicate of a, d with a remark and from elsewhere."""
    collection = repositories.collections.ensure("café").id
    base = FaqPair(
        "a", collection, "Is there a Crème Brûlée?", "Yes, at 100 %.", "GROSSE STRASSE", None, "menu.pdf", 1, "", 0.9,
        FaqStatus.PENDING, "", "m", utc_now(),
    )  # fmt: skip
    repositories.faqs.add(
        [
            base,
            replace(base, id="b", question="Do you open_early?", quote="Große Straße 5", score=0.5, status=FaqStatus.APPROVED),
            replace(base, id="c", status=FaqStatus.REJECTED, reason="The same.", duplicate_of="a", score=0.2),
            replace(base, id="d", question="Résumé?", document="other.pdf", reason="The quote does not hold 5.", score=0.7),
        ]
    )
    other = repositories.collections.ensure("other").id
    repositories.faqs.add([replace(base, id="e", collection_id=other)])
    return collection


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (FaqQuery(), "abcd"),
        (FaqQuery(text="creme BRULEE"), "ac"),
        (FaqQuery(text="brûlée crème"), "ac"),
        (FaqQuery(text="strasse"), "abcd"),
        (FaqQuery(text="straße 5"), "b"),
        (FaqQuery(text="resume"), "d"),
        (FaqQuery(text="100 %"), "abcd"),
        (FaqQuery(text="open_"), "b"),
        (FaqQuery(text="o%e"), ""),
        (FaqQuery(text="'; DROP TABLE faq; --"), ""),
        (FaqQuery(statuses=frozenset({FaqStatus.PENDING})), "ad"),
        (FaqQuery(statuses=frozenset({FaqStatus.PENDING, FaqStatus.APPROVED})), "abd"),
        (FaqQuery(document="other.pdf"), "d"),
        (FaqQuery(min_score=0.5), "abd"),
        (FaqQuery(min_score=0.3, max_score=0.7), "bd"),
        (FaqQuery(flagged=True), "d"),
        (FaqQuery(flagged=False), "abc"),
        (FaqQuery(duplicates=True), "c"),
        (FaqQuery(duplicates=False), "abd"),
        (FaqQuery(duplicate_of="a"), "c"),
        (FaqQuery(text="creme", statuses=frozenset({FaqStatus.REJECTED}), max_score=0.1), ""),
    ],
)
def test_a_query_finds_what_it_means(repositories: Repositories, collection: str, query: FaqQuery, found: str) -> None:
    assert [pair.id for pair in repositories.faqs.find(collection, query)] == list(found)
    assert sum(repositories.faqs.count_by_status(collection, query).values()) == len(found)


def test_counts_and_documents(repositories: Repositories, collection: str) -> None:
    counts = repositories.faqs.count_by_status(collection)
    assert counts == {FaqStatus.PENDING: 2, FaqStatus.APPROVED: 1, FaqStatus.REJECTED: 1}
    assert repositories.faqs.document_names(collection) == ["menu.pdf", "other.pdf"]


@given(st.text())
def test_a_text_is_found_in_any_letters(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert folded(text.upper()) == folded(text.upper().lower())
