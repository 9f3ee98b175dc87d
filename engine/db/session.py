"""The connection to SQLite: pragmas, transactions, and the translation of its errors."""

from __future__ import annotations

import shutil
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session

from engine.db.migrations import migrate
from engine.errors import ConflictError, StorageError

LEAST_FREE_BYTES = 1_000_000
"""With less room than this on its disk, SQLite's unexplained write errors are put down to it."""

BUSY_TIMEOUT_MS = 15_000
"""How long a writer waits for another process's write to end."""


class Database:
    """One SQLite file, opened by any number of threads and processes.

    WAL lets readers go on while one writes. `synchronous=FULL` makes a committed pair, message or lead survive a power cut.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, made if absent, and bring its schema up to date.

        Raises:
            StorageError: the folder cannot be written, the disk is full, or the file is not a database.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise StorageError(f"cannot make the folder {path.parent}: {exc.strerror}", hint="Choose another --home.") from exc
        self._engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
        event.listen(self._engine, "connect", _set_pragmas)
        event.listen(self._engine, "begin", _begin)
        self._writer: Engine = self._engine.execution_options(nexus_begin="BEGIN IMMEDIATE")
        with self._translated():
            migrate(self._writer)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads."""
        with self._translated(), Session(self._engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits at its end, or leaves nothing behind when the body raises.

        The write lock is taken at once, so that what is read inside cannot change before the commit.
        """
        with self._translated(), Session(self._writer) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as exc:
            raise ConflictError("this exists already, or refers to something that does not exist", hint=str(exc.orig)) from exc
        except DatabaseError as exc:
            raise _storage_error(exc, self.path) from exc


def _storage_error(exc: DatabaseError, path: Path) -> StorageError:
    reason = str(exc.orig)
    # SQLite cannot always tell why a write failed.
    if "full" in reason or ("disk I/O" in reason and _no_room(path)):
        return StorageError("the disk is full", hint=f"Free some space for {path.parent} and try again.", retryable=True)
    if "readonly" in reason or "unable to open" in reason:
        return StorageError(f"cannot write {path}", hint="Check the folder's permissions, or choose another --home.")
    if "locked" in reason:
        return StorageError("another process is writing to the database", hint="Try again in a moment.", retryable=True)
    if "not a database" in reason or "malformed" in reason:
        return StorageError(f"{path} is damaged", hint="Restore it from a backup, or move it away to start afresh.")
    return StorageError(f"the database refused: {reason}", hint=f"See the log; the database is {path}.")


def _no_room(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < LEAST_FREE_BYTES
    except OSError:
        return False


def _set_pragmas(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
    # SQLAlchemy's own BEGIN (see `_begin`) replaces the driver's implicit one, which would begin too late.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    connection.create_function("folded", 1, folded, deterministic=True)


def folded(text: str | None) -> str:
    """A text without letter case, accents and forms of letters, as searches compare it; SQL knows this function too."""
    decomposed = unicodedata.normalize("NFKD", text or "")
    return unicodedata.normalize("NFKD", "".join(c for c in decomposed if not unicodedata.combining(c)).casefold())


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("nexus_begin", "BEGIN"))
