"""The database: schema, durability, the translation of errors, and several processes."""

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import inspect
from sqlmodel import SQLModel

from engine.db.repositories import Repositories
from engine.db.session import Database
from engine.domain import (
    Adapter,
    AgentConfig,
    Block,
    BlockKind,
    Chunk,
    Document,
    FaqPair,
    FaqStatus,
    LineBox,
    Message,
    Page,
    Place,
    new_id,
    utc_now,
)
from engine.errors import ConflictError, NotFoundError, StorageError


@pytest.fixture
def repositories(tmp_path: Path) -> Repositories:
    return Repositories.over(Database(tmp_path / "nexus.db"))


def make_document(text: str = "Doors open at nine.") -> tuple[Document, list[Page], list[Chunk]]:
    document = Document("d" * 64, "hours.md", "text/markdown", len(text), 1, utc_now())
    page = Page(1, text, (Block(BlockKind.PARAGRAPH, 0, len(text), ("Hours",), (1.0, 2.0, 3.0, 4.0)),))
    return document, [page], [Chunk("c1", document.id, 0, 1, 0, len(text), text, ("Hours",))]


def make_pair(collection_id: str, document_id: str | None, **changes: object) -> FaqPair:
    values: dict[str, object] = {
        "id": new_id(),
        "collection_id": collection_id,
        "question": "When do doors open?",
        "answer": "At nine.",
        "quote": "Doors open at nine.",
        "document_id": document_id,
        "document": "hours.md",
        "page": 1,
        "heading": "Hours",
        "score": 0.9,
        "status": FaqStatus.PENDING,
        "reason": "",
        "model": "tiny",
        "created_at": utc_now(),
        "chunk_id": "c1",
    }
    return FaqPair(**{**values, **changes})


def test_the_schema_is_what_the_tables_say(tmp_path: Path) -> None:
    database = Database(tmp_path / "nexus.db")
    with database.read() as session:
        inspector = inspect(session.connection())
        for table in SQLModel.metadata.tables.values():
            assert {column["name"] for column in inspector.get_columns(table.name)} == set(table.columns.keys())


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    Database(tmp_path / "nexus.db").close()
    with sqlite3.connect(tmp_path / "nexus.db") as connection:
        connection.execute("PRAGMA user_version=999")
    with pytest.raises(StorageError, match="newer"):
        Database(tmp_path / "nexus.db")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "nexus.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(StorageError, match="damaged") as caught:
        Database(tmp_path / "nexus.db")
    assert caught.value.hint


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot make"):
        Database(tmp_path / "file" / "home" / "nexus.db")


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "nexus.db")
    repositories = Repositories.over(database)
    with database.read() as session:
        pages = session.connection().exec_driver_sql("PRAGMA page_count").scalar_one()
        session.connection().exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")
    document, page_list, chunks = make_document("word " * 100_000)
    with pytest.raises(StorageError, match="disk is full") as caught:
        repositories.documents.add(document, page_list, chunks)
    assert caught.value.retryable
    assert list(repositories.documents.list()) == []


def test_a_document_comes_back_as_it_went_in(repositories: Repositories) -> None:
    document, pages, chunks = make_document()
    repositories.documents.add(document, pages, chunks)
    assert repositories.documents.get(document.id) == document
    assert list(repositories.documents.pages(document.id)) == pages
    assert list(repositories.documents.chunks([document.id])) == chunks
    assert repositories.documents.page(document.id, 1) == pages[0]
    with pytest.raises(NotFoundError):
        repositories.documents.page(document.id, 2)


def test_the_same_document_twice_is_one(repositories: Repositories) -> None:
    document, pages, chunks = make_document()
    repositories.documents.add(document, pages, chunks)
    again = repositories.documents.add(Document(document.id, "other name", "text/plain", 1, 1, utc_now()), pages, chunks)
    assert again == document
    assert len(repositories.documents.list()) == 1


def test_a_collection_counts_what_it_holds(repositories: Repositories) -> None:
    document, pages, chunks = make_document()
    collection = repositories.collections.ensure("shop")
    assert repositories.collections.ensure("shop") == collection
    for _ in range(2):
        repositories.documents.add(document, pages, chunks, collection_id=collection.id)
    pair = make_pair(collection.id, document.id)
    repositories.extraction.store(collection.id, [pair], finished=["c1"])
    repositories.faqs.change([pair.id], "approve", lambda one: dataclasses.replace(one, status=FaqStatus.APPROVED))
    found = repositories.collections.by_name("shop")
    assert (found.document_count, found.faq_count, found.approved_count) == (1, 1, 1)
    assert repositories.extraction.finished(collection.id) == {"c1"}
    assert repositories.documents.chunk_ids(collection.id) == {"c1"}


def test_removing_a_document_removes_its_pairs(repositories: Repositories) -> None:
    document, pages, chunks = make_document()
    collection = repositories.collections.ensure("shop")
    repositories.documents.add(document, pages, chunks, collection_id=collection.id)
    repositories.faqs.add([make_pair(collection.id, document.id)])
    repositories.collections.remove_document(collection.id, document.id)
    assert list(repositories.faqs.list(collection.id)) == []
    assert list(repositories.documents.remove_unused()) == [document.id]
    assert list(repositories.documents.list()) == []


def test_an_unknown_collection_lists_the_known_ones(repositories: Repositories) -> None:
    repositories.collections.ensure("shop")
    with pytest.raises(NotFoundError) as caught:
        repositories.collections.by_name("shoq")
    assert "shop" in caught.value.hint


def test_conversations_keep_their_turns_in_order(repositories: Repositories) -> None:
    conversation = repositories.conversations.start("chat", "Hello " * 50)
    assert len(conversation.title) == 80
    repositories.conversations.append(conversation.id, Message("user", "one"))
    repositories.conversations.append(conversation.id, Message("assistant", "two"), {"model": "tiny"})
    history = repositories.conversations.history(conversation.id)
    assert [(turn.message.role, turn.message.content) for turn in history] == [("user", "one"), ("assistant", "two")]
    assert history[1].details == {"model": "tiny"}
    repositories.conversations.delete(conversation.id)
    with pytest.raises(NotFoundError):
        repositories.conversations.history(conversation.id)


def test_a_lead_grows_and_goes_with_its_agent(repositories: Repositories) -> None:
    collection = repositories.collections.ensure("shop")
    agent = AgentConfig(new_id(), "Ada", "", collection.id, ("name", "email"), utc_now())
    repositories.agents.add(agent)
    with pytest.raises(ConflictError):
        repositories.agents.add(AgentConfig(new_id(), "Ada", "", collection.id, (), utc_now()))
    first = repositories.leads.merge(agent.id, "talk", {"name": "Bo"})
    second = repositories.leads.merge(agent.id, "talk", {"email": "bo@example.org"})
    assert first.id == second.id
    assert second.fields == {"name": "Bo", "email": "bo@example.org"}
    assert repositories.leads.for_conversation("talk") == second.fields
    assert repositories.agents.by_name("Ada") == agent
    repositories.agents.delete(agent.id)
    assert list(repositories.leads.list()) == []


def test_an_adapter_moves_with_its_home(repositories: Repositories, tmp_path: Path) -> None:
    adapter = Adapter(new_id(), "mine", "base", tmp_path / "adapters" / "x" / "adapter.gguf", utc_now(), card={"loss": 0.5})
    repositories.adapters.add(adapter)
    assert repositories.adapters.by_name("mine") == adapter
    with pytest.raises(ConflictError):
        repositories.adapters.add(adapter)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (moved / "nexus.db").write_bytes(b"")
    with sqlite3.connect(tmp_path / "nexus.db") as source, sqlite3.connect(moved / "nexus.db") as target:
        source.backup(target)
    found = Repositories.over(Database(moved / "nexus.db")).adapters.by_name("mine")
    assert found.path == moved / "adapters" / "x" / "adapter.gguf"


WRITER = """
import sys
from pathlib import Path
from engine.db.repositories import Repositories
from engine.db.session import Database
from engine.domain import Message

repositories = Repositories.over(Database(Path(sys.argv[1])))
conversation = repositories.conversations.start("chat", "t")
print(conversation.id, flush=True)
number = 0
while True:
    repositories.conversations.append(conversation.id, Message("user", str(number)))
    print(number, flush=True)
    number += 1
"""


def test_what_was_committed_survives_kill_9(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "nexus.db")], stdout=subprocess.PIPE, text=True)
    conversation = process.stdout.readline().strip()
    last = -1
    while last < 20:
        last = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read().split()
    process.wait()
    process.stdout.close()
    reported = int(rest[-1]) if rest else last
    history = Repositories.over(Database(tmp_path / "nexus.db")).conversations.history(conversation)
    numbers = [int(turn.message.content) for turn in history]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > reported


def test_a_pair_keeps_its_place_and_the_parts_of_its_score(repositories: Repositories) -> None:
    collection = repositories.collections.ensure("shop")
    document, pages, chunks = make_document()
    repositories.documents.add(document, pages, chunks, collection_id=collection.id)
    first = make_pair(
        collection.id,
        document.id,
        place=Place(0, 19, ((1.0, 2.0, 30.0, 4.0), (1.0, 5.0, 9.5, 7.0))),
        parts={"support": 1.0, "relevance": 0.75},
        language="en",
        origin="rule",
    )
    other = make_pair(collection.id, document.id, duplicate_of=first.id)
    repositories.faqs.add([first, other])
    assert repositories.faqs.get(first.id) == first
    assert repositories.faqs.get(other.id).duplicate_of == first.id
    repositories.faqs.change([first.id], "edit", lambda pair: dataclasses.replace(pair, place=None, parts={"support": 0.5}))
    edited = repositories.faqs.get(first.id)
    assert (edited.place, edited.parts) == (None, {"support": 0.5})


def test_pages_keep_lines_size_and_source_and_documents_their_warnings(repositories: Repositories) -> None:
    document, pages, chunks = make_document()
    document = dataclasses.replace(document, warnings=("Page 2 has no text.",))
    block = dataclasses.replace(pages[0].blocks[0], lines=(LineBox(0, 10, (1.0, 2.0, 3.0, 4.0)),))
    page = dataclasses.replace(pages[0], blocks=(block,), width=595.0, height=842.0, source="ocr")
    repositories.documents.add(document, [page], chunks)
    assert repositories.documents.get(document.id) == document
    assert repositories.documents.page(document.id, 1) == page


def test_a_file_of_an_older_version_gets_the_new_columns(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    repositories = Repositories.over(Database(path))
    collection = repositories.collections.ensure("shop")
    document, pages, chunks = make_document()
    repositories.documents.add(document, pages, chunks, collection_id=collection.id)
    pair = make_pair(collection.id, document.id)
    repositories.faqs.add([pair])
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE extracted_chunk")
        connection.execute(
            "CREATE TABLE extracted_chunk (collection_id VARCHAR NOT NULL, chunk_id VARCHAR NOT NULL,"
            " PRIMARY KEY (collection_id, chunk_id))"
        )
        connection.execute("CREATE INDEX ix_extracted_chunk_chunk_id ON extracted_chunk (chunk_id)")
        connection.execute("INSERT INTO extracted_chunk VALUES (?, ?)", (collection.id, chunks[0].id))
        connection.execute("DROP TABLE faq_change")
        connection.execute("DROP INDEX ix_faq_duplicate_of")
        for table, column in [
            ("document", "warnings"),
            ("document", "sized_by"),
            ("page", "width"),
            ("page", "height"),
            ("page", "source"),
        ]:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        for column in ["place", "parts", "duplicate_of", "language", "origin"]:
            connection.execute(f"ALTER TABLE faq DROP COLUMN {column}")
        connection.execute("PRAGMA user_version=3")
    connection.close()
    again = Repositories.over(Database(path))
    assert again.faqs.get(pair.id) == pair
    assert again.documents.get(document.id) == document
    assert list(again.documents.pages(document.id)) == pages
    assert again.extraction.finished_by_language(collection.id) == {"": {chunks[0].id}}
    again.extraction.store(collection.id, [], finished=[chunks[0].id], language="de")
    assert again.extraction.finished(collection.id, "de") == again.extraction.finished(collection.id) == {chunks[0].id}
    assert again.extraction.finished(collection.id, "fr") == set()


@pytest.mark.parametrize(("ok", "status"), [(True, "ready"), (False, "mismatch")])
def test_adapters_of_an_older_version_get_the_status_that_their_card_says(ok: bool, status: str, tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    card = {"parity": {"ok": ok}}
    Repositories.over(Database(path)).adapters.add(Adapter("1", "taught", "tiny", tmp_path / "a.gguf", utc_now(), card=card))
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE adapter DROP COLUMN status")
        connection.execute("PRAGMA user_version=6")
    connection.close()
    assert Repositories.over(Database(path)).adapters.by_name("taught").status == status
