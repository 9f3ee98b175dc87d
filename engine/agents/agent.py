"""One turn of a customer's conversation with an agent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace

from engine.agents import phrases
from engine.agents.answering import Answers, grounded
from engine.agents.asking import contact_of, next_contact, next_field
from engine.agents.factory import Mind, Parts, make_mind
from engine.agents.leads import LeadData, LeadReader
from engine.agents.memory import Memory, recall
from engine.agents.messages import Intent, declines, in_context, intent_of, is_follow_up, question_part
from engine.agents.second_opinion import SecondOpinion
from engine.agents.small_talk import small_talk
from engine.cancellation import CancelToken
from engine.db.repositories import Repositories
from engine.domain import AgentConfig, AgentReply, Answer, AnswerDelta, Json, Message, Timings
from engine.errors import CancelledError, NexusError, NotFoundError
from engine.observability.tracing import span, traced
from engine.requests import ChatRequest, checked

MOST_QUESTIONS = 2
"""So often an agent asks for one field in a conversation."""


@dataclass(frozen=True, slots=True)
class AgentDelta:
    """A piece of what the agent says. The last one has the whole `reply`, whose text is what counts."""

    text: str
    reply: AgentReply | None = None


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What agents work with."""

    repositories: Repositories
    answers: Answers
    parts: Parts
    timeout_s: float
    lead_stored: Callable[[], None]
    """Told of each new lead."""


@dataclass(slots=True)
class _Turn:
    """A turn on its way."""

    message: str
    conversation: str
    mind: Mind
    memory: Memory
    found: LeadData
    lead: dict[str, str]
    intent: Intent
    started: float
    cancel: CancelToken | None
    said: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    answer: Answer | None = None
    topic: str | None = None
    asked: str | None = None

    @property
    def declined(self) -> bool:
        """Whether the customer does not want to say who they are."""
        return self.memory.declined or declines(self.message, asked=self.memory.asked is not None)

    def open_fields(self, fields: Sequence[str]) -> list[str]:
        """The fields that were not asked for often enough already."""
        return [field for field in fields if self.memory.times_asked.get(field, 0) < MOST_QUESTIONS]


class SmartAgent:
    """Answers customers from a collection and collects leads. Safe to use from any thread: it keeps nothing between turns."""

    def __init__(self, config: AgentConfig, collaborators: Collaborators) -> None:
        """Make an agent as configured."""
        self.config = config
        self._with = collaborators

    def reply(self, message: str, conversation_id: str | None = None, *, cancel: CancelToken | None = None) -> AgentReply:
        """As `stream`, all at once."""
        for delta in self.stream(message, conversation_id, cancel=cancel):
            if delta.reply is not None:
                return delta.reply
        raise CancelledError("the answer was stopped")

    @traced("agent.turn")
    def stream(
        self, message: str, conversation_id: str | None = None, *, cancel: CancelToken | None = None
    ) -> Iterator[AgentDelta]:
        """Answer a customer's message, piece by piece.

        The message and the lead values in it are stored before the answer begins, so that nothing that happens to the answer
        can lose them. When the answer fails, the agent says that it cannot answer, and the reply's `notice` tells why.

        Args:
            message: what the customer wrote.
            conversation_id: the conversation to go on with; None starts one.
            cancel: stops the work.

        Raises:
            InputError: the message is empty or too long.
            NotFoundError: the agent has no such conversation.
            StorageError: the turn could not be stored.
            CancelledError: `cancel` was set.
        """
        turn = self._begin(message, conversation_id, cancel)
        try:
            for delta in self._speak(turn):
                turn.said.append(delta.text)
                turn.answer = delta.answer or turn.answer
                if delta.text:
                    yield AgentDelta(delta.text)
            for text in self._ask(turn):
                turn.added.append(text)
                yield AgentDelta(text)
        finally:
            self._remember(turn)
        yield AgentDelta("", self._reply(turn))

    def _begin(self, message: str, conversation_id: str | None, cancel: CancelToken | None) -> _Turn:
        """All that is done before the agent speaks."""
        started = time.monotonic()
        with span("agent.validate"):
            request = checked(ChatRequest, message=message, conversation=conversation_id)
        with span("agent.configuration"):
            mind = make_mind(self.config, self._with.parts)
        conversation, memory = self._listen(request)
        with span("agent.lead_data") as step:
            known = dict(self._with.repositories.leads.for_conversation(conversation))
            reader = LeadReader(self.config.fields, SecondOpinion(mind.chat, cancel=cancel))
            try:
                found = reader.read(request.message, asked=memory.asked, known=known)
            except CancelledError:
                # The model was stopped, but what the rules find in the message must not be lost.
                by_rules = LeadReader(self.config.fields).read(request.message, asked=memory.asked, known=known)
                self._store_lead(conversation, known, by_rules)
                raise
            step.set_output(found.values)
        lead = self._store_lead(conversation, known, found)
        intent = intent_of(request.message, found.found, asked=memory.asked is not None)
        return _Turn(request.message, conversation, mind, memory, found, lead, intent, started, cancel)

    def _listen(self, request: ChatRequest) -> tuple[str, Memory]:
        """Open the conversation and store the message in it."""
        conversations = self._with.repositories.conversations
        with span("agent.history"):
            if request.conversation is None:
                conversation = conversations.start("agent", request.message, self.config.id)
            else:
                conversation = conversations.get(request.conversation)
            if conversation.agent_id != self.config.id:
                raise NotFoundError(
                    f"the agent {self.config.name!r} has no conversation {conversation.id}", hint="Start a new one."
                )
            memory = recall(conversations.history(conversation.id))
            conversations.append(conversation.id, Message("user", request.message))
        return conversation.id, memory

    def _store_lead(self, conversation: str, known: dict[str, str], found: LeadData) -> dict[str, str]:
        if not found.values:
            return known
        with span("agent.lead"):
            lead = self._with.repositories.leads.merge(self.config.id, conversation, found.values)
        if not known:
            self._with.lead_stored()
        return dict(lead.fields)

    def _speak(self, turn: _Turn) -> Iterator[AnswerDelta]:
        """What the agent says to the message itself."""
        if turn.intent is Intent.QUESTION:
            yield from self._look_up(turn)
            return
        if turn.intent is Intent.DETAILS:
            text = phrases.noted(turn.found.values)
        else:
            text = small_talk(
                turn.intent,
                turn.message,
                self.config.instructions,
                turn.mind.chat,
                cancel=turn.cancel,
                timeout_s=self._with.timeout_s,
            )
        yield AnswerDelta(text, Answer(text, found=True, notice=turn.mind.notice))

    @traced("agent.answer")
    def _look_up(self, turn: _Turn) -> Iterator[AnswerDelta]:
        """Answer from the collection; a failure becomes an apology with a notice."""
        asked = question_part(turn.message, turn.found.found) or turn.message
        turn.topic = turn.memory.topic if turn.memory.topic and is_follow_up(asked) else asked
        question = asked if turn.topic == asked else in_context(asked, turn.topic)
        try:
            yield from grounded(
                self._with.answers,
                self._with.parts.model_for,
                turn.mind,
                question,
                self.config.collection_id,
                cancel=turn.cancel,
                timeout_s=self._with.timeout_s,
            )
        except CancelledError:
            raise
        except NexusError as exc:
            notice = " ".join(filter(None, [turn.mind.notice, exc.message, exc.hint]))
            apology = Answer(phrases.FAILED, found=False, notice=notice)
            yield AnswerDelta(_after(turn.said, phrases.FAILED), apology)

    def _ask(self, turn: _Turn) -> Iterator[str]:
        """What the agent adds: an offer where the documents do not say, and a question for what it does not know yet."""
        may_ask = not turn.declined and turn.memory.asked is None and turn.intent is not Intent.GOODBYE
        if turn.answer is not None and not turn.answer.found:
            contact = contact_of(self.config.fields, turn.lead)
            offer = phrases.OFFER_KNOWN.format(contact=contact) if contact else phrases.OFFER
            yield f" {offer}"
            turn.asked = next_contact(turn.open_fields(self.config.fields), turn.lead) if may_ask and not contact else None
            if turn.asked is not None:
                yield f" {phrases.ask_contact(turn.asked)}"
        elif may_ask and turn.intent in (Intent.QUESTION, Intent.DETAILS):
            turn.asked = next_field(turn.open_fields(self.config.fields), turn.lead)
            if turn.asked is not None:
                yield f" {phrases.ask_for(turn.asked)}"

    def _remember(self, turn: _Turn) -> None:
        """Store what was said, with all that the next turn and the pages need."""
        with span("agent.history"):
            self._with.repositories.conversations.append(
                turn.conversation, Message("assistant", _text(turn)), _details(turn, self.config)
            )

    @traced("agent.reply")
    def _reply(self, turn: _Turn) -> AgentReply:
        answer = turn.answer or Answer("", found=False)
        return AgentReply(
            reply=_text(turn),
            conversation_id=turn.conversation,
            lead=turn.lead,
            citations=answer.citations,
            found=answer.found,
            usage=answer.usage,
            timings=replace(answer.timings, total_s=time.monotonic() - turn.started),
            notice=answer.notice,
        )


def _after(said: list[str], text: str) -> str:
    return f"\n{text}" if any(said) else text


def _text(turn: _Turn) -> str:
    """The whole of what was said: the answer as checked, not as streamed, and what came after it."""
    said = "".join(turn.said) if turn.answer is None else turn.answer.text
    return said + "".join(turn.added)


def _details(turn: _Turn, config: AgentConfig) -> dict[str, Json]:
    answer = turn.answer or Answer("", found=False)
    details: dict[str, Json] = {
        "asked": turn.asked,
        "topic": turn.topic,
        "declined": turn.declined,
        "intent": turn.intent.value,
        "found": answer.found,
        "notice": answer.notice,
        "model": answer.model or None,
        "adapter": config.adapter if turn.mind.adapter else None,
        "usage": asdict(answer.usage),
        "timings": asdict(Timings(answer.timings.queued_s, answer.timings.first_token_s, time.monotonic() - turn.started)),
        "citations": [asdict(citation) for citation in answer.citations],
    }
    return details
