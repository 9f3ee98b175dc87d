"""Keyword search follows its table, and older databases get it."""

import sqlite3

import pytest

from engine.config import Settings
from engine.db.repositories import Repositories
from engine.db.repositories.search import SearchEntry
from engine.db.session import Database
from engine.domain import Collection


@pytest.fixture
def entries(repositories: Repositories, shop: Collection) -> None:
    repositories.search.change(
        shop.id,
        add=[
            SearchEntry("c:1", "Delivery", "Parcels arrive within five days."),
            SearchEntry("f:2", "When is the café open?", "At nine."),
            SearchEntry("c:3", "", "Pianos are heavy."),
        ],
        remove=[],
    )


@pytest.mark.usefixtures("entries")
class TestMatch:
    @pytest.mark.parametrize(
        ("terms", "expected"),
        [
            (["parcel"], ["c:1"]),
            (["DELIVERIES"], ["c:1"]),
            (["cafe"], ["f:2"]),
            (["heavy", "nothing"], ["c:3"]),
            (["nothing"], []),
            ([], []),
            (['"', "OR", "*"], []),
            (["body:parcels"], []),
        ],
    )
    def test_finds_words_up_to_endings_case_and_accents(
        self, repositories: Repositories, shop: Collection, terms: list[str], expected: list[str]
    ) -> None:
        assert repositories.search.match(shop.id, terms, 5) == expected

    def test_the_best_comes_first_up_to_the_limit(self, repositories: Repositories, shop: Collection) -> None:
        assert repositories.search.match(shop.id, ["parcels", "five", "days", "pianos"], 1) == ["c:1"]

    def test_only_entries_with_the_prefix(self, repositories: Repositories, shop: Collection) -> None:
        assert repositories.search.match(shop.id, ["cafe", "parcels"], 5, "f:") == ["f:2"]

    def test_a_replaced_entry_is_found_by_its_new_words_only(self, repositories: Repositories, shop: Collection) -> None:
        repositories.search.change(shop.id, add=[SearchEntry("c:3", "", "Flutes are light.")], remove=["c:1"])
        assert repositories.search.source_ids(shop.id) == {"f:2", "c:3"}
        assert repositories.search.match(shop.id, ["pianos", "parcels", "flutes"], 5) == ["c:3"]

    def test_nothing_stays_of_a_deleted_collection(
        self, repositories: Repositories, shop: Collection, settings: Settings
    ) -> None:
        assert repositories.collections.delete_if_unused(shop.id, job_id="none")
        with sqlite3.connect(settings.database) as connection:
            rows = connection.execute("SELECT rowid FROM search_text WHERE search_text MATCH 'parcels OR pianos'").fetchall()
            connection.execute("INSERT INTO search_text(search_text) VALUES ('integrity-check')")
        assert rows == []


def test_a_database_of_the_first_version_is_brought_up_to_date(settings: Settings) -> None:
    Database(settings.database).close()
    with sqlite3.connect(settings.database) as connection:
        for trigger in ("added", "removed", "changed"):
            connection.execute(f"DROP TRIGGER search_entry_{trigger}")
        connection.execute("DROP TABLE search_text")
        connection.execute("DROP TABLE search_entry")
        connection.execute("PRAGMA user_version=1")
    repositories = Repositories.over(Database(settings.database))
    shop = repositories.collections.ensure("shop")
    repositories.search.change(shop.id, add=[SearchEntry("c:1", "", "Parcels")], remove=[])
    assert repositories.search.match(shop.id, ["parcels"], 1) == ["c:1"]
