"""Chat with a base model, a fine-tuned one or a provider, with history.

Lives here: one turn of a chat: history from the database, the answer streamed, both stored, and the fall-back to the default
model when another one fails. Answers from documents are `engine.rag`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from engine.cancellation import CancelToken
from engine.db.repositories import AdapterRepository, ConversationRepository
from engine.domain import Adapter, Completion, Delta, FinishReason, Message
from engine.errors import ConflictError, NexusError, NotFoundError
from engine.llm.base import ChatModel, GenerationParams
from engine.llm.fallback import REPLACEABLE, fallen_back, must_raise
from engine.llm.trimming import fit
from engine.observability.tracing import span, traced
from engine.requests import ChatRequest
from engine.training.adapters.offering import Offering, mismatch

ANSWER_TOKENS = 512
"""Longest answer of a chat turn, in tokens."""

REPEAT_PENALTY = 1.1
"""llama.cpp's long-standing default: a small model that always takes the likeliest token otherwise goes in circles. Not for an
adapter, which is to repeat its training answers word for word."""


@dataclass(frozen=True, slots=True)
class ChatDelta:
    """A piece of an answer, or of the reasoning before it. All name the conversation; the last has the whole `completion`."""

    text: str
    conversation_id: str
    completion: Completion | None = None
    reasoning: str = ""


class Chat:
    """Conversations with models."""

    def __init__(
        self,
        conversations: ConversationRepository,
        adapters: AdapterRepository,
        model: Callable[[str | None], ChatModel],
        *,
        timeout_s: float,
        offering: Offering | None = None,
    ) -> None:
        """Make a chat. `model` gives the model of a name, and the default one for None; `offering` says who may answer."""
        self._offering = offering or Offering()
        self._conversations = conversations
        self._adapters = adapters
        self._model = model
        self._timeout_s = timeout_s

    @traced("chat")
    def stream(self, request: ChatRequest, *, cancel: CancelToken | None = None) -> Iterator[ChatDelta]:
        """Answer a message, piece by piece, and store both.

        The message is stored before the answer begins; what was said of an answer that broke off is stored, too.

        Raises:
            NotFoundError: no such conversation or adapter.
            ConflictError: the adapter was trained on another base, or differs from what was trained.
            AdapterError: its base has changed.
            NexusError: the model failed, and the default one as well.
        """
        params, model, warning = self._route(request, cancel)
        message = Message("user", request.message)
        with span("chat.history"):
            conversation = self._open(request)
            history = [stored.message for stored in self._conversations.history(conversation)]
            self._conversations.append(conversation, message)
        said: list[str] = []
        completion: Completion | None = None
        try:
            for delta in self._answer(model, [*history, message], params):
                delta = _noticed(delta, warning)
                said.append(delta.text)
                completion = delta.completion or completion
                yield ChatDelta(delta.text, conversation, self._named(delta.completion, request), delta.reasoning)
        finally:
            self._remember(conversation, "".join(said), self._named(completion, request))

    @traced("chat.route", capture_input=False, capture_output=False)
    def _route(self, request: ChatRequest, cancel: CancelToken | None) -> tuple[GenerationParams, ChatModel, str | None]:
        adapter = None if request.adapter is None else self._adapters.by_name(request.adapter)
        if adapter is not None:
            self._offering.require(adapter, allow_mismatch=request.allow_mismatch)
        wanted = request.model or (adapter.base_model if adapter else None)
        try:
            model = self._model(wanted)
        except REPLACEABLE as exc:
            if wanted is None or must_raise(exc):
                raise
            default = self._model(None)
            return self._limits(None, cancel), default, fallen_back(exc, wanted, default.name)
        if adapter is not None and adapter.base_model != model.name:
            raise ConflictError(
                f"the adapter {adapter.name!r} belongs to {adapter.base_model}, not to {model.name}",
                hint="Leave the model out: the adapter brings its own.",
            )
        return self._limits(adapter, cancel), model, None if adapter is None else mismatch(adapter)

    def _limits(self, adapter: Adapter | None, cancel: CancelToken | None) -> GenerationParams:
        return GenerationParams(
            max_tokens=ANSWER_TOKENS,
            repeat_penalty=REPEAT_PENALTY if adapter is None else 1.0,
            adapter=None if adapter is None else adapter.path,
            timeout_s=self._timeout_s,
            cancel=cancel,
        )

    def _open(self, request: ChatRequest) -> str:
        if request.conversation is not None:
            conversation = self._conversations.get(request.conversation)
            if conversation.kind != "chat":  # a customer's talk with an agent is not for others to go on with
                raise NotFoundError(f"no chat {conversation.id}", hint="Leave --conversation out to start a new one.")
            return conversation.id
        return self._conversations.start("chat", request.message).id

    @traced("chat.answer", capture_input=False, capture_output=False)
    def _answer(self, model: ChatModel, messages: Sequence[Message], params: GenerationParams) -> Iterator[Delta]:
        """Stream from the model; when it fails before its first word, from the default one, saying so."""
        sent = False
        try:
            for delta in _fitting(messages, model, params):
                sent = sent or bool(delta.text or delta.reasoning)
                yield delta
            return
        except REPLACEABLE as exc:
            default = self._model(None)
            if sent or must_raise(exc) or (default.name == model.name and params.adapter is None):
                raise
            failure = exc
        yield from self._fall_back(default, messages, replace(params, adapter=None), failure, wanted=model.name)

    def _fall_back(
        self, model: ChatModel, messages: Sequence[Message], params: GenerationParams, failure: NexusError, *, wanted: str
    ) -> Iterator[Delta]:
        notice = fallen_back(failure, wanted, model.name)
        for delta in _fitting(messages, model, replace(params, repeat_penalty=REPEAT_PENALTY)):
            yield _noticed(delta, notice)

    def _named(self, completion: Completion | None, request: ChatRequest) -> Completion | None:
        """The completion with the adapter's name in place of its path."""
        if completion is None or completion.adapter is None:
            return completion
        return replace(completion, adapter=request.adapter)

    @traced("chat.store", capture_input=False, capture_output=False)
    def _remember(self, conversation: str, text: str, completion: Completion | None) -> None:
        if not text and completion is None:
            return
        details = {} if completion is None else {**asdict(completion), "finish_reason": completion.finish_reason.value}
        details.pop("text", None)
        details = {name: value for name, value in details.items() if value or name not in ("reasoning", "logprobs")}
        self._conversations.append(conversation, Message("assistant", text), details)


def _fitting(messages: Sequence[Message], model: ChatModel, params: GenerationParams) -> Iterator[Delta]:
    """Stream the answer to as much of a conversation as fits. See `engine.llm.trimming`."""
    fitting = fit(messages, model, params.max_tokens)
    for delta in model.stream(fitting.messages, replace(params, max_tokens=fitting.max_tokens)):
        unfinished = None if delta.completion is None else _unfinished(delta.completion)
        yield _noticed(_noticed(delta, unfinished), fitting.notice)


def _unfinished(completion: Completion) -> str | None:
    """What to say of reasoning that left no room for an answer."""
    if completion.text or not completion.reasoning or completion.finish_reason is not FinishReason.LENGTH:
        return None
    return (
        f"{completion.model} was still reasoning after {completion.usage.completion_tokens} tokens. Ask for something smaller."
    )


def _noticed(delta: Delta, notice: str | None) -> Delta:
    if notice is None or delta.completion is None:
        return delta
    joined = f"{notice} {delta.completion.notice}" if delta.completion.notice else notice
    return replace(delta, completion=replace(delta.completion, notice=joined))
