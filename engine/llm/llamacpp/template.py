"""Conversations to prompt tokens, by the chat template in the model file.

A template is a program from a file that may be hostile, so it runs in Jinja's sandbox. What people and documents say must
never act as a special token: see `ChatTemplate.tokens`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from itertools import chain

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from engine.domain import Message
from engine.errors import ModelError
from engine.llm.llamacpp.tokens import Token, Vocabulary

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Used where a model file has no template."""

_FAILURES = (TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What running a template from a file can raise: its own refusals, and any mistake of its author."""


class ChatTemplate:
    """Turns conversations into prompts for one model. Safe to use from any thread."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Compile the model's template.

        Raises:
            ModelError: the template cannot be parsed.
        """
        self._vocabulary = vocabulary
        try:
            self._template = _environment().from_string(vocabulary.chat_template or CHATML)
        except TemplateError as exc:
            raise ModelError(f"The model's chat template cannot be used: {exc}") from exc

    def tokens(self, messages: Sequence[Message]) -> list[Token]:
        """The prompt for a conversation, up to and with the header of the assistant's turn.

        The rendered text is tokenised as a whole, as in training, where that yields the control tokens of the template and
        no others. Else a message holds the name of one: then template and messages are tokenised apart, the messages with
        special tokens off.

        Raises:
            ModelError: the template refuses the conversation.
        """
        usable, whole = self._render(messages)
        together = self._vocabulary.tokenise(whole, special=True)
        apart = self._tokenise_apart(usable)
        tokens = together if self._controls(together) == self._controls(apart) else apart
        begins = self._vocabulary.bos
        return [begins, *tokens] if self._vocabulary.adds_bos and tokens[:1] != [begins] else tokens

    def _render(self, messages: Sequence[Message]) -> tuple[Sequence[Message], str]:
        """The conversation as the template accepts it, and rendered."""
        try:
            return messages, self._text(messages)
        except _FAILURES as exc:
            merged = merge_system_messages(messages)
            if merged == list(messages):
                raise self._refusal(exc) from exc
        try:
            return merged, self._text(merged)
        except _FAILURES as exc:
            raise self._refusal(exc) from exc

    def _text(self, messages: Sequence[Message]) -> str:
        return self._template.render(
            messages=[{"role": message.role, "content": message.content} for message in messages],
            add_generation_prompt=True,
            bos_token=self._vocabulary.name_of(self._vocabulary.bos),
            eos_token=self._vocabulary.name_of(self._vocabulary.eos),
            tools=None,
            documents=None,
        )

    def _tokenise_apart(self, messages: Sequence[Message]) -> list[Token]:
        key = secrets.token_hex(8)
        marks = [f"[{key}:{index}]" for index in range(len(messages))]
        _, text = self._render([replace(message, content=mark) for message, mark in zip(messages, marks, strict=True)])
        contents = dict(zip(marks, (message.content for message in messages), strict=True))
        parts = _split_at(text, marks)
        tokenise = self._vocabulary.tokenise
        return list(chain.from_iterable(tokenise(contents.get(part, part), special=part not in contents) for part in parts))

    def _controls(self, tokens: Sequence[Token]) -> list[Token]:
        return [token for token in tokens if token in self._vocabulary.control_tokens]

    @staticmethod
    def _refusal(exc: Exception) -> ModelError:
        return ModelError(
            f"The model's chat template refuses this conversation: {exc}",
            hint="Most templates ask for user and assistant to take turns, the user first.",
        )


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


def _split_at(text: str, marks: Sequence[str]) -> list[str]:
    """The text cut before and after each mark, in whichever order the marks come."""
    parts = [text]
    for mark in marks:
        parts = [piece for part in parts for piece in _cut(part, mark)]
    return [part for part in parts if part]


def _cut(text: str, mark: str) -> list[str]:
    pieces = text.split(mark)
    return [piece for index, between in enumerate(pieces) for piece in ([between] if index == 0 else [mark, between])]


class _GenerationBlock(Extension):
    """`{% generation %} … {% endgeneration %}`, with which some templates mark the assistant's part for training."""

    tags = {"generation"}  # noqa: RUF012  # Jinja's own way

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Leave only what is inside."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    """Jinja as Transformers sets it up for chat templates, which are written against that."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, autoescape=False, extensions=["jinja2.ext.loopcontrols", _GenerationBlock]
    )
    environment.filters["tojson"] = _to_json
    functions: dict[str, Callable[[str], str]] = {"raise_exception": _refuse, "strftime_now": _now}
    environment.globals.update(functions)
    return environment


def _to_json(value: object, indent: int | None = None, ensure_ascii: bool = False, **options: object) -> str:
    """Plain JSON, where Jinja's own filter would escape it for HTML."""
    return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, **options)  # type: ignore[arg-type]


def _refuse(message: str) -> str:
    raise TemplateError(message)


def _now(pattern: str) -> str:
    return datetime.now().astimezone().strftime(pattern)
