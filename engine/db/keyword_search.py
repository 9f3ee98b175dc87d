"""The part of the schema that SQLModel cannot express: a full-text index that mirrors `search_entry`.

External-content tables and their triggers are as SQLite's FTS5 documentation describes them (section 4.4.3).
"""

from __future__ import annotations

_FORGET = "INSERT INTO search_text(search_text, rowid, heading, body) VALUES ('delete', old.id, old.heading, old.body);"
_LEARN = "INSERT INTO search_text(rowid, heading, body) VALUES (new.id, new.heading, new.body);"

KEYWORD_SEARCH: tuple[str, ...] = (
    """CREATE VIRTUAL TABLE IF NOT EXISTS search_text USING fts5(
        heading, body, content='search_entry', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2')""",
    f"CREATE TRIGGER IF NOT EXISTS search_entry_added AFTER INSERT ON search_entry BEGIN {_LEARN} END",
    f"CREATE TRIGGER IF NOT EXISTS search_entry_removed AFTER DELETE ON search_entry BEGIN {_FORGET} END",
    f"CREATE TRIGGER IF NOT EXISTS search_entry_changed AFTER UPDATE ON search_entry BEGIN {_FORGET} {_LEARN} END",
)
"""Statements that make the index and keep it in step with its table."""
