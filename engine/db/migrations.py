"""Schema versions, in SQLite's `user_version`. Append-only: a released step is never edited."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection
from sqlalchemy.engine import Engine
from sqlmodel import SQLModel

from engine.db import tables  # noqa: F401  (registers the tables)
from engine.db.keyword_search import KEYWORD_SEARCH
from engine.errors import StorageError


def _create_all(connection: Connection) -> None:
    SQLModel.metadata.create_all(connection)


def _create_keyword_search(connection: Connection) -> None:
    """An FTS5 index over `search_entry`. Its triggers also run when a row goes because its collection was deleted."""
    SQLModel.metadata.create_all(connection)
    for statement in KEYWORD_SEARCH:
        connection.exec_driver_sql(statement)


def _create_spending(connection: Connection) -> None:
    """The record of what providers cost."""
    SQLModel.metadata.create_all(connection)


def _add_proof(connection: Connection) -> None:
    """Where quotes stand, what scores are made of, links between duplicates, what reviewers changed, reading's warnings."""
    SQLModel.metadata.create_all(connection)
    for table, column, declared in (
        ("document", "warnings", "JSON NOT NULL DEFAULT '[]'"),
        ("page", "width", "FLOAT"),
        ("page", "height", "FLOAT"),
        ("page", "source", "VARCHAR NOT NULL DEFAULT 'text'"),
        ("faq", "place", "JSON"),
        ("faq", "parts", "JSON NOT NULL DEFAULT '{}'"),
        ("faq", "duplicate_of", "VARCHAR"),
        ("faq", "language", "VARCHAR NOT NULL DEFAULT ''"),
        ("faq", "origin", "VARCHAR NOT NULL DEFAULT ''"),
    ):
        _add_column(connection, table, column, declared)
    connection.exec_driver_sql("CREATE INDEX IF NOT EXISTS ix_faq_duplicate_of ON faq (duplicate_of)")


def _add_sizes(connection: Connection) -> None:
    """In whose tokens a document's chunks are sized; those of before were estimated."""
    _add_column(connection, "document", "sized_by", "VARCHAR NOT NULL DEFAULT ''")


def _add_extraction_language(connection: Connection) -> None:
    """In which language a chunk was asked. It is part of the key, so that the table is made anew."""
    if "language" in _columns(connection, "extracted_chunk"):
        return
    connection.exec_driver_sql("ALTER TABLE extracted_chunk RENAME TO extracted_chunk_before")
    connection.exec_driver_sql("DROP INDEX IF EXISTS ix_extracted_chunk_chunk_id")
    SQLModel.metadata.create_all(connection)
    connection.exec_driver_sql(
        "INSERT INTO extracted_chunk (collection_id, chunk_id, language)"
        " SELECT collection_id, chunk_id, '' FROM extracted_chunk_before"
    )
    connection.exec_driver_sql("DROP TABLE extracted_chunk_before")


def _add_adapter_status(connection: Connection) -> None:
    """Whether an adapter is served as it was trained. Until now only its card said so."""
    if "status" in _columns(connection, "adapter"):
        return
    _add_column(connection, "adapter", "status", "VARCHAR NOT NULL DEFAULT 'ready'")
    connection.exec_driver_sql("UPDATE adapter SET status = 'mismatch' WHERE json_extract(card, '$.parity.ok') = 0")


def _add_wishes(connection: Connection) -> None:
    """What someone asks of a running job besides to cancel it."""
    _add_column(connection, "job", "wish", "VARCHAR")


def _add_time_left(connection: Connection) -> None:
    """How long a running job says that it still takes."""
    _add_column(connection, "job", "left_s", "FLOAT")


def _columns(connection: Connection, table: str) -> set[str]:
    return {row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")}


def _add_column(connection: Connection, table: str, column: str, declared: str) -> None:
    """Add a column unless it is there. The names are this module's own."""
    if column not in _columns(connection, table):
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {column} {declared}")


STEPS: tuple[Callable[[Connection], None], ...] = (
    _create_all,
    _create_keyword_search,
    _create_spending,
    _add_proof,
    _add_sizes,
    _add_extraction_language,
    _add_adapter_status,
    _add_wishes,
    _add_time_left,
)
"""Step n brings version n to n + 1. The first makes today's tables; each later step is an ALTER that an older file needs, and
must do nothing on a file that the first step has just made."""


def migrate(engine: Engine) -> None:
    """Bring the database to the newest version, in one transaction.

    Raises:
        StorageError: a newer version of the program has written this file.
    """
    with engine.connect() as connection:
        if _version(connection) == len(STEPS):
            return
    with engine.begin() as connection:
        version = _version(connection)
        if version > len(STEPS):
            raise StorageError("a newer AI Nexus has written this home", hint="Update AI Nexus, or choose another --home.")
        for step in STEPS[version:]:
            step(connection)
        connection.exec_driver_sql(f"PRAGMA user_version={len(STEPS)}")


def _version(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
