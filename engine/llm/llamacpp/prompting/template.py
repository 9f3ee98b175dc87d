"""Conversations to prompt tokens, by the chat template in the model file.

The template runs in a process of its own (`rendering`); what people and documents say never acts as a special token
(`prompt_tokens`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from engine.domain import Json, Message
from engine.errors import ModelError
from engine.llm.llamacpp.prompting.prompt_tokens import PromptTokeniser
from engine.llm.llamacpp.prompting.rendering import TemplateRefusedError, TemplateRenderer, renderer
from engine.llm.llamacpp.reasoning import past_thought
from engine.llm.llamacpp.tokens import Token, Vocabulary

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Used where a model file has no template."""


class ChatTemplate:
    """Turns conversations into prompts for one model. Safe to use from any thread."""

    def __init__(self, vocabulary: Vocabulary, rendering: TemplateRenderer = renderer) -> None:
        """Take the model's template. It is parsed with the first conversation."""
        self._vocabulary = vocabulary
        self._source = vocabulary.chat_template or CHATML
        self._tokeniser = PromptTokeniser(vocabulary, self._source)
        self._rendering = rendering
        self._unusable: ModelError | None = None
        rendering.start()

    def tokens(self, messages: Sequence[Message], *, thinking: bool | None = None) -> list[Token]:
        """The prompt for a conversation, up to and with the header of the assistant's turn.

        The tokens are those that Transformers makes of the same template. What it does not take is tried in other forms: with
        the system message at the beginning of the first user message, and with neighbouring messages of one role as one.

        Args:
            messages: the conversation.
            thinking: handed to the template as `enable_thinking`; None: not at all, so that it does as it does by itself. With
                False, a thought is ended that a template without such a choice has begun.

        Raises:
            ModelError: the template refuses the conversation, or cannot be used at all.
        """
        mark = self._tokeniser.mark_for(message.content for message in messages)
        text = self._render([self._protected(message, mark) for message in messages], thinking)
        if thinking is False:
            text = past_thought(text, self._source)
        tokens = self._tokeniser.tokens(text, mark)
        if self._vocabulary.chat_template is None and self._vocabulary.adds_bos:
            return [self._vocabulary.bos, *tokens]
        return tokens

    def _protected(self, message: Message, mark: str) -> Message:
        own = message.role == "assistant"
        return Message(message.role, self._tokeniser.protect(message.content, mark, keep_written=own))

    def _render(self, messages: Sequence[Message], thinking: bool | None) -> str:
        """The text of the first form of the conversation that the template takes and leaves nothing out of."""
        if self._unusable is not None:
            raise self._unusable
        refusal: ModelError | None = None
        for form in _forms(messages):
            try:
                text = self._text(form, thinking)
            except TemplateRefusedError as exc:
                refusal = refusal or exc
            except ModelError as exc:
                self._unusable = exc  # it took seconds; it would again
                raise
            else:
                if all(message.content.strip() in text for message in form if message.role == "system"):
                    return text
        raise refusal or ModelError("The model's chat template leaves the system message out.", hint="Use another model.")

    def _text(self, messages: Sequence[Message], thinking: bool | None) -> str:
        variables: dict[str, Json] = {
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "add_generation_prompt": True,
            "tools": None,
            "documents": None,
            **self._special_names(),
        }
        if thinking is not None:
            variables["enable_thinking"] = thinking
        return self._rendering.render(self._source, variables, sum(len(message.content) for message in messages))

    def _special_names(self) -> dict[str, Json]:
        """The names of the special tokens that there are; llama.cpp gives some token where a file names none."""
        vocabulary = self._vocabulary
        ends = {"bos_token": vocabulary.bos, "eos_token": vocabulary.eos}
        return {key: vocabulary.name_of(token) for key, token in ends.items() if token in vocabulary.special_tokens}


def _forms(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """A conversation in the forms that templates may take, each once."""
    seen: list[list[Message]] = []
    merged = merge_system_messages(messages)
    for form in (list(messages), merged, merge_neighbours(messages), merge_neighbours(merged)):
        if form not in seen:
            seen.append(form)
            yield form


def merge_system_messages(messages: Sequence[Message]) -> list[Message]:
    """The conversation with its system messages put in front of the first user message, for templates that know none."""
    system = [message.content for message in messages if message.role == "system"]
    others = [message for message in messages if message.role != "system"]
    if not system:
        return others
    first = next((index for index, message in enumerate(others) if message.role == "user"), None)
    if first is None:
        return [Message("user", "\n\n".join(system)), *others]
    others[first] = Message("user", "\n\n".join([*system, others[first].content]))
    return others


def merge_neighbours(messages: Sequence[Message]) -> list[Message]:
    """The conversation with neighbouring messages of one role as one, for templates that want the roles to take turns."""
    return [
        Message(role, "\n\n".join(message.content for message in group))
        for role, group in groupby(messages, key=lambda message: message.role)
    ]
