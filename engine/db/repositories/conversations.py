"""Conversations and their messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from sqlmodel import Session, col, select

from engine.db.session import Database
from engine.db.tables import ConversationRow, MessageRow
from engine.domain import Conversation, Json, Message, Role, new_id, utc_now
from engine.errors import NotFoundError

ConversationKind = Literal["chat", "ask", "agent"]


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as it was stored; `details` holds model, citations, timings."""

    message: Message
    details: Mapping[str, Json]
    created_at: datetime


class ConversationRepository:
    """The history of chats, questions and agent conversations."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def start(self, kind: ConversationKind, title: str, agent_id: str | None = None) -> Conversation:
        """Begin a conversation."""
        row = ConversationRow(id=new_id(), kind=kind, title=title[:80], agent_id=agent_id, created_at=utc_now())
        with self._db.write() as session:
            session.add(row)
            session.flush()
            return _to_conversation(row)

    def get(self, conversation_id: str) -> Conversation:
        """A conversation.

        Raises:
            NotFoundError: there is none with this identifier.
        """
        with self._db.read() as session:
            return _to_conversation(_row(session, conversation_id))

    def list(self, kind: ConversationKind, agent_id: str | None = None) -> Sequence[Conversation]:
        """The conversations of a kind (and agent), newest first."""
        query = select(ConversationRow).where(ConversationRow.kind == kind).order_by(col(ConversationRow.created_at).desc())
        if agent_id is not None:
            query = query.where(ConversationRow.agent_id == agent_id)
        with self._db.read() as session:
            return [_to_conversation(row) for row in session.exec(query)]

    def append(self, conversation_id: str, message: Message, details: Mapping[str, Json] | None = None) -> None:
        """Store one more turn.

        Raises:
            NotFoundError: the conversation does not exist.
        """
        with self._db.write() as session:
            _row(session, conversation_id)
            session.add(
                MessageRow(
                    conversation_id=conversation_id,
                    role=message.role,
                    content=message.content,
                    details=dict(details or {}),
                    created_at=utc_now(),
                )
            )

    def history(self, conversation_id: str) -> Sequence[StoredMessage]:
        """All turns, oldest first.

        Raises:
            NotFoundError: the conversation does not exist.
        """
        query = select(MessageRow).where(MessageRow.conversation_id == conversation_id).order_by(col(MessageRow.id))
        with self._db.read() as session:
            _row(session, conversation_id)
            return [
                StoredMessage(Message(cast(Role, row.role), row.content), row.details, row.created_at)
                for row in session.exec(query)
            ]

    def delete(self, conversation_id: str) -> None:
        """Remove a conversation with its messages."""
        with self._db.write() as session:
            session.delete(_row(session, conversation_id))


def _row(session: Session, conversation_id: str) -> ConversationRow:
    row = session.get(ConversationRow, conversation_id)
    if row is None:
        raise NotFoundError(f"no conversation {conversation_id}", hint="Leave --conversation out to start a new one.")
    return row


def _to_conversation(row: ConversationRow) -> Conversation:
    return Conversation(
        id=row.id, kind=cast(ConversationKind, row.kind), title=row.title, created_at=row.created_at, agent_id=row.agent_id
    )
