"""Questions that were asked of a collection, and their answers, kept as conversations of the kind `ask`.

Lives here: turning an answer with its citations into stored turns and back. Answering is `engine.rag`'s.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import TypeAdapter, ValidationError

from engine.db.repositories import ConversationRepository
from engine.domain import Answer, Json, Message

_ANSWER = TypeAdapter(Answer)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer. `conversation_id` names where they are stored."""

    conversation_id: str
    question: str
    collection: str
    answer: Answer


class AskedQuestions:
    """The questions that were asked, of all collections."""

    def __init__(self, conversations: ConversationRepository) -> None:
        self._conversations = conversations

    def keep(self, question: str, collection: str, answer: Answer) -> Exchange:
        """Store a question and its answer."""
        stored = self._conversations.start("ask", question)
        self._conversations.append(stored.id, Message("user", question), {"collection": collection})
        details = cast("dict[str, Json]", _ANSWER.dump_python(answer, mode="json"))
        self._conversations.append(stored.id, Message("assistant", answer.text), details)
        return Exchange(stored.id, question, collection, answer)

    def list(self, collection: str, limit: int = 20) -> Sequence[Exchange]:
        """The newest questions about a collection, oldest first."""
        found: list[Exchange] = []
        for conversation in self._conversations.list("ask"):
            exchange = self._read(conversation.id)
            if exchange is not None and exchange.collection == collection:
                found.append(exchange)
            if len(found) == limit:
                break
        return found[::-1]

    def forget(self, collection: str) -> int:
        """Delete the questions about a collection and their answers. Returns how many there were."""
        gone = self.list(collection, limit=sys.maxsize)
        for exchange in gone:
            self._conversations.delete(exchange.conversation_id)
        return len(gone)

    def _read(self, conversation_id: str) -> Exchange | None:
        """An exchange; None where its answer was never written, because the process was killed in between."""
        turns = self._conversations.history(conversation_id)
        if len(turns) < 2:
            return None
        try:
            answer = _ANSWER.validate_python(dict(turns[1].details))
        except ValidationError:
            return None
        return Exchange(conversation_id, turns[0].message.content, str(turns[0].details.get("collection", "")), answer)
